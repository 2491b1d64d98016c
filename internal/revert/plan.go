package revert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/branch"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Request asks for a revert.
type Request struct {
	Bad   Bad
	Good  handler.Revision // handles the messages again
	Since uint64           // nothing older is bad; 0: as far back as the log goes
	// Actor and Reason go into the version.
	Actor  string
	Reason string
	Now    time.Time
	// Progress hears how many versions of the history are handled again; nil: nobody.
	Progress func(done, total int)
}

// Plan is a revert that is worked out and not yet published.
type Plan struct {
	Bad      Bad    `json:"bad"`
	Good     string `json:"good"`    // the revision that handled the messages again
	Head     uint64 `json:"head"`    // the version that it was worked out on
	Since    uint64 `json:"since"`   // the oldest version whose effect is taken away
	Through  uint64 `json:"through"` // the newest
	Keys     int    `json:"keys"`    // partition keys that are handled again
	Joined   int    `json:"joined"`  // of these, because they share records with what is bad
	Tainted  int    `json:"tainted"` // of these, because they read what was bad
	Messages int    `json:"messages"`
	Looked   int    `json:"looked"`  // records that were restored and derived anew
	Records  int    `json:"records"` // of these, how many come out different from what is there
	// Parked are keys whose messages the good revision does not take either.
	Parked  []string          `json:"parked,omitempty"`
	Digests map[string]string `json:"digests"` // per collection, as they will be
	Digest  string            `json:"digest"`  // of the index, as it will be

	delta    version.Delta
	groups   map[string]string // of the messages that were handled again
	wrote    map[place]bool    // of delta, once asked for
	sorted   []place
	closure  *closure
	imports  *branch.Store
	reverted version.Reverted
}

// ErrNothing says that there is nothing to take back.
var ErrNothing = fmt.Errorf("there is nothing to take back: %w", lockstep.ErrRefused)

// Work works a revert out, on a branch. It changes nothing. ErrNothing: the bad one
// decided nothing, or it is taken back already. version.ErrRetired: the history does not
// reach back that far. ErrRefused: a rebuild came in between.
func Work(ctx context.Context, from branch.Origin, req Request) (p *Plan, err error) {
	if err := req.Bad.check(); err != nil {
		return nil, err
	}
	b, err := branch.Take(ctx, from, req.Good)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	c, err := enclose(ctx, b, req)
	if err != nil {
		return nil, err
	}
	p = &Plan{Bad: req.Bad, Good: req.Good.ID(), Head: b.Compactor.Head().Number(), closure: c, imports: b.Store, groups: map[string]string{}}
	return p, p.carryOut(ctx, b, req)
}

// enclose finds what is bad and what belongs to it.
func enclose(ctx context.Context, b *branch.Branch, req Request) (*closure, error) {
	head := b.Compactor.Head().Number()
	schema, since := req.Good.Handler.Describe().Key, req.Since
	for {
		x, err := eraOf(ctx, b.Log, head, since, req.Bad)
		if err != nil {
			return nil, err
		}
		t, err := follow(ctx, b.Log, x, req.Bad)
		if err != nil {
			return nil, older(err)
		}
		if err := t.look(ctx, b.Log, req.Good.Handler, schema); err != nil {
			return nil, err
		}
		c, err := t.close()
		var more errOlder
		if errors.As(err, &more) && more.since-1 < since {
			since = more.since - 1
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(c.keys) == 0 {
			return nil, nothing(x, req.Bad)
		}
		return c, nil
	}
}

func nothing(x *era, bad Bad) error {
	if x.by > 0 {
		return lockstep.Hint(fmt.Errorf("revert %s: %w: version %d has done it", bad, ErrNothing, x.by), fmt.Sprintf(`"lockstep show %d" says what it did`, x.by))
	}
	return fmt.Errorf("revert %s: %w", bad, ErrNothing)
}

func older(err error) error {
	if errors.Is(err, version.ErrRetired) {
		return lockstep.Hint(err, `the history that a revert needs is gone: "lockstep rollback plan --data rebuild" derives everything from the mirror of the table`)
	}
	return err
}

// carryOut restores and handles again, and notes what comes of it.
func (p *Plan) carryOut(ctx context.Context, b *branch.Branch, req Request) error {
	c := p.closure
	entries := c.t.era.entries
	p.Since, p.Through = entries[c.oldest].Number, p.Head
	p.Keys, p.Joined, p.Tainted, p.Looked = len(c.keys), c.joined, c.tainted, len(c.restore)
	p.reverted = version.Reverted{Revision: req.Bad.Revision, Version: req.Bad.Version, Message: req.Bad.Message, Since: p.Since, Through: p.Through, By: p.Good}
	back, err := c.restoration(ctx, b.Log)
	if err != nil {
		return older(err)
	}
	_, err = b.Compactor.Correct(ctx, compact.Correction{Kind: version.Revert, Alone: true, Reverts: &p.reverted, Delta: version.Delta{Mutations: back}})
	if err != nil {
		return fmt.Errorf("restore the images from before: %w", err)
	}
	if err := p.replay(ctx, b, req); err != nil {
		return err
	}
	if err := p.parked(ctx, b); err != nil {
		return err
	}
	p.Digests = map[string]string{}
	digests := b.Compactor.Head().Entry.Digests()
	for name, d := range digests {
		p.Digests[string(name)] = d
	}
	p.Digest = version.IndexDigest(digests)
	return p.net(ctx, b)
}

// replay handles the closure's messages again: one commit per version, at its time, so
// that units and clocks are the ones of the original.
func (p *Plan) replay(ctx context.Context, b *branch.Branch, req Request) error {
	c := p.closure
	schema := req.Good.Handler.Describe().Key
	entries := c.t.era.entries
	for i := c.oldest; i < len(entries); i++ {
		e := entries[i]
		if e.Delta != nil && e.Delta.Messages > 0 {
			n, err := again(ctx, b, e, schema, func(m *version.Archived) bool {
				at, ok := c.t.index[m.Group]
				if !ok || i < c.t.keys[at].from || !c.t.replayable(m) {
					return false
				}
				p.groups[m.ID] = m.Group
				return true
			})
			if err != nil {
				return err
			}
			p.Messages += n
		}
		if req.Progress != nil {
			req.Progress(i-c.oldest+1, len(entries)-c.oldest)
		}
	}
	return nil
}

// again commits archived messages of one version once more.
func again(ctx context.Context, b *branch.Branch, e *version.Entry, schema handler.KeySchema, keep func(*version.Archived) bool) (int, error) {
	d, err := b.Log.Delta(ctx, e.Number)
	if err != nil {
		return 0, older(err)
	}
	inputs, err := compact.ArchivedInputs(ctx, d, schema, keep)
	if err != nil || len(inputs) == 0 {
		return 0, err
	}
	b.Now = e.At
	if _, err := b.Compactor.Commit(ctx, inputs); err != nil {
		return 0, fmt.Errorf("handle the messages of version %d again: %w", e.Number, err)
	}
	return len(inputs), nil
}

// Writes says whether the plan changes anything.
func (p *Plan) Writes() bool { return len(p.delta.Mutations) > 0 }

// keyNames returns the partition keys of the closure, sorted.
func (c *closure) keyNames() []string {
	out := make([]string, 0, len(c.keys))
	for _, at := range c.keys {
		out = append(out, c.t.keys[at].name)
	}
	slices.Sort(out)
	return out
}
