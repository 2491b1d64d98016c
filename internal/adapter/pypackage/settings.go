package pypackage

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"lockstep/internal/imports"
	"lockstep/internal/lockstep"
)

// Settings say what a Python package is after the rollback.
type Settings struct {
	// Root is the directory that is installed, with setup.py or pyproject.toml in it.
	Root string `json:"root" yaml:"root"`
	// Python is the interpreter of the environment it is installed in. One with a slash is
	// meant from Root. "": python3.
	Python string `json:"python" yaml:"python"`
	// Directories must be absent, from Root: "receipt_chroma/compaction".
	Directories []string `json:"directories,omitempty" yaml:"directories"`
	// Init is the __init__.py that must be as it was, from Root. "": none.
	Init string `json:"init,omitempty" yaml:"init"`
	// VersionModule is the module whose version is recorded. "": none.
	VersionModule string `json:"version_module,omitempty" yaml:"version_module"`
	// Reinstall is the command that installs Root, run in it; {python} stands for the
	// interpreter. Empty: {python} -m pip install -e . --no-deps --no-build-isolation.
	Reinstall []string `json:"reinstall" yaml:"reinstall"`
	// MustImport and MustFail are modules, or "module:name" for a name in one.
	MustImport []string      `json:"must_import,omitempty" yaml:"must_import"`
	MustFail   []string      `json:"must_fail,omitempty" yaml:"must_fail"`
	Env        []string      `json:"env,omitempty" yaml:"env"`            // names of variables that the programs see, beside PATH and HOME
	Timeout    time.Duration `json:"timeout_ns,omitempty" yaml:"timeout"` // of the reinstall; 0: 10 minutes
}

// ImportsSettings say what no source file may import any more, and which files count.
type ImportsSettings struct {
	Root      string   `json:"root" yaml:"root"`             // the tree that is searched
	Paths     []string `json:"paths,omitempty" yaml:"paths"` // patterns from Root, as imports.Search has them; none: every file
	Forbidden []string `json:"forbidden" yaml:"forbidden"`   // modules: "receipt_chroma.compaction"
	Patterns  []string `json:"patterns,omitempty" yaml:"patterns"`
	// SourceRoots are the directories from which Python modules are named. None: they are
	// worked out.
	SourceRoots []string `json:"source_roots,omitempty" yaml:"source_roots"`
	// Package is the name of Root, where it is a Python package. "": worked out.
	Package string `json:"package,omitempty" yaml:"package"`
}

const (
	defaultTimeout = 10 * time.Minute
	maxTimeout     = 6 * time.Hour
	maxList        = 256
)

func defaultReinstall() []string {
	return []string{interpreter, "-m", "pip", "install", "-e", ".", "--no-deps", "--no-build-isolation"}
}

// interpreter is the word of a command that stands for Settings.Python.
const interpreter = "{python}"

// moduleName is a dotted name, with the name of something in it or without.
var moduleName = regexp.MustCompile(`^[\pL_][\pL\pN_]*(?:\.[\pL_][\pL\pN_]*)*(?::[\pL_][\pL\pN_]*)?$`)

// Check returns every mistake at once, as one ErrInvalid. It looks at no file.
func (s Settings) Check() error {
	var w mistakes
	if s.Root == "" || strings.ContainsRune(s.Root, 0) {
		w.add("root %.80q: want the directory that is installed", s.Root)
	}
	if strings.ContainsRune(s.Python, 0) {
		w.add("python %.80q holds a zero byte", s.Python)
	}
	if len(s.Directories)+len(s.MustFail) == 0 {
		w.add("directories: none, and no must_fail: nothing would be gone")
	}
	w.list("directories", s.Directories, func(d string) string {
		if !isBelow(d) {
			return "want a path below the root, such as receipt_chroma/compaction"
		}
		return ""
	})
	for i, a := range s.Directories {
		for _, b := range s.Directories[i+1:] {
			if a, b := filepath.Clean(a), filepath.Clean(b); within(a, b) || within(b, a) {
				w.add("directories: %.80q and %.80q are the same, or one is in the other", a, b)
			}
		}
	}
	s.checkInit(&w)
	if s.VersionModule != "" && (!moduleName.MatchString(s.VersionModule) || strings.Contains(s.VersionModule, ":")) {
		w.add("version_module %.80q: want the name of a module", s.VersionModule)
	}
	if len(s.Reinstall) > 0 && (s.Reinstall[0] == "" || slices.ContainsFunc(s.Reinstall, func(a string) bool { return strings.ContainsRune(a, 0) })) {
		w.add("reinstall: want a program and its arguments, such as [%s]", strings.Join(defaultReinstall(), ", "))
	}
	module := func(m string) string {
		if !moduleName.MatchString(m) {
			return "want a module, or module:name"
		}
		return ""
	}
	w.list("must_import", s.MustImport, module)
	w.list("must_fail", s.MustFail, module)
	for _, m := range s.MustImport {
		if slices.Contains(s.MustFail, m) {
			w.add("must_import: %.80q must fail as well", m)
		}
	}
	w.list("env", s.Env, func(name string) string {
		if name == "" || strings.ContainsAny(name, "= \x00") {
			return "want the name of a variable, not its value"
		}
		return ""
	})
	if s.Timeout < 0 || s.Timeout > maxTimeout {
		w.add("timeout %s: want at most %s", s.Timeout, maxTimeout)
	}
	return w.err("package")
}

func (s Settings) checkInit(w *mistakes) {
	if s.Init == "" {
		return
	}
	if !isBelow(s.Init) {
		w.add("init %.80q: want a path below the root, such as receipt_chroma/__init__.py", s.Init)
	}
	for _, d := range s.Directories {
		if within(filepath.Clean(s.Init), filepath.Clean(d)) {
			w.add("init %.80q is in the directory %.80q, which must be absent", s.Init, d)
		}
	}
}

// Check returns every mistake at once, as one ErrInvalid. It looks at no file.
func (s ImportsSettings) Check() error {
	var w mistakes
	if s.Root == "" || strings.ContainsRune(s.Root, 0) {
		w.add("root %.80q: want the directory that is searched", s.Root)
	}
	if len(s.Forbidden)+len(s.Patterns) == 0 {
		w.add("forbidden: nothing; want modules, such as receipt_chroma.compaction")
	}
	w.list("forbidden", s.Forbidden, func(m string) string { return say(imports.CheckForbidden(m)) })
	w.list("patterns", s.Patterns, func(p string) string {
		_, err := regexp.Compile(p)
		return say(err)
	})
	w.list("paths", s.Paths, func(p string) string { return say(imports.CheckPaths([]string{p})) })
	w.list("source_roots", s.SourceRoots, func(r string) string {
		if path.Clean(r) != "." && !isBelow(r) {
			return "want a path below the root"
		}
		return ""
	})
	if s.Package != "" && (!moduleName.MatchString(s.Package) || strings.Contains(s.Package, ":")) {
		w.add("package %.80q: want the name of a package", s.Package)
	}
	return w.err("imports")
}

func say(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// isBelow says whether a path leads from a directory to something in it.
func isBelow(name string) bool {
	clean := filepath.Clean(name)
	return name != "" && filepath.IsLocal(name) && clean != "." && !strings.ContainsRune(name, 0)
}

// within says whether a clean path is dir or in it.
func within(name, dir string) bool {
	rest, ok := strings.CutPrefix(name, dir)
	return ok && (rest == "" || rest[0] == filepath.Separator || strings.HasSuffix(dir, string(filepath.Separator)))
}

// mistakes collects what is wrong with settings.
type mistakes []string

func (w *mistakes) add(format string, args ...any) { *w = append(*w, fmt.Sprintf(format, args...)) }

func (w *mistakes) list(key string, list []string, wrong func(string) string) {
	if len(list) > maxList {
		w.add("%s: %d, want at most %d", key, len(list), maxList)
		return
	}
	for i, one := range list {
		if why := wrong(one); why != "" {
			w.add("%s[%d] %.80q: %s", key, i, one, why)
		}
	}
}

func (w *mistakes) err(what string) error {
	if len(*w) == 0 {
		return nil
	}
	return fmt.Errorf("%w settings of the %s:\n  %s", lockstep.ErrInvalid, what, strings.Join(*w, "\n  "))
}
