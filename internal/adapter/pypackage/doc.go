// Package pypackage takes a Python package back to what it was before a migration, and
// checks that nothing imports what is gone. It has two targets.
//
// Target moves the named directories out of the package, gives __init__.py the content of
// the rollback point, reinstalls, and then asks the interpreter itself: what must be
// importable is, and what must be gone fails with an ImportError that names it. A file
// listing would not do. A directory with nothing but __pycache__ in it is still a package
// to Python, and so is a copy in site-packages.
//
// Nothing is deleted. What is moved lies in a directory outside of the package, under the
// key of the plan, and the undo puts it back. Where it will lie is journalled before it is
// moved, so that a Do that was killed anywhere goes on.
//
// Imports searches source files for imports that are left (package imports). It changes
// nothing: what it finds is for a person, or for the git target, to remove.
//
// Programs run without a shell, in a process group that ends with them, and see PATH, HOME
// and the variables that the settings name.
package pypackage
