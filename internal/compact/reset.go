package compact

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// ResetMode says what happens to the changes that came after the version.
type ResetMode string

// The three forms of reset.
const (
	ResetReplay  ResetMode = "replay"  // handled again by the current revision: the default
	ResetHold    ResetMode = "hold"    // kept in the backlog until released
	ResetDiscard ResetMode = "discard" // given up: a loss, to be accepted by name
)

// ResetRequest asks for the state of an earlier version.
type ResetRequest struct {
	To     uint64
	Mode   ResetMode
	Actor  string
	Reason string
	Now    time.Time
}

// ResetPlan says what a reset would do.
type ResetPlan struct {
	From     uint64         `json:"from"`
	To       uint64         `json:"to"`
	Parting  uint64         `json:"parting"` // where the two lines of states part
	Mode     ResetMode      `json:"mode"`
	Versions int            `json:"versions"` // on the line that is left
	Messages int            `json:"messages"` // archived there: replayed, held or lost
	Backlog  []version.Span `json:"backlog"`  // after the reset
	Lost     []version.Span `json:"lost,omitempty"`

	head   version.Head
	target *version.Entry // nil for version 0
	left   []uint64       // the versions behind Versions
}

// PlanReset looks what a reset would do. It changes nothing.
func PlanReset(ctx context.Context, log *version.Log, req ResetRequest) (ResetPlan, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return ResetPlan{}, err
	}
	p := ResetPlan{From: head.Number(), To: req.To, Mode: req.Mode, head: head}
	if req.To > head.Number() {
		return p, lockstep.Hint(fmt.Errorf("reset to version %d: the newest is %d: %w", req.To, head.Number(), lockstep.ErrNotFound), `"lockstep log" lists the versions`)
	}
	if req.To == head.Number() {
		return p, fmt.Errorf("reset to version %d: %w: it is the newest already", req.To, lockstep.ErrRefused)
	}
	if req.To > 0 {
		if p.target, err = log.Read(ctx, req.To); err != nil {
			return p, err
		}
	}
	path, err := log.Path(ctx, head.Number(), req.To)
	if err != nil {
		return p, err
	}
	p.left = path.Undo
	p.Parting = req.To
	if n := len(path.Undo); n > 0 {
		oldest, err := log.Read(ctx, path.Undo[n-1])
		if err != nil {
			return p, err
		}
		p.Parting = oldest.Parent
	}
	return p, p.count(ctx, log)
}

// count fills in the numbers and the backlog: the messages of the line that is left
// come first, then what was still waiting from earlier resets.
func (p *ResetPlan) count(ctx context.Context, log *version.Log) error {
	for _, n := range p.left {
		e, err := log.Read(ctx, n)
		if err != nil {
			return err
		}
		p.Versions++
		if e.Delta != nil {
			p.Messages += e.Delta.Messages
		}
	}
	waiting := slices.Clone(p.head.Entry.Backlog)
	if p.Messages > 0 {
		s := version.Span{From: p.Parting, To: p.From, Mode: version.Replay}
		switch p.Mode {
		case ResetReplay:
			waiting = slices.Insert(waiting, 0, s)
		case ResetHold:
			s.Mode = version.Hold
			waiting = slices.Insert(waiting, 0, s)
		case ResetDiscard:
			p.Lost = append(p.Lost, s)
		default:
			return fmt.Errorf("reset mode %q: %w: want replay, hold or discard", p.Mode, lockstep.ErrInvalid)
		}
	}
	p.Backlog = waiting
	return nil
}

// LostMessages lists the messages that a discarding reset gives up.
func (p *ResetPlan) LostMessages(ctx context.Context, log *version.Log) ([]version.Archived, error) {
	var out []version.Archived
	for _, s := range p.Lost {
		line, err := log.Line(ctx, s.From, s.To)
		if err != nil {
			return nil, err
		}
		for _, n := range line {
			d, err := log.Delta(ctx, n)
			if err != nil {
				return nil, err
			}
			if d != nil {
				out = append(out, d.Messages...)
			}
		}
	}
	return out, nil
}

// DoReset publishes one entry whose state is that of an earlier version: its digests
// are that version's, whatever the size of the index. What came after is in the
// entry's backlog, which the next compactor works off before anything new. Nothing
// is changed on error; ErrConflict after many lost races.
func DoReset(ctx context.Context, log *version.Log, req ResetRequest) (ResetPlan, version.Head, error) {
	for range 16 {
		p, err := PlanReset(ctx, log, req)
		if err != nil {
			return p, version.Head{}, err
		}
		e := &version.Entry{
			Kind: version.Reset, Parent: req.To, Backlog: p.Backlog, Discarded: p.Lost, At: req.Now.UTC(),
			Cause: version.Cause{Command: "reset " + string(req.Mode), Actor: req.Actor, Reason: req.Reason, Target: req.To},
		}
		if p.target != nil {
			e.Base, e.Collections, e.SinceBase, e.Chain = p.target.Base, p.target.Collections, p.target.SinceBase, p.target.Chain
		} else {
			e.Collections = emptied(p.head.Entry.Collections)
		}
		head, err := log.Publish(ctx, p.head, e, nil)
		if err == nil {
			return p, head, nil
		}
		if !errors.Is(err, ledger.ErrHeadMoved) {
			return p, version.Head{}, err
		}
	}
	return ResetPlan{}, version.Head{}, lockstep.Hint(fmt.Errorf("reset to version %d: %w", req.To, ledger.ErrHeadMoved), "the log is too busy; pause the writers and try again")
}

func emptied(cs []version.CollectionState) []version.CollectionState {
	out := slices.Clone(cs)
	for i := range out {
		out[i].Records, out[i].Digest = 0, version.EmptyDigest()
	}
	return out
}

// Release lets the held messages of earlier resets be replayed. ErrRefused when
// nothing is held.
func Release(ctx context.Context, log *version.Log, actor, reason string, now time.Time) (version.Head, error) {
	return amend(ctx, log, version.Cause{Command: "replay held", Actor: actor, Reason: reason}, now, func(e *version.Entry) error {
		held := false
		for i := range e.Backlog {
			held = held || e.Backlog[i].Mode == version.Hold
			e.Backlog[i].Mode = version.Replay
		}
		if !held {
			return fmt.Errorf("replay held messages: %w: no messages are held", lockstep.ErrRefused)
		}
		return nil
	})
}

// FenceRequest asks for a fence.
type FenceRequest struct {
	Trial    string // to be ended; "": none, only what is planned now loses
	Revision string // the id of its candidate
	Actor    string
	Reason   string
	Now      time.Time
}

// PutFence publishes an entry that changes no record, so that everything planned before
// it loses its commit and is planned again, without the candidate of the trial that it
// ends. When that trial is ended already, nothing is published and the newest version is
// returned.
func PutFence(ctx context.Context, log *version.Log, req FenceRequest) (version.Head, error) {
	cause := version.Cause{Command: "fence", Actor: req.Actor, Reason: req.Reason}
	return amend(ctx, log, cause, req.Now, func(e *version.Entry) error {
		if req.Trial == "" {
			return nil
		}
		if slices.ContainsFunc(e.Fenced, func(f version.Fenced) bool { return f.Trial == req.Trial }) {
			return errAsAsked
		}
		f := version.Fenced{Trial: req.Trial, Revision: req.Revision, Reason: req.Reason, Since: e.Parent + 1}
		e.Fenced = append(slices.Clone(e.Fenced), f)
		e.Fenced = e.Fenced[max(0, len(e.Fenced)-version.MaxFenced):]
		return nil
	})
}

// errAsAsked says that the newest version is as the request wants it.
var errAsAsked = errors.New("it is so already")

// amend publishes an entry with the state of the head and what change does to the
// rest of it.
func amend(ctx context.Context, log *version.Log, cause version.Cause, now time.Time, change func(*version.Entry) error) (version.Head, error) {
	for range 16 {
		head, err := log.Head(ctx)
		if err != nil {
			return version.Head{}, err
		}
		e := &version.Entry{Kind: version.Fence, Parent: head.Number(), Cause: cause, At: now.UTC()}
		if prev := head.Entry; prev != nil {
			e.Base, e.Collections, e.SinceBase, e.Chain, e.Backlog = prev.Base, prev.Collections, prev.SinceBase, prev.Chain, slices.Clone(prev.Backlog)
			e.Fenced = prev.Fenced
		}
		if err := change(e); errors.Is(err, errAsAsked) {
			return head, nil
		} else if err != nil {
			return version.Head{}, err
		}
		next, err := log.Publish(ctx, head, e, nil)
		if err == nil || !errors.Is(err, ledger.ErrHeadMoved) {
			return next, err
		}
	}
	return version.Head{}, fmt.Errorf("%s: %w", cause.Command, ledger.ErrHeadMoved)
}
