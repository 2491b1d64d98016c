// Package imports answers two questions about a source tree: does anything in it still
// import a module that must be gone, and do its modules import each other in a circle?
//
// They are two lines of the rollback document: `grep -r "receipt_chroma.compaction" .`
// must find nothing, and "unresolvable import cycles" are a reason to roll back. A grep
// answers the first question wrongly in both directions. It misses
// `from receipt_chroma import compaction`, relative imports and statements over several
// lines, and it finds comments. So Python and Go are read as what they are, and only the
// rest by pattern.
//
// The promise is that "nothing found" means that everything was read. What could not be
// read is listed with its reason (Skip), a limit that is reached is an error, and a
// Python file that does not parse is searched by pattern and listed as well.
//
// It does not run anything, follows no link out of the tree, and does not know what
// python would find outside of it: the tree is a fs.FS, and that is all it sees.
package imports
