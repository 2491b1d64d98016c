package program

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// codeDomain separates the hashes of programs from all other uses of BLAKE3 here.
const codeDomain = "lockstep/exec/1"

// maxFiles bounds how many files a directory in Spec.Files may stand for.
const maxFiles = 10_000

// code returns the hash of everything that decides what the program does and that
// can be seen from here: arguments, environment, and the named files by name and
// content. The environment is part of it because a pure handler is configured by it.
func (s *Spec) code() (string, error) {
	files, err := s.files()
	if err != nil {
		return "", err
	}
	h := hasher{blake3.New()}
	h.text(codeDomain)
	for _, list := range [][]string{s.Command, s.environ()} {
		h.number(len(list))
		for _, e := range list {
			h.text(e)
		}
	}
	h.number(len(files))
	for _, f := range files {
		h.text(f.name)
		if err := h.file(f.path); err != nil {
			return "", fmt.Errorf("hash %s: %w", f.path, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

type hasher struct{ *blake3.Hasher }

func (h hasher) number(n int) {
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n))) // a hash does not fail
}

func (h hasher) text(s string) {
	h.number(len(s))
	_, _ = h.WriteString(s)
}

// file writes the hash of the content, which has one length whatever the file has.
func (h hasher) file(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content := blake3.New()
	if _, err := io.Copy(content, f); err != nil {
		return err
	}
	_, _ = h.Write(content.Sum(nil))
	return nil
}

// namedFile is a file under the name by which it is hashed: relative to Dir, so
// that another machine finds the same hash.
type namedFile struct{ name, path string }

func (s *Spec) files() ([]namedFile, error) {
	own, err := s.executable()
	if err != nil {
		return nil, err
	}
	files := []namedFile{{s.Command[0], own}}
	for _, arg := range s.Command[1:] {
		if info, err := os.Stat(s.in(arg)); err == nil && info.Mode().IsRegular() {
			files = append(files, namedFile{filepath.ToSlash(arg), s.in(arg)})
		}
	}
	for _, pattern := range s.Files {
		more, err := s.matching(pattern)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	slices.SortStableFunc(files, func(a, b namedFile) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(files, func(a, b namedFile) bool { return a.name == b.name }), nil
}

// in is a path as the program sees it from its working directory.
func (s *Spec) in(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.Dir, path)
}

// executable finds the file of the program.
func (s *Spec) executable() (string, error) {
	name := s.Command[0]
	if strings.ContainsRune(name, filepath.Separator) {
		return s.in(name), nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find the program: %w", err)
	}
	return path, nil
}

// matching lists the files that a pattern names. One that names none is refused: a
// slip there would leave the code out of the revision's identity.
func (s *Spec) matching(pattern string) ([]namedFile, error) {
	roots, err := filepath.Glob(s.in(pattern))
	if err != nil {
		return nil, fmt.Errorf("files %q: %w", pattern, err)
	}
	var files []namedFile
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.IsDir() && e.Name() == "__pycache__" { // written by running, not by people
				return fs.SkipDir
			}
			if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
				return err
			}
			if len(files) == maxFiles {
				return fmt.Errorf("%w: more than %d files", lockstep.ErrInvalid, maxFiles)
			}
			files = append(files, namedFile{s.relative(path), path})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("files %q: %w", pattern, err)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("files %q: %w: no file matches", pattern, lockstep.ErrInvalid)
	}
	return files, nil
}

func (s *Spec) relative(path string) string {
	if rel, err := filepath.Rel(s.in("."), path); err == nil {
		path = rel
	}
	return filepath.ToSlash(path)
}
