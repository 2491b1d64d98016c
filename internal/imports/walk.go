package imports

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// Skip is a file or directory that was not read, and why.
type Skip struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
	// Source says that it is Python or Go and may hold an import that nobody saw.
	Source bool `json:"source,omitempty"`
}

// file is one regular file of a tree.
type file struct {
	name   string // as it is reached, by links too
	actual string // without links
	size   int64
}

// passed directories hold copies, caches or other people's code. Those of version
// control and of compiled Python are passed in silence, the others are listed.
var passed = map[string]string{
	".git": "", ".hg": "", ".svn": "", "__pycache__": "",
	"node_modules": "other people's packages",
}

// walker lists the files of a tree in the order of their names.
type walker struct {
	tree   fs.FS
	limits Limits
	seen   int
	files  []file
	skips  []Skip
}

// walk lists all regular files. ErrNotFound without a root, ErrInvalid beyond a limit:
// half a list would look like a tree that is clean.
func walk(ctx context.Context, tree fs.FS, limits Limits) (*walker, error) {
	w := &walker{tree: tree, limits: limits}
	if err := w.dir(ctx, ".", ".", nil); err != nil {
		return nil, err
	}
	return w, nil
}

// dir lists one directory; open are the real names of those it is in, which a link may
// not lead back to.
func (w *walker) dir(ctx context.Context, name, actual string, open []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(open) > w.limits.Depth {
		return lockstep.Hint(fmt.Errorf("%w tree: %s is more than %d directories deep", lockstep.ErrInvalid, name, w.limits.Depth), "name a smaller root")
	}
	entries, err := fs.ReadDir(w.tree, actual)
	if err != nil {
		if name == "." {
			return fmt.Errorf("%w: read the tree: %w", classOf(err), err)
		}
		w.skip(name, "it cannot be read: "+cause(err))
		return nil
	}
	open = append(slices.Clip(open), actual)
	if name != "." && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "pyvenv.cfg" }) {
		w.skips = append(w.skips, Skip{Path: name, Reason: "a virtual environment"})
		return nil
	}
	for _, e := range entries {
		if w.seen++; w.seen > w.limits.Files {
			return lockstep.Hint(fmt.Errorf("%w tree: more than %d files", lockstep.ErrInvalid, w.limits.Files), "name a smaller root")
		}
		if err := w.entry(ctx, path.Join(name, e.Name()), path.Join(actual, e.Name()), e, open); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(ctx context.Context, name, actual string, e fs.DirEntry, open []string) error {
	mode := e.Type()
	if mode&fs.ModeSymlink != 0 {
		target, err := follow(w.tree, actual)
		if err != nil {
			w.skip(name, err.Error())
			return nil
		}
		actual = target
	}
	info, err := fs.Stat(w.tree, actual)
	switch {
	case err != nil:
		w.skip(name, "it cannot be read: "+cause(err))
	case info.IsDir():
		why, pass := passed[path.Base(actual)]
		switch {
		case slices.Contains(open, actual):
			w.skips = append(w.skips, Skip{Path: name, Reason: "a link to a directory that it is in"})
		case !pass:
			return w.dir(ctx, name, actual, open)
		case why != "":
			w.skips = append(w.skips, Skip{Path: name, Reason: why})
		}
	case !info.Mode().IsRegular():
		w.skip(name, "not a regular file")
	default:
		w.files = append(w.files, file{name: name, actual: actual, size: info.Size()})
	}
	return nil
}

func (w *walker) skip(name, reason string) {
	w.skips = append(w.skips, Skip{Path: name, Reason: reason, Source: languageByName(name) != other})
}

const maxLinks = 40 // as the kernel

var (
	errOutside = errors.New("a link out of the tree")
	errLinks   = errors.New("a link that leads to itself")
)

// follow returns the name without links of what a link leads to. The tree itself would
// follow one to anywhere.
func follow(tree fs.FS, name string) (string, error) {
	at, parts := ".", strings.Split(name, "/")
	for links := 0; len(parts) > 0; {
		part := parts[0]
		parts = parts[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return "", errOutside
			}
			at = path.Dir(at)
			continue
		}
		at = path.Join(at, part)
		info, err := fs.Lstat(tree, at)
		if err != nil {
			return "", errors.New("a link that cannot be followed: " + cause(err))
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		if links++; links > maxLinks {
			return "", errLinks
		}
		target, err := fs.ReadLink(tree, at)
		if err != nil {
			return "", errors.New("a link that cannot be followed: " + cause(err))
		}
		if path.IsAbs(target) {
			return "", errOutside
		}
		at, parts = path.Dir(at), append(strings.Split(target, "/"), parts...)
	}
	return at, nil
}

// cause is what is wrong without the path, which the caller names.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

func classOf(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return lockstep.ErrNotFound
	}
	return lockstep.ErrUnavailable
}
