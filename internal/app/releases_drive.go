package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/release"
)

// Look is what was seen of the state of releases at one moment, and what follows from it.
type Look struct {
	Head     release.Head
	Seen     release.Observation
	Decision release.Decision // what a controller would do now
}

// Watcher looks at the releases of a store, and drives them when it is asked to. It keeps
// what it has read, so that looking again costs little. It is for one goroutine.
type Watcher struct {
	control    *Control
	controller *release.Controller
	shadower   *shadower // nil: a server compares, or nobody has to
}

// Watch returns a watcher. Nothing is looked at yet.
func (c *Control) Watch() *Watcher { return &Watcher{control: c, controller: c.Controller()} }

// Every is how often it is worth looking.
func (w *Watcher) Every() time.Duration { return w.control.cfg.Release.Watch }

// Idle says whether no release is under way.
func (w *Watcher) Idle(ctx context.Context) (bool, error) {
	head, err := w.controller.Log.Head(ctx)
	return err == nil && head.State().Live() == nil, err
}

// Look looks and changes nothing. After an error Look.Head is what it is, when the ledger
// could be read, and the rest is not known.
func (w *Watcher) Look(ctx context.Context) (Look, error) {
	head, err := w.controller.Log.Head(ctx)
	if err != nil {
		return Look{}, err
	}
	now := w.control.opts.Now()
	seen, err := w.controller.Observe(ctx, head.State(), now)
	if err != nil {
		return Look{Head: head, Decision: release.Decision{Why: "nothing could be observed"}}, err
	}
	return Look{head, seen, release.Next(head.State(), seen, now)}, nil
}

// Compare has Drive also do what a server does beside the work: compare the candidate with
// stable in shadow. It is for when no server is running; Close ends it.
func (w *Watcher) Compare() {
	a := &App{Control: w.control, Config: w.control.cfg, opts: w.control.opts}
	w.shadower = newShadower(a)
	w.shadower.every = 0 // what was compared is recorded at once: this process may end soon
}

// Close gives everything free.
func (w *Watcher) Close() error {
	if w.shadower == nil {
		return nil
	}
	return w.shadower.close()
}

// Drive does what is due now, one thing after the other, and tells done of each.
func (w *Watcher) Drive(ctx context.Context, done func(release.Decision)) error {
	// A comparison that cannot be made costs evidence, and must not keep an abort from being done.
	compared := w.compare(ctx)
	if err := tickAll(ctx, w.controller, w.control.opts.Now, done); err != nil {
		return errors.Join(err, compared)
	}
	return compared
}

// compare looks at all versions that are there.
func (w *Watcher) compare(ctx context.Context) error {
	if w.shadower == nil {
		return nil
	}
	for {
		more, err := w.shadower.work(ctx)
		if err != nil {
			return fmt.Errorf("compare the candidate in shadow: %w", err)
		}
		if !more {
			return nil
		}
	}
}
