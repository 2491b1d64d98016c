package simtest

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// compaction is one life of a compactor.
type compaction struct {
	*actor
	c     *compact.Compactor
	state *state.State
	vlog  *version.Log
	picky bool             // it runs the revision with the bug
	base  *version.BaseRef // built and not adopted yet
}

// compactor is the script of a compacting process: open, work, end now and then.
func (a *actor) compactor() {
	st, err := a.openState()
	if err != nil {
		a.w.violated(fmt.Errorf("%s: %w", a.name, err))
		return
	}
	p := &compaction{actor: a, state: st, vlog: a.openLog(), picky: !a.fixed()}
	p.c, err = compact.New(p.vlog, st, simRouter{a, a.revision()}, &importer{a}, compact.Options{
		Actor: a.name, Workers: 1, Now: a.now, Replay: 1 + a.w.rng.IntN(8),
	})
	if err != nil {
		a.w.violated(fmt.Errorf("%s: %w", a.name, err))
		return
	}
	for a.w.err == nil {
		a.at("idle", "")
		a.begunCalm = a.w.calm
		if p.picky && a.fixed() && a.w.chance(20) || !a.w.calm && a.w.chance(1) {
			break
		}
		ctx, done := a.operation()
		p.turn(ctx)
		done()
	}
	a.open = nil
	if err := st.Close(); err != nil {
		a.w.violated(fmt.Errorf("%s: %w", a.name, err))
	}
	a.well = true
}

// turn does one thing.
func (p *compaction) turn(ctx context.Context) {
	w := p.w
	if w.reverting && (w.chance(8) || w.calm && w.chance(30)) {
		p.revert(ctx)
		return
	}
	switch x := w.rng.IntN(100); {
	case x < 70:
		p.commit(ctx)
	case x < 84:
		p.c.Poll()
		if p.done("refresh", p.c.Refresh(ctx)) {
			p.settle()
		}
	case x < 92:
		if w.calm || w.chance(30) {
			_, err := p.c.Retry(ctx, nil)
			p.done("retry", err)
		}
	case x < 94:
		p.drop(ctx)
	case x < 96:
		p.bases(ctx)
	default:
		if err := w.witness.sameState(ctx, p.state); err != nil {
			w.violated(fmt.Errorf("%s: local state: %w", p.name, err))
		}
	}
}

// commit takes a batch from the queue, and acknowledges it when it was committed.
func (p *compaction) commit(ctx context.Context) {
	w := p.w
	if len(w.queue) == 0 {
		return
	}
	var inputs []compact.Input
	for n := 1 + w.rng.IntN(6); n > 0 && len(w.queue) > 0; n-- {
		i := 0
		if w.chance(40) {
			i = w.rng.IntN(len(w.queue))
		}
		m := w.queue[i]
		w.queue = slices.Delete(w.queue, i, i+1)
		p.inHand = append(p.inHand, m)
		inputs = append(inputs, compact.Input{Message: m.Message, Bad: m.bad})
	}
	res, err := p.c.Commit(ctx, inputs)
	if !p.done("commit", err) {
		w.queue = append(w.queue, p.inHand...) // the queue delivers it again
		p.inHand = nil
		return
	}
	p.at("done", "") // it may die between the commit and the acknowledgement
	for i, m := range p.inHand {
		w.account.acknowledged(p.name, m, res.Outcomes[i].Outcome)
	}
	p.inHand = nil
	w.account.must(w.witness.head())
}

// settle tells the scheduler that this process is at a version and has nothing to do.
func (p *compaction) settle() { p.w.settled[p.name] = p.state.Version() }

// drop gives one parked message up, as a person does.
func (p *compaction) drop(ctx context.Context) {
	parked := p.w.witness.head().parkedIDs()
	if p.w.calm || !p.w.losing || len(parked) == 0 {
		return
	}
	_, err := p.c.Drop(ctx, parked[p.w.rng.IntN(len(parked))], "nobody needs it")
	if p.done("drop", err) {
		p.w.count.outcomes[outcomeIndex(lockstep.ResolvedOut)]++
	}
}

// bases builds a base in one turn and adopts it in a later one, as the server does
// beside its commits.
func (p *compaction) bases(ctx context.Context) {
	if ref := p.base; ref != nil {
		p.base = nil
		p.done("adopt a base", p.c.AdoptBase(ctx, *ref))
		return
	}
	if p.state.Version() == 0 || p.w.bases == 0 {
		return
	}
	p.w.bases--
	var unique [4]byte
	_, _ = p.ids.Read(unique[:]) // it never fails
	view, err := p.state.Read()
	if err != nil {
		p.w.violated(err)
		return
	}
	defer func() {
		if err := view.Close(); err != nil {
			p.w.violated(err)
		}
	}()
	ref, err := compact.BuildBase(ctx, p.vlog, view, compact.BaseJob{Unique: hex.EncodeToString(unique[:])})
	if p.done("build a base", err) {
		p.w.count.bases++
		p.base = &ref
	}
}

// resetter is the script of the person who takes things back.
func (a *actor) resetter() {
	log := a.openLog()
	for a.w.err == nil {
		a.at("idle", "")
		a.begunCalm = a.w.calm
		w, head := a.w, a.w.witness.head()
		if head.n == 0 {
			continue
		}
		ctx, done := a.operation()
		held := slices.ContainsFunc(head.entry.Backlog, func(s version.Span) bool { return s.Mode == version.Hold })
		switch x := w.rng.IntN(100); {
		case held && (w.calm || x < 15*w.haste):
			_, err := compact.Release(ctx, log, a.name, "go on", a.now())
			a.done("release", err)
		case w.calm:
		case x < 7*w.haste && w.resets > 0:
			w.resets--
			a.reset(ctx, log, head.n)
		case x < 8*w.haste:
			_, err := compact.PutFence(ctx, log, compact.FenceRequest{Actor: a.name, Reason: "stop", Now: a.now()})
			a.done("fence", err)
		case x < 12*w.haste || w.trial.lagging:
			a.turnTrial(ctx)
		}
		done()
	}
}

func (a *actor) reset(ctx context.Context, log *version.Log, head uint64) {
	w := a.w
	req := compact.ResetRequest{Mode: compact.ResetReplay, Actor: a.name, Now: a.now()}
	req.To = head - min(head, 1+uint64(w.rng.IntN(8)))
	if w.chance(15) {
		req.To = uint64(w.rng.IntN(int(head)))
	}
	switch x := w.rng.IntN(100); {
	case x < 30 || w.crowded && x >= 70:
		req.Mode = compact.ResetHold
	case x < 50 && w.losing:
		req.Mode = compact.ResetDiscard
	}
	w.note("reset to %d, %s", req.To, req.Mode)
	if _, _, err := compact.DoReset(ctx, log, req); a.done("reset", err) {
		w.count.resets++
	}
}

// parkedIDs returns the messages that are parked in a version, sorted.
func (s *seen) parkedIDs() []string {
	var out []string
	for k := range s.rows {
		if k.c == lockstep.Parked {
			out = append(out, s.parked[k.id].ID)
		}
	}
	slices.Sort(out)
	return out
}
