package pypackage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// leftovers lists what must go of a directory that must be absent, from root: the
// directory, and what was compiled of a module of its name. A directory that git has
// emptied of sources still counts: with __pycache__ in it, it is a package to Python.
func leftovers(root, dir string) ([]string, error) {
	var out []string
	clean := filepath.Clean(dir)
	if there, err := exists(filepath.Join(root, clean)); err != nil {
		return nil, err
	} else if there {
		out = append(out, clean)
	}
	parent, base := filepath.Split(clean)
	if there, err := exists(filepath.Join(root, clean+".py")); err != nil || there {
		return out, err // a module of this name belongs to the rollback point
	}
	for _, cached := range []string{"", cache} {
		entries, err := os.ReadDir(filepath.Join(root, parent, cached))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			// base.pyc beside the sources, base.cpython-311.pyc or .opt-1.pyc in the cache.
			rest, ok := strings.CutPrefix(e.Name(), base+".")
			if ok && !e.IsDir() && strings.HasSuffix("."+rest, ".pyc") && (cached != "" || rest == "pyc") {
				out = append(out, filepath.Join(parent, cached, e.Name()))
			}
		}
	}
	return out, nil
}

// present lists everything that must go and is there, except what is on its way.
func (p params) present() ([]string, error) {
	var out []string
	for _, d := range p.Directories {
		found, err := leftovers(p.Root, d)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return slices.Compact(out), nil
}
