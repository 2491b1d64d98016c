package compact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// spanWork is one piece of a backlog that is being handled: the messages after number
// from. When its last version is published, the span is done up to message number done.
type spanWork struct {
	span       version.Span
	from, done int
	more       bool // the version at work is not the last of the piece
}

// errOvertaken says that the span of a piece is not what it was: another compactor has
// handled messages of it, or a reset has taken them elsewhere. The rest of the piece is
// given up, for who goes on might handle what is held or was discarded since.
var errOvertaken = fmt.Errorf("the backlog has changed: %w", lockstep.ErrConflict)

// waits says whether the piece still waits to be replayed in a version.
func (w *spanWork) waits(e *version.Entry) bool {
	return slices.ContainsFunc(e.Backlog, func(s version.Span) bool {
		return same(s, w.span) && s.Mode == version.Replay && s.Done == w.from
	})
}

// backlogStep changes the backlog of the entry that finishes a piece.
type backlogStep struct{ work *spanWork }

// step returns what the last version of the piece does to the backlog, nil for an
// earlier one and when there is no piece at all.
func (w *spanWork) step() *backlogStep {
	if w == nil || w.more {
		return nil
	}
	return &backlogStep{w}
}

// after returns the backlog with the piece marked as done. The numbers are absolute,
// so that two compactors that replay the same piece do not count it twice.
func (b *backlogStep) after(backlog []version.Span) []version.Span {
	out := make([]version.Span, 0, len(backlog))
	for _, s := range backlog {
		if same(s, b.work.span) {
			s.Done = max(s.Done, b.work.done)
			if b.work.done == spanFinished {
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// spanFinished as a number of messages removes the span.
const spanFinished = -1

func same(a, b version.Span) bool { return a.From == b.From && a.To == b.To }

// replayBacklog handles, in order, the messages that resets left to be replayed.
func (c *Compactor) replayBacklog(ctx context.Context) error {
	for {
		if c.head.Entry == nil {
			return nil
		}
		i := slices.IndexFunc(c.head.Entry.Backlog, func(s version.Span) bool { return s.Mode == version.Replay })
		if i < 0 {
			return nil
		}
		s := c.head.Entry.Backlog[i]
		if err := c.replaySpan(ctx, s); err != nil && !errors.Is(err, errOvertaken) {
			return fmt.Errorf("replay the messages of versions %d to %d: %w", s.From+1, s.To, err)
		}
	}
}

// replaySpan handles one span to its end, or until a foreign version changes the
// backlog.
func (c *Compactor) replaySpan(ctx context.Context, s version.Span) error {
	line, err := c.log.Line(ctx, s.From, s.To)
	if err != nil {
		return err
	}
	seen, piece, from := 0, []Input(nil), s.Done
	flush := func(done int) error {
		res := newResult(len(piece))
		err := c.work(ctx, jobsOf(piece), &spanWork{span: s, from: from, done: done}, res)
		piece, from = piece[:0], done
		return err
	}
	for _, n := range line {
		d, err := c.log.Delta(ctx, n)
		if err != nil {
			return err
		}
		inputs, err := inputsOf(ctx, d, c.schema())
		if err != nil {
			return fmt.Errorf("version %d: %w", n, err)
		}
		for _, in := range inputs {
			if seen++; seen <= s.Done {
				continue
			}
			if piece = append(piece, in); len(piece) < c.opts.Replay {
				continue
			}
			if err := flush(seen); err != nil {
				return err
			}
			if !slices.ContainsFunc(c.head.Entry.Backlog, func(t version.Span) bool { return same(s, t) && t.Done == seen }) {
				return nil // somebody else is at work on it too; look again
			}
		}
	}
	return flush(spanFinished)
}

// inputsOf turns the archived messages of a version into inputs again. What a person
// gave up stays given up.
func inputsOf(ctx context.Context, d *version.Delta, schema change.Schema) ([]Input, error) {
	return ArchivedInputs(ctx, d, schema, func(*version.Archived) bool { return true })
}

// ArchivedInputs turns those archived messages of a version into inputs again that keep
// asks for, in their order. What a person gave up and the marks of a revert are no inputs.
// ErrCorrupt when a message does not read back.
func ArchivedInputs(ctx context.Context, d *version.Delta, schema change.Schema, keep func(*version.Archived) bool) ([]Input, error) {
	if d == nil {
		return nil, nil
	}
	out := make([]Input, 0, len(d.Messages))
	for i := range d.Messages {
		a := &d.Messages[i]
		if !keep(a) {
			continue
		}
		switch a.Outcome {
		case lockstep.ResolvedOut, lockstep.Rederived:
			continue
		case lockstep.BadInput:
			bad, err := malformedOf(d, i)
			if err != nil {
				return nil, err
			}
			out = append(out, Input{Bad: bad})
			continue
		case lockstep.Applied, lockstep.Unchanged, lockstep.ParkedAway, lockstep.Duplicate, lockstep.Stale, lockstep.Ignored:
		}
		m, err := MessageOf(ctx, a, schema)
		if err != nil {
			return nil, err
		}
		out = append(out, Input{Message: m})
	}
	return out, nil
}

// MessageOf reads an archived message back. ErrCorrupt when its body is not the one
// message it was.
func MessageOf(ctx context.Context, a *version.Archived, schema change.Schema) (lockstep.Message, error) {
	var out []change.Decoded
	for d, err := range change.Decode(ctx, bytes.NewReader(a.Body), a.Source, change.Options{Schema: schema}) {
		if err != nil {
			return lockstep.Message{}, err
		}
		out = append(out, d)
	}
	if len(out) != 1 || out[0].Bad != nil {
		return lockstep.Message{}, fmt.Errorf("archived message %s: %w: it does not read back", a.ID, lockstep.ErrCorrupt)
	}
	return out[0].Message, nil
}

func malformedOf(d *version.Delta, cause int) (*change.Malformed, error) {
	for i := range d.Mutations {
		m := &d.Mutations[i]
		if m.Cause != cause || m.Collection != lockstep.Malformed || m.After == nil {
			continue
		}
		rec, err := version.DecodeRecord(m.ID, m.After)
		if err != nil {
			return nil, err
		}
		bad, err := change.ParseMalformed(rec)
		return &bad, err
	}
	return nil, fmt.Errorf("archived malformed input %s: %w: the version does not keep its record", d.Messages[cause].ID, lockstep.ErrCorrupt)
}
