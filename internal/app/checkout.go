package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lockstep/internal/adapter/chroma"
	"lockstep/internal/config"
	"lockstep/internal/durable"
	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
	"lockstep/internal/metajson"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// The forms in which a version can be checked out.
const (
	FormChroma = "chroma" // a directory that Chroma opens
	FormNDJSON = "ndjson" // one file per collection, in the format of imports
)

// Past is a private local state that can be moved to any version, in a temporary
// directory that Close removes.
type Past struct {
	*Store
	State *state.State
	cfg   config.Config
	opts  Options
	dir   string
}

// OpenPast opens the past of the configured store.
func OpenPast(ctx context.Context, cfg config.Config, opts Options) (*Past, error) {
	s, err := OpenStore(ctx, cfg, opts.Now)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "lockstep-past-")
	if err != nil {
		return nil, fmt.Errorf("make a private local state: %w", err)
	}
	st, err := state.Open(dir, s.Format.Store, state.NewBases(s.Blobs), state.Options{})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Past{Store: s, State: st, cfg: cfg, opts: opts, dir: dir}, nil
}

// Close removes the private state.
func (p *Past) Close() error { return errors.Join(p.State.Close(), os.RemoveAll(p.dir)) }

// Checkout writes version n into the directory dir, which must not exist or be empty.
// What is there is complete, or the error says that it is not.
func (p *Past) Checkout(ctx context.Context, n uint64, dir, form string) (records int, err error) {
	if err := p.State.MoveTo(ctx, p.Log, n); err != nil {
		return 0, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return 0, fmt.Errorf("check out into %s: %w: it is not empty", dir, lockstep.ErrRefused)
	}
	view, err := p.State.Read()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	switch form {
	case FormChroma:
		return p.checkoutChroma(ctx, view, dir)
	case FormNDJSON:
		return checkoutNDJSON(ctx, view, dir)
	}
	return 0, fmt.Errorf("check out as %q: %w: the known forms are %s and %s", form, lockstep.ErrInvalid, FormChroma, FormNDJSON)
}

func (p *Past) checkoutChroma(ctx context.Context, view *state.Reader, dir string) (int, error) {
	c := p.cfg.Follower.Chroma
	command, advice := chromaCommand(c, p.opts.LookPath)
	from := c.Template
	if from == "" && command == nil && published(c.Directory) {
		from = filepath.Join(c.Directory, "current")
	}
	if command == nil && from == "" {
		return 0, lockstep.Hint(fmt.Errorf("check out as a Chroma directory: %w: there is no Chroma here", lockstep.ErrRefused), advice+"; or use --format ndjson")
	}
	target, err := chroma.OpenDirectory(dir, chroma.Options{Template: chroma.Template{Dir: from, Command: command}})
	if err != nil {
		return 0, err
	}
	f := follow.Follower{Log: p.Log, Store: p.Format.Store, Target: target}
	m, err := f.Bring(ctx, view)
	return m.Records, err
}

func checkoutNDJSON(ctx context.Context, view *state.Reader, dir string) (int, error) {
	if err := durable.MkdirAll(dir); err != nil {
		return 0, fmt.Errorf("check out: %w", err)
	}
	total := 0
	for _, c := range view.Collections() {
		if c.Builtin() {
			continue
		}
		n, err := writeNDJSON(ctx, view, c, filepath.Join(dir, string(c)+".ndjson"))
		if err != nil {
			return total, fmt.Errorf("check out %s: %w", c, err)
		}
		total += n
	}
	return total, nil
}

// exported is one record in the format of imports (docs/format/import.md).
type exported struct {
	ID        string          `json:"id"`
	Document  *string         `json:"document,omitempty"`
	Embedding []float32       `json:"embedding,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
}

func writeNDJSON(ctx context.Context, view *state.Reader, c lockstep.Collection, path string) (n int, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	err = view.Scan(ctx, c, "", func(row state.Row) error {
		rec, err := version.DecodeRecord(string(row.ID), row.Record)
		if err != nil {
			return err
		}
		v, err := view.Vector(ctx, c, rec.ID, rec.Vector)
		if err != nil {
			return err
		}
		out := exported{ID: rec.ID, Embedding: version.VectorOf(v), Metadata: metajson.AppendMetadataJSON(nil, rec.Metadata)}
		if rec.HasDocument {
			out.Document = &rec.Document
		}
		n++
		return enc.Encode(out)
	})
	return n, errors.Join(err, w.Flush())
}
