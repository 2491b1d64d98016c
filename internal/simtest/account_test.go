package simtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lockstep/internal/handler/handlertest"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// account is what was promised to whoever sent the messages (invariant 1).
type account struct {
	w     *world
	acked []*message
	fresh []*message // since the last look
	// forgone are the keys of which a person gave something up: what is left of them is
	// only compared with the archive. By partition, or by id of a malformed piece.
	forgone map[string]bool
}

func (x *account) acknowledged(by string, m *message, o lockstep.Outcome) {
	x.w.note("%s acknowledged %s as %s", by, m.name(), o)
	x.w.count.outcomes[outcomeIndex(o)]++
	if !m.acked {
		m.acked = true
		x.acked = append(x.acked, m)
	}
	x.fresh = append(x.fresh, m)
	ignored := m.bad == nil && strings.HasPrefix(m.Group, "IGNORED")
	if m.bad != nil != (o == lockstep.BadInput) || ignored && o != lockstep.Ignored {
		x.w.violated(fmt.Errorf("%s is acknowledged as %q", m.name(), o))
	}
}

// must checks what was acknowledged since it was last called.
func (x *account) must(s *seen) {
	fresh := x.fresh
	x.fresh = nil
	x.w.violated(x.kept(s, fresh))
}

// look checks everything that was ever acknowledged, when an entry could have lost it.
func (x *account) look(s *seen) error {
	if s.entry.Kind == version.Compact && slices.Equal(s.entry.Backlog, s.parent.entry.Backlog) && s.n%8 != 0 {
		return nil
	}
	return x.kept(s, x.acked)
}

// kept says whether every one of the messages is in exactly one place: it had its effect
// on the line of s or has none there any more, or it is parked, or in the backlog.
func (x *account) kept(s *seen, messages []*message) error {
	if len(messages) == 0 {
		return nil
	}
	waiting := x.w.witness.waiting(s)
	for _, m := range s.parked {
		waiting = append(waiting, m)
	}
	for _, m := range messages {
		if err := x.has(s, m, waiting); err != nil {
			return fmt.Errorf("version %d: %w", s.n, err)
		}
	}
	return nil
}

func (x *account) has(s *seen, m *message, waiting []*message) error {
	switch {
	case m.bad != nil:
		if _, kept := s.rows[rowKey{lockstep.Malformed, m.bad.ID}]; !kept && !slices.Contains(waiting, m) && !x.forgone[m.bad.ID] {
			return fmt.Errorf("%s was acknowledged and is lost", m.name())
		}
		return nil
	case x.w.witness.ignored(m) || x.forgone[m.Group]:
		return nil
	}
	it := s.model.Items[m.Change.Key.RecordID()]
	for _, other := range waiting {
		it, _ = merged(it, other, m.Change.Key)
	}
	if _, moved := merged(it, m, m.Change.Key); moved {
		return fmt.Errorf("%s was acknowledged and is lost", m.name())
	}
	return nil
}

// merged folds the message into the item, when it is of that key.
func merged(it lockstep.MirrorItem, m *message, key lockstep.ItemKey) (lockstep.MirrorItem, bool) {
	if m.bad != nil || m.Change.Key != key {
		return it, false
	}
	next, outcome := handlertest.Merge(it, it.ID != "", m.Change)
	return next, outcome == ""
}

func (x *account) forgo(m *message) {
	if x.forgone == nil {
		x.forgone = map[string]bool{}
	}
	if m.bad != nil {
		x.forgone[m.bad.ID] = true
		return
	}
	x.forgone[m.Group] = true
}

// discards notes what a new version gives up in a person's name: the messages of a line
// that a discarding reset leaves, and parked messages that were dropped.
func (x *witness) discards(s, prev *seen) error {
	if s.delta != nil {
		for i := range s.delta.Messages {
			if a := &s.delta.Messages[i]; a.Outcome == lockstep.ResolvedOut {
				x.w.account.forgo(x.w.feed.byID[a.ID])
			}
		}
	}
	if s.entry.Kind != version.Reset || s.entry.Cause.Command != "reset discard" {
		return nil
	}
	if !x.w.losing {
		return errors.New("nobody asked to give anything up")
	}
	for _, v := range between(s.parent, prev) {
		if v.delta == nil {
			continue
		}
		for i := range v.delta.Messages {
			if v.delta.Messages[i].Outcome != lockstep.Rederived {
				x.w.account.forgo(x.w.feed.byID[v.delta.Messages[i].ID])
			}
		}
	}
	return nil
}

// between returns the versions on the line of to that are not on the line of from.
func between(from, to *seen) []*seen {
	on := map[uint64]bool{}
	for v := from; v.n > 0; v = v.parent {
		on[v.n] = true
	}
	var out []*seen
	for v := to; v.n > 0 && !on[v.n]; v = v.parent {
		out = append(out, v)
	}
	slices.Reverse(out)
	return out
}

// waiting returns the messages of the backlog of a version, read from the archive.
func (x *witness) waiting(s *seen) []*message {
	var out []*message
	for _, span := range s.entry.Backlog {
		done := 0
		for _, v := range between(x.versions[span.From], x.versions[span.To]) {
			if v.delta == nil {
				continue
			}
			for i := range v.delta.Messages {
				if o := v.delta.Messages[i].Outcome; o == lockstep.ResolvedOut || o == lockstep.Rederived {
					continue
				}
				if done++; done > span.Done {
					out = append(out, x.w.feed.byID[v.delta.Messages[i].ID])
				}
			}
		}
	}
	return out
}

// asked wants a reason for every effect of the newest version: its writer has the message
// in hand, or it was parked, or it waits to be replayed. What is held waits for a person,
// and what was given up stays so until somebody sends it again.
func (x *witness) asked(a *actor) error {
	s, before := x.head(), x.versions[len(x.versions)-2]
	if s.delta == nil {
		return nil
	}
	reasons := slices.Concat(a.inHand, x.replayed(before))
	for _, m := range s.parent.parked {
		reasons = append(reasons, m)
	}
	for i := range s.delta.Messages {
		m := x.w.feed.byID[s.delta.Messages[i].ID]
		if s.delta.Messages[i].Outcome != lockstep.Rederived && !slices.Contains(reasons, m) {
			return fmt.Errorf("version %d: nobody asked for %s, which is %s", s.n, m.name(), s.delta.Messages[i].Outcome)
		}
	}
	return nil
}

// replayed returns the messages of the backlog that are to be replayed without a word.
func (x *witness) replayed(s *seen) []*message {
	e := *s.entry
	e.Backlog = slices.DeleteFunc(slices.Clone(e.Backlog), func(s version.Span) bool { return s.Mode == version.Hold })
	return x.waiting(&seen{entry: &e})
}

// ignored says whether no entity of the handler fits the message.
func (x *witness) ignored(m *message) bool {
	if known, ok := x.w.feed.ignored[m.ID]; ok {
		return known
	}
	probe := handlertest.NewIndex(x.w.feed.handler(false), x.w.feed.source)
	outcomes, err := probe.Apply(x.w.ctx, m.Message)
	is := err == nil && outcomes[0] == lockstep.Ignored
	x.w.feed.ignored[m.ID] = is
	return is
}

// quiet says whether the world has come to rest.
func (w *world) quiet() bool { return w.unrest() == "" }

func (w *world) unrest() string {
	head := w.witness.head()
	switch {
	case w.feed.next < len(w.feed.all):
		return "not everything is delivered"
	case len(w.queue) > 0:
		return fmt.Sprintf("%d messages in the queue", len(w.queue))
	case len(head.entry.Backlog) > 0:
		return fmt.Sprintf("backlog %+v", head.entry.Backlog)
	case head.spoilt > 0:
		return fmt.Sprintf("%d messages are as the bad revision decided", head.spoilt)
	case len(head.parked) > 0:
		return fmt.Sprintf("parked %v", slices.Sorted(maps.Keys(head.parked)))
	}
	for _, a := range w.actors {
		if len(a.inHand) > 0 {
			return a.name + " is at work"
		}
		if a.name != "resetter" && head.n > 0 && w.settled[a.name] != head.n {
			return fmt.Sprintf("%s is at version %d of %d", a.name, w.settled[a.name], head.n)
		}
	}
	return ""
}

// final judges a world at rest: the state is what one fold of everything that was sent
// gives, in the order in which it happened, by somebody who never heard of versions.
func (w *world) final() error {
	head := w.witness.head()
	if err := w.witness.unchanged(w.ctx); err != nil {
		return err
	}
	if err := w.account.kept(head, w.account.acked); err != nil {
		return err
	}
	for _, m := range w.feed.all {
		if !m.acked {
			return fmt.Errorf("%s was never acknowledged", m.name())
		}
	}
	for _, a := range w.actors {
		if a.open == nil {
			continue
		}
		if err := w.witness.sameState(w.ctx, a.open); err != nil {
			return fmt.Errorf("%s: local state: %w", a.name, err)
		}
	}
	return w.folded(head)
}

func (w *world) folded(head *seen) error {
	oracle := handlertest.NewIndex(w.feed.handler(false), w.feed.source)
	for _, m := range w.feed.all {
		if m.bad != nil {
			continue
		}
		if _, err := oracle.Apply(w.ctx, m.Message); err != nil {
			return err
		}
	}
	for id, want := range oracle.Items {
		got := head.model.Items[id]
		if !w.account.forgone[want.Key.Partition] && (got.Seq != want.Seq || got.Removed != want.Removed || got.First != want.First) {
			return fmt.Errorf("item %s ended as #%s (removed %s, first %s), want #%s (%s, %s)", id, got.Seq, got.Removed, got.First, want.Seq, want.Removed, want.First)
		}
	}
	if len(w.account.forgone) > 0 {
		return nil
	}
	whole := *head
	if whole.model = oracle; w.reverting {
		whole.model = head.clean // order counts here
	}
	if err := w.witness.sameAsModel(&whole); err != nil {
		return fmt.Errorf("a fold of everything ends elsewhere: %w", err)
	}
	for _, c := range head.entry.Collections {
		if n, digest := w.witness.digest(head, c.Name); n != c.Records || digest != c.Digest {
			return fmt.Errorf("%s ended with digest %s, the records give %s", c.Name, version.Short(c.Digest), version.Short(digest))
		}
	}
	return nil
}
