package embedding

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

const databaseName = "chroma.sqlite3"

// wanted are the files of a Chroma directory that hold records. Everything else, as
// link_lists.bin, is passed over: it is not needed, and so not written.
var wanted = regexp.MustCompile(`^(chroma\.sqlite3(-journal|-wal)?|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/(header\.bin|data_level0\.bin|length\.bin|index_metadata\.pickle))$`)

// archive imports a Chroma directory from a tar.gz.
func (im *Importer) archive(ctx context.Context, body io.Reader, c lockstep.Collection) ([]handler.Embedding, error) {
	return im.inPrivate(func(dir string, root *os.Root) ([]handler.Embedding, error) {
		if err := im.extract(ctx, body, root); err != nil {
			return nil, err
		}
		if _, err := root.Lstat(databaseName); err != nil {
			return nil, fmt.Errorf("%w: no %s at the root of the archive", lockstep.ErrInvalid, databaseName)
		}
		return im.chroma(ctx, dir, c)
	})
}

// extract writes the wanted members below root, and reads the archive to its end,
// because only there the checksum says that it is whole. Members are refused, not
// skipped, when their path leaves the root, when they are no file or directory, or
// when they come twice: such an archive was not made by the pipeline.
func (im *Importer) extract(ctx context.Context, body io.Reader, root *os.Root) error {
	z, err := gzip.NewReader(body)
	if err != nil {
		return torn(err)
	}
	defer func() { _ = z.Close() }()
	unpacked := bounded(ctx, z, "the unpacked archive", im.opts.MaxTotalBytes)
	in := tar.NewReader(unpacked)
	seen := map[string]bool{}
	left := im.opts.MaxTotalBytes
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return torn(err)
		}
		name, err := im.member(h)
		if err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("member %q: %w: it is there twice", name, lockstep.ErrInvalid)
		}
		if seen[name] = true; len(seen) > im.opts.MaxMembers {
			return fmt.Errorf("%w: more than %d members", lockstep.ErrInvalid, im.opts.MaxMembers)
		}
		if h.Typeflag == tar.TypeDir || !wanted.MatchString(name) {
			continue
		}
		n, err := write(root, name, bounded(ctx, in, "the member", min(im.opts.MaxMemberBytes, left)))
		if err != nil {
			return fmt.Errorf("member %q: %w", name, err)
		}
		left -= n // a sparse member writes more than it reads
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil {
		return torn(err)
	}
	return nil
}

// member checks one header and returns the cleaned path.
func (im *Importer) member(h *tar.Header) (string, error) {
	if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
		return "", fmt.Errorf("member %.80q: %w: only files and directories are extracted, this is of type %q", h.Name, lockstep.ErrInvalid, h.Typeflag)
	}
	if len(h.Name) > im.opts.MaxPathBytes {
		return "", fmt.Errorf("member %.80q…: %w: a path of %d bytes, at most %d", h.Name, lockstep.ErrInvalid, len(h.Name), im.opts.MaxPathBytes)
	}
	if h.Size > im.opts.MaxMemberBytes {
		return "", fmt.Errorf("member %q: %w: it states %d bytes, at most %d", h.Name, lockstep.ErrInvalid, h.Size, im.opts.MaxMemberBytes)
	}
	odd := func(r rune) bool { return r == '\\' || unicode.IsControl(r) }
	if path.IsAbs(h.Name) || !utf8.ValidString(h.Name) || strings.ContainsFunc(h.Name, odd) {
		return "", fmt.Errorf("member %q: %w: not a relative path", h.Name, lockstep.ErrInvalid)
	}
	for seg := range strings.SplitSeq(h.Name, "/") {
		if seg == ".." {
			return "", fmt.Errorf("member %q: %w: the path leaves the archive", h.Name, lockstep.ErrInvalid)
		}
	}
	return path.Clean(h.Name), nil
}

// write creates the file name below root. The file is new or it is an error.
func write(root *os.Root, name string, in io.Reader) (int64, error) {
	if dir := path.Dir(name); dir != "." {
		if err := root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return 0, err
		}
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, in)
	if err != nil {
		err = torn(err)
	}
	return n, errors.Join(err, f.Close())
}

// torn gives the errors of gzip and tar their class; errors that have one keep it.
func torn(err error) error {
	for _, class := range []error{io.EOF, io.ErrUnexpectedEOF, gzip.ErrHeader, gzip.ErrChecksum, tar.ErrHeader, tar.ErrFieldTooLong} {
		if errors.Is(err, class) {
			return fmt.Errorf("%w: not a whole tar.gz: %w", lockstep.ErrCorrupt, err)
		}
	}
	return err
}
