package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Mkdir makes one directory, or finds it made, and syncs its parent in both
// cases: another process may have made it a moment ago and not synced it yet.
func Mkdir(path string) error {
	if err := (disk{}).mkdir(path); err != nil {
		return fmt.Errorf("make directory %s: %w", path, err)
	}
	return nil
}

// MkdirAll makes a directory and the parents it lacks and syncs the parent of
// each it made. It does nothing when the directory is there.
func MkdirAll(path string) error {
	if err := (disk{}).mkdirAll(filepath.Clean(path)); err != nil {
		return fmt.Errorf("make directory %s: %w", path, err)
	}
	return nil
}

// RenameDir gives a directory another name, which must be free, and syncs both
// parents. The content is not synced: see SyncTree. After an error the directory
// has its old name or its new one.
func RenameDir(from, to string) error {
	if err := (disk{}).renameDir(from, to); err != nil {
		return fmt.Errorf("rename directory %s to %s: %w", from, to, err)
	}
	return nil
}

// SwitchLink points the symbolic link at target, atomically: whoever follows the
// link sees the old target or the new one. Target is stored as given, so a
// relative one starts at the link's directory. What target names should be
// synced before: see SyncTree. A link name that is a directory is an error.
func SwitchLink(link, target string) error {
	if err := (disk{}).switchLink(link, target); err != nil {
		return fmt.Errorf("switch %s to %s: %w", link, target, err)
	}
	return nil
}

// SyncTree syncs every regular file and directory below root, root included, and
// the name of root in its parent. It is for trees that other programs or
// libraries wrote, before a SwitchLink or RenameDir publishes them.
func SyncTree(root string) error {
	if err := (disk{}).syncTree(root); err != nil {
		return fmt.Errorf("sync tree %s: %w", root, err)
	}
	return nil
}

func (d disk) mkdir(path string) error {
	if err := d.step("mkdir", path); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o777); err != nil && !isDir(path) {
		return err
	}
	return d.syncDir(filepath.Dir(path))
}

func (d disk) mkdirAll(path string) error {
	if isDir(path) {
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := d.mkdirAll(parent); err != nil {
			return err
		}
	}
	return d.mkdir(path)
}

func (d disk) renameDir(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := d.rename(from, to); err != nil {
		return err
	}
	// The new name first: between the two syncs a power loss may show both names,
	// never none.
	if err := d.syncDir(filepath.Dir(to)); err != nil {
		return err
	}
	if filepath.Dir(from) == filepath.Dir(to) {
		return nil
	}
	return d.syncDir(filepath.Dir(from))
}

func (d disk) switchLink(link, target string) error {
	dir := filepath.Dir(link)
	tmp := tempName(dir)
	if err := d.step("symlink", tmp); err != nil {
		return err
	}
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	if err := d.rename(tmp, link); err != nil {
		return errors.Join(err, d.remove(tmp))
	}
	return d.syncDir(dir)
}

func (d disk) syncTree(root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			dirs = append(dirs, path)
		case e.Type().IsRegular():
			return d.syncFile(path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Deepest first, so that a directory is synced after all it holds.
	for _, dir := range slices.Backward(dirs) {
		if err := d.syncDir(dir); err != nil {
			return err
		}
	}
	return d.syncDir(filepath.Dir(root))
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
