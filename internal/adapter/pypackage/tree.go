package pypackage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"lockstep/internal/durable"
	"lockstep/internal/lockstep"
)

// digest is the hash of a file or directory with all that is in it: names, kinds, rights
// and contents. What Python caches below it comes and goes, and does not count.
func digest(root string) (string, error) {
	return digestOf(root, func(name string) bool { return name != root && filepath.Base(name) == cache })
}

const cache = "__pycache__"

// digestOf leaves out directories.
func digestOf(root string, without func(dir string) bool) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && without(name):
			return fs.SkipDir
		}
		return hashEntry(h, root, name, e)
	})
	if err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func hashEntry(h io.Writer, root, name string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return err
	}
	fmt.Fprintf(h, "%q %s ", rel, info.Mode())
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q", target)
	case info.Mode().IsRegular():
		if err := hashFile(h, name); err != nil {
			return err
		}
	}
	_, err = h.Write([]byte{'\n'})
	return err
}

func hashFile(into io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(into, "%x", h.Sum(nil))
	return nil
}

// exists says whether a name is taken, by a link too.
func exists(name string) (bool, error) {
	_, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}

// checkPlace refuses a path whose real place may be another one than it says: every part
// of it from root on must be a directory itself and no link to one. The last part may be
// missing, and with it those before.
func checkPlace(root, name string) error {
	at := root
	for part := range strings.SplitSeq(filepath.Clean(name), string(filepath.Separator)) {
		at = filepath.Join(at, part)
		info, err := os.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("%w: look at %s: %w", lockstep.ErrUnavailable, at, err)
		case info.Mode()&fs.ModeSymlink != 0:
			return lockstep.Hint(fmt.Errorf("%w: %s is a link; what it leads to may be anywhere", lockstep.ErrRefused, at), "remove the link by hand, or name what it leads to")
		case at != filepath.Join(root, filepath.Clean(name)) && !info.IsDir():
			return fmt.Errorf("%w: %s is no directory", lockstep.ErrRefused, at)
		}
	}
	return nil
}

// checkRoot wants the directory of the package to be there.
func checkRoot(root string) error {
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return lockstep.Hint(fmt.Errorf("%w: the directory %s of the package", lockstep.ErrNotFound, root), "look at root in the settings of the package")
	case err != nil:
		return fmt.Errorf("%w: look at %s: %w", lockstep.ErrUnavailable, root, err)
	case !info.IsDir():
		return fmt.Errorf("%w: %s is no directory", lockstep.ErrRefused, root)
	}
	return nil
}

// transfer moves a file or directory to a name that is free. Between file systems it
// copies first and removes then: one that is killed leaves both, or half a copy under
// another name.
func transfer(from, to string) error {
	if err := durable.MkdirAll(filepath.Dir(to)); err != nil {
		return err
	}
	err := durable.RenameDir(from, to) // a file has a name to change too
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	return copyAcross(from, to)
}

func copyAcross(from, to string) error {
	half := to + ".half"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	if err := copyTree(from, half); err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, half, err)
	}
	all := func(string) bool { return false }
	was, err := digestOf(from, all)
	if err != nil {
		return err
	}
	is, err := digestOf(half, all)
	if err != nil {
		return err
	}
	if was != is {
		return lockstep.Hint(fmt.Errorf("%w: the copy %s of %s differs; nothing was removed", lockstep.ErrConflict, half, from), "see who else writes there, or name a directory on the same file system")
	}
	if err := durable.SyncTree(half); err != nil {
		return err
	}
	if err := durable.RenameDir(half, to); err != nil {
		return err
	}
	return discard(from)
}

// discard removes what was copied. It takes its name away first: half of it under its own
// name would be taken for something else.
func discard(name string) error {
	gone := discarded(name)
	if err := os.RemoveAll(gone); err != nil {
		return classed(err)
	}
	if err := durable.RenameDir(name, gone); err != nil {
		return classed(err)
	}
	if err := os.RemoveAll(gone); err != nil {
		return classed(err)
	}
	return nil
}

// discarded is the name of something that is being removed. No statement can import it.
func discarded(name string) string {
	dir, base := filepath.Split(filepath.Clean(name))
	return dir + ".lockstep-gone-" + base
}

// copyTree copies files, directories and links with their rights.
func copyTree(from, to string) error {
	var dirs []string
	err := filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case e.IsDir():
			dirs = append(dirs, rel)
			return os.Mkdir(target, 0o700) // its own rights come when it is full
		case e.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case e.Type().IsRegular():
			return copyFile(name, target)
		}
		return fmt.Errorf("%w: %s is neither file nor directory", lockstep.ErrRefused, name)
	})
	if err != nil {
		return err
	}
	for _, rel := range dirs {
		info, err := os.Stat(filepath.Join(from, rel))
		if err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(to, rel), info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Chmod(info.Mode().Perm()), out.Close()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime()) // compiled files are compared by it
}
