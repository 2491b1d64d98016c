package embedding

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"lockstep/internal/chromadir"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// folder imports a Chroma directory that lies in the bucket file by file, as the
// embedding step function leaves it (DOMAIN 4.7). prefix ends with a slash.
func (im *Importer) folder(ctx context.Context, prefix string, c lockstep.Collection) ([]handler.Embedding, error) {
	keys, err := im.objects.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	var names []string
	found := false
	for _, key := range keys {
		name, ok := strings.CutPrefix(key, prefix)
		if ok && wanted.MatchString(name) {
			names = append(names, name)
			found = found || name == databaseName
		}
	}
	if !found {
		return nil, errNoObject
	}
	if len(names) > im.opts.MaxMembers {
		return nil, fmt.Errorf("%s: %w: more than %d objects", prefix, lockstep.ErrInvalid, im.opts.MaxMembers)
	}
	return im.inPrivate(func(dir string, root *os.Root) ([]handler.Embedding, error) {
		left := im.opts.MaxTotalBytes
		for _, name := range names {
			n, err := im.download(ctx, root, prefix, name, left)
			if err != nil {
				return nil, err
			}
			left -= n
		}
		out, err := im.chroma(ctx, dir, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", prefix, err)
		}
		return out, nil
	})
}

func (im *Importer) download(ctx context.Context, root *os.Root, prefix, name string, left int64) (n int64, err error) {
	body, err := im.open(ctx, prefix+name)
	if errors.Is(err, errNoObject) {
		// Listed and gone: somebody removes it just now. Nothing is left to find elsewhere.
		return 0, fmt.Errorf("%w: %s vanished while it was read", lockstep.ErrConflict, prefix+name)
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	if n, err = write(root, name, bounded(ctx, body, "the directory", left)); err != nil {
		return n, fmt.Errorf("download %s: %w", prefix+name, err)
	}
	return n, nil
}

// chroma reads one collection of an extracted Chroma directory. URIs are not taken
// over: a published record has none.
func (im *Importer) chroma(ctx context.Context, dir string, c lockstep.Collection) (out []handler.Embedding, err error) {
	d, err := chromadir.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	for r, err := range d.Records(ctx, string(c)) {
		if err != nil {
			return nil, err
		}
		if len(out) == im.opts.MaxEmbeddings {
			return nil, fmt.Errorf("%w: more than %d embeddings", lockstep.ErrInvalid, im.opts.MaxEmbeddings)
		}
		out = append(out, handler.Embedding{ID: r.ID, Document: r.Document, HasDocument: r.HasDocument, Metadata: r.Metadata, Vector: r.Vector})
	}
	return out, nil
}
