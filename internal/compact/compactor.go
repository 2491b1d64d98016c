package compact

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// Options tunes a Compactor; the zero value works.
type Options struct {
	Actor      string           // who the entries name; default "lockstep"
	Workers    int              // goroutines that plan; default GOMAXPROCS
	Now        func() time.Time // required
	BaseFactor float64          // a base is due when the deltas weigh this share of it; default 1
	BaseBytes  int64            // deltas below this never ask for a base; default 64 MiB
	BaseChain  int              // nor fewer deltas than this, unless BaseBytes is passed; default 1024
	Replay     int              // messages of a backlog in one commit; default 2,000
	Log        *slog.Logger     // default: discard
	// CandidateBudget bounds one call of a candidate, so that one that hangs costs a batch
	// this much and not more; default 2 s. Stable takes as long as it takes.
	CandidateBudget time.Duration
}

// Compactor commits inputs as versions. Its methods, but for Head, may be called by one
// goroutine at a time; Loop serves many.
type Compactor struct {
	log      *version.Log
	state    *state.State
	router   Router
	arms     *arms    // as routed last; nil before the first Refresh
	kept     []string // hashes of the revisions behind arms.keep
	importer Importer
	opts     Options

	head     version.Head
	seen     atomic.Pointer[version.Head] // head, for whoever asks from another goroutine
	fresh    bool                         // head is what the store said, or what we appended since
	framers  []*version.Framer
	parked   map[string]bool
	parkedAt uint64                   // the version parked describes
	counts   map[lockstep.Outcome]int // outcomes without effect since the last version
}

// New returns a compactor on the log, working on st, whose revisions the router names.
// It reads nothing yet.
func New(log *version.Log, st *state.State, router Router, importer Importer, opts Options) (*Compactor, error) {
	if opts.Now == nil {
		return nil, fmt.Errorf("compactor: %w: no clock", lockstep.ErrInvalid)
	}
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.Actor == "" {
		opts.Actor = "lockstep"
	}
	if opts.BaseFactor == 0 {
		opts.BaseFactor = 1
	}
	if opts.BaseBytes == 0 {
		opts.BaseBytes = 64 << 20
	}
	if opts.BaseChain == 0 {
		opts.BaseChain = 1024
	}
	if opts.Replay <= 0 {
		opts.Replay = 2000
	}
	if opts.CandidateBudget <= 0 {
		opts.CandidateBudget = 2 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	c := &Compactor{log: log, state: st, router: router, importer: importer, opts: opts, counts: map[lockstep.Outcome]int{}}
	for range opts.Workers {
		f, err := version.NewFramer()
		if err != nil {
			return nil, err
		}
		c.framers = append(c.framers, f)
	}
	return c, nil
}

// Head returns the newest version that the compactor knows. Any goroutine may ask.
func (c *Compactor) Head() version.Head {
	if head := c.seen.Load(); head != nil {
		return *head
	}
	return version.Head{}
}

// moved notes that head is the newest version. Entries are never changed once read.
func (c *Compactor) moved(head version.Head) {
	c.head = head
	c.seen.Store(&head)
}

// Commit brings the inputs into versions and returns when every one of them is in
// a version, parked there, or known to need none. On error none, some or all of
// them may be; committing them again is safe and settles it.
func (c *Compactor) Commit(ctx context.Context, inputs []Input) (Result, error) {
	if err := c.Refresh(ctx); err != nil {
		return Result{}, err
	}
	res := newResult(len(inputs))
	if err := c.work(ctx, jobsOf(inputs), nil, res); err != nil {
		return Result{}, err
	}
	for _, o := range res.Outcomes {
		res.Counts[o.Outcome]++
	}
	return *res, nil
}

// Refresh brings the compactor to the newest version of the log, and finishes what
// earlier resets left to be replayed.
func (c *Compactor) Refresh(ctx context.Context) error {
	if err := c.CatchUp(ctx); err != nil {
		return err
	}
	if err := c.route(ctx); err != nil {
		return err
	}
	return c.replayBacklog(ctx)
}

// CatchUp reads the head when it is not certain, and moves the state there. It
// publishes nothing.
func (c *Compactor) CatchUp(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !c.fresh {
		head, err := c.log.Head(ctx)
		if err != nil {
			return err
		}
		c.moved(head)
		c.fresh = true
	}
	if c.state.Version() == c.head.Number() {
		return nil
	}
	if err := c.state.MoveTo(ctx, c.log, c.head.Number()); err != nil {
		return fmt.Errorf("bring the local state to version %d: %w", c.head.Number(), err)
	}
	return nil
}

func (c *Compactor) schema() change.Schema { return c.arms.stable.desc.Key }

// Poll looks whether another process has appended to the log, so that the next
// commit starts from there.
func (c *Compactor) Poll() { c.fresh = false }

// pieceJobs is how many jobs are planned at a time, and pieceMutations how many
// mutations make a version: together they bound the memory of a commit, whatever the
// number of records that one message may touch.
const (
	pieceJobs      = 32
	pieceMutations = 4096
)

// work plans the jobs and publishes until none is left. The span, if there is one, is
// marked as done by the last version.
func (c *Compactor) work(ctx context.Context, jobs []*job, span *spanWork, res *Result) error {
	for {
		plans, rest, err := c.planPiece(ctx, jobs)
		if err != nil {
			return err
		}
		if span != nil {
			span.more = len(rest) > 0 // only the last version finishes the piece
		}
		wait, err := c.settle(ctx, plans, span, res)
		if err != nil {
			return err
		}
		for _, p := range wait {
			rest = append(rest, p.job)
		}
		if jobs = rest; len(jobs) == 0 {
			return nil
		}
	}
}

// planPiece plans as many of the jobs as make one version, and returns the others.
func (c *Compactor) planPiece(ctx context.Context, jobs []*job) (plans []*planned, rest []*job, err error) {
	mutations := 0
	for {
		n := min(pieceJobs, len(jobs))
		piece, err := c.planAll(ctx, jobs[:n])
		if err != nil {
			return nil, nil, err
		}
		for _, p := range piece {
			mutations += len(p.mutations)
		}
		plans, jobs = append(plans, piece...), jobs[n:]
		if len(jobs) == 0 || mutations >= pieceMutations {
			// Cut off: jobs that wait are appended behind, and must not overwrite the caller's.
			return plans, slices.Clip(jobs), nil
		}
	}
}

// settle publishes the plans and returns those that must be planned again. The span is
// set when no other jobs follow.
func (c *Compactor) settle(ctx context.Context, plans []*planned, span *spanWork, res *Result) (wait []*planned, err error) {
	keep, wait := together(plans)
	for {
		var step *backlogStep
		if len(wait) == 0 {
			step = span.step()
		}
		n, err := c.publish(ctx, keep, step)
		if err == nil {
			res.note(keep, n)
			return wait, nil
		}
		if !errors.Is(err, ledger.ErrHeadMoved) {
			c.fresh = false // after an unknown outcome only the log knows
			return nil, err
		}
		if keep, wait, err = c.rebase(ctx, keep, wait); err != nil {
			return nil, err
		}
		if span != nil && !span.waits(c.head.Entry) {
			return nil, errOvertaken
		}
	}
}

// together also makes two plans wait for each other that would both fix the
// dimension of one collection.
func together(plans []*planned) (keep, wait []*planned) {
	keep, wait = independent(plans)
	dims := map[lockstep.Collection]int{}
	out := keep[:0:0]
	for _, p := range keep {
		clash := false
		for name, d := range p.dims {
			if dims[name] != 0 && dims[name] != d {
				clash = true
			}
		}
		if clash {
			wait = append(wait, p)
			continue
		}
		maps.Copy(dims, p.dims)
		out = append(out, p)
	}
	return out, wait
}

func newResult(inputs int) *Result {
	return &Result{Outcomes: make([]Outcome, inputs), Counts: map[lockstep.Outcome]int{}, ChangedBy: map[string]int{}}
}

func (r *Result) note(plans []*planned, n uint64) {
	r.Version = n
	for _, p := range plans {
		for entity, n := range p.changed {
			r.Changed += n
			r.ChangedBy[entity] += n
		}
		for i, slot := range p.job.slots {
			if slot >= 0 {
				r.Outcomes[slot] = p.outcomes[i]
			}
		}
	}
}
