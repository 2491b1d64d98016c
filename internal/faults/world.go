package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/durable"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/release"
)

// dimension is that of the invented vectors.
const dimension = 4

const (
	watch = 5 * time.Millisecond // how often the controller looks
	// budget of one call of a candidate: no longer than a row can wait for one that hangs,
	// and so long that no good one uses it up because the machine is busy.
	budget = 250 * time.Millisecond
)

// scene says what a world is made of.
type scene struct {
	seed     uint64
	stable   handler.Handler // nil: receipts@2
	handlers []handler.Handler
	programs []config.Program
	places   synth.Place
	deliver  func(context.Context, *world, []compact.Input) error
}

// world is a running server with an index, its traffic, and an oracle that knows what the
// index should be.
type world struct {
	opts   Options
	scene  scene
	dir    string
	cfg    config.Config
	server *app.Server
	halt   func() error // stops the server and gives its directory free

	synth  *synth.Generator
	oracle *oracle

	other  *app.App         // a second writer
	ghosts *synth.Generator // receipts whose embeddings are nowhere
	lost   int
}

// open starts a server in a directory of its own and fills the index. Close must follow.
func open(ctx context.Context, opts Options, s scene) (w *world, err error) {
	dir, err := os.MkdirTemp(opts.Dir, "lockstep-faults-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	w = &world{opts: opts, scene: s, dir: dir, halt: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	w.cfg = config.Default().WithData(filepath.Join(dir, "data"))
	w.cfg.Imports.Directory = filepath.Join(dir, "imports")
	w.cfg.Follower.Chroma.Enabled = "off"
	w.cfg.Release.Watch, w.cfg.Release.Budget = watch, budget
	w.cfg.Programs = s.programs
	shape := synth.Options{
		Receipts: opts.Receipts, Lines: synth.Range{Min: 2, Max: 4}, Words: synth.Range{Min: 1, Max: 2},
		Dimension: dimension, Labels: 60, Place: s.places,
	}
	w.synth, w.ghosts = synth.New(s.seed, shape), synth.New(^s.seed, shape)
	w.oracle = newOracle(w.synth.Import)
	for i := range w.synth.Len() {
		if err := w.embed(i); err != nil {
			return w, err
		}
	}
	if err := w.run(ctx); err != nil {
		return w, err
	}
	return w, w.create(ctx)
}

func (w *world) options() app.Options {
	handlers := w.scene.handlers
	if w.scene.stable != nil {
		handlers = append([]handler.Handler{w.scene.stable}, handlers...)
	}
	return app.Options{Now: w.opts.Now, Actor: "faults", Handlers: handlers}
}

// run opens the index and starts the server.
func (w *world) run(ctx context.Context) error {
	a, err := app.Open(ctx, w.cfg, w.options())
	if err != nil {
		return err
	}
	w.server = app.NewServer(a)
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.server.Run(running) }()
	w.halt = func() error {
		cancel()
		w.halt = func() error { return nil }
		return errors.Join(<-done, a.Close())
	}
	return w.adopt(ctx)
}

// adopt makes the scene's stable the stable, once.
func (w *world) adopt(ctx context.Context) error {
	head, err := w.server.Releases.Head(ctx)
	if err != nil || w.scene.stable == nil || head.Number() > 0 {
		return err
	}
	rev, err := w.server.Revisions.Lookup(handler.NewRevision(w.scene.stable).ID())
	if err != nil {
		return err
	}
	_, err = w.server.Controller().Do(ctx, func(s release.State) (release.Transition, error) {
		return release.Adopt(s, w.server.Order("the stable of the catalogue"), w.cfg.Environment, release.Pair{Revision: rev.ID()})
	})
	return err
}

// create brings the table into the index, and with nobody but stable.
func (w *world) create(ctx context.Context) error {
	var in []compact.Input
	for e := range w.synth.Events() {
		in = append(in, compact.Input{Message: e.Message()})
	}
	return w.submitAll(ctx, in)
}

// submitAll delivers in one go, whatever the scene does to deliveries.
func (w *world) submitAll(ctx context.Context, in []compact.Input) error {
	w.tell(in)
	return w.submit(ctx, in)
}

func (w *world) tell(in []compact.Input) {
	messages := make([]lockstep.Message, len(in))
	for i := range in {
		messages[i] = in[i].Message
	}
	w.oracle.told(messages)
}

// edits makes n edits and delivers them as the scene does.
func (w *world) edits(ctx context.Context, n int) error {
	var in []compact.Input
	for range n {
		edit := w.synth.Edits(1)[0]
		if edit.Kind == "re-embedded" {
			if w.wordless(edit.Receipt) {
				continue
			}
			if err := w.embed(edit.Receipt); err != nil {
				return err
			}
		}
		for _, e := range edit.Events {
			in = append(in, compact.Input{Message: e.Message()})
		}
	}
	w.tell(in)
	if w.scene.deliver == nil {
		return w.submit(ctx, in)
	}
	return w.scene.deliver(ctx, w, in)
}

func (w *world) submit(ctx context.Context, in []compact.Input) error {
	_, err := w.server.Submit(ctx, in)
	return err
}

// embed writes the embeddings of a receipt where the importer looks for them.
func (w *world) embed(i int) error {
	for _, o := range w.synth.Objects(w.synth.Receipt(i)) {
		path := filepath.Join(w.cfg.Imports.Directory, filepath.FromSlash(o.Key))
		if err := errors.Join(durable.MkdirAll(filepath.Dir(path)), durable.Replace(path, o.Body)); err != nil {
			return fmt.Errorf("write embeddings: %w", err)
		}
	}
	return nil
}

// wordless says whether a receipt has lost all its words. A run of it would announce an
// empty import, which is bad data and parked, and here nothing but one row has bad data.
func (w *world) wordless(i int) bool {
	return !slices.ContainsFunc(w.synth.Receipt(i).Lines, func(l synth.Line) bool { return len(l.Words) > 0 })
}

// close stops everything and removes the directory.
func (w *world) close() error {
	err := w.halt()
	if w.other != nil {
		err = errors.Join(err, w.other.Close())
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// damage compares the index as it is with what it should be.
func (w *world) damage(ctx context.Context, share release.Routing) (d damage, err error) {
	if err := w.oracle.fold(ctx, w.opts.Now()); err != nil {
		return d, fmt.Errorf("fold the oracle: %w", err)
	}
	err = w.server.Do(ctx, func(ctx context.Context, c *compact.Compactor) error {
		c.Poll()
		if err := c.CatchUp(ctx); err != nil { // with what a second writer has published
			return err
		}
		r, err := w.server.State.Read()
		if err != nil {
			return err
		}
		d, err = w.oracle.compare(ctx, r, share)
		return errors.Join(err, r.Close())
	})
	return d, err
}
