package incident

import (
	"encoding/json"
	"fmt"

	"lockstep/internal/lockstep"
	"lockstep/internal/redact"
)

// texts calls f for every text of e that somebody wrote, or that was put together from
// such. It is the one list of them: what is stored is cleaned by it, and what is read
// is checked by it. A test finds a field that is missing here.
func (e *Entry) texts(f func(k shape, s *string)) {
	f(name(), &e.Actor)
	f(line(), &e.What)
	e.Incident.texts(f)
}

func (in *Incident) texts(f func(k shape, s *string)) {
	f(line(), &in.Title)
	f(name(), &in.OpenedBy)
	f(line(), &in.Cause.Reason)
	f(long(), &in.Cause.Analysis)
	for i := range in.Cause.Findings {
		x := &in.Cause.Findings[i]
		each(f, name(), &x.Guard, &x.Verdict)
		each(f, line(), &x.Reason, &x.Link)
	}
	if x := in.Subject; x != nil {
		each(f, name(), &x.Release, &x.Candidate, &x.Stable, &x.Step)
	}
	for i := range in.Marks {
		x := &in.Marks[i]
		f(name(), &x.By)
		each(f, line(), &x.Source, &x.Unknown)
	}
	if x := in.Affected; x != nil {
		x.texts(f)
	}
	for i := range in.Links {
		x := &in.Links[i]
		f(name(), &x.By)
		each(f, line(), &x.To, &x.Text)
	}
	for i := range in.Notes {
		x := &in.Notes[i]
		f(name(), &x.By)
		f(text(), &x.Text)
	}
	for i := range in.Decisions {
		x := &in.Decisions[i]
		f(name(), &x.By)
		each(f, line(), &x.What, &x.Why)
	}
	for i := range in.Tasks {
		in.Tasks[i].texts(f)
	}
	in.endingTexts(f)
}

func each(f func(k shape, s *string), k shape, all ...*string) {
	for _, s := range all {
		f(k, s)
	}
}

func (a *Affected) texts(f func(k shape, s *string)) {
	f(name(), &a.By)
	f(line(), &a.Source)
	for i := range a.Counts {
		f(name(), &a.Counts[i].Collection)
	}
	for _, all := range [][]string{a.IDs, a.Keys} {
		for i := range all {
			f(line(), &all[i])
		}
	}
}

func (t *Task) texts(f func(k shape, s *string)) {
	each(f, name(), &t.Owner, &t.By)
	f(line(), &t.Title)
	for i := range t.Steps {
		f(line(), &t.Steps[i])
	}
	if d := t.Done; d != nil {
		f(name(), &d.By)
		each(f, line(), &d.Text, &d.Link)
	}
}

func (in *Incident) endingTexts(f func(k shape, s *string)) {
	for i := range in.Signatures {
		x := &in.Signatures[i]
		f(name(), &x.By)
		f(line(), &x.Reason)
	}
	for i := range in.Accepted {
		x := &in.Accepted[i]
		each(f, name(), &x.What, &x.By)
		f(line(), &x.Reason)
	}
	signed := func(x *Signed) {
		if x != nil {
			f(name(), &x.By)
			f(line(), &x.Reason)
		}
	}
	closed := func(x *Closed) {
		f(name(), &x.By)
		f(line(), &x.Reason)
	}
	signed(in.Report)
	if in.Closed != nil {
		closed(in.Closed)
	}
	for i := range in.Past {
		x := &in.Past[i]
		closed(&x.Closed)
		signed(x.Report)
		f(name(), &x.By)
		f(line(), &x.Reason)
	}
}

// cleaned returns a copy of e, every text of which is as it is kept.
func (e Entry) cleaned(r *redact.Redactor) (Entry, error) {
	// A transition shares with its predecessor what it did not change.
	body, err := json.Marshal(e)
	if err != nil {
		return Entry{}, fmt.Errorf("copy incident entry: %w: %w", lockstep.ErrInvalid, err)
	}
	var c Entry
	if err := json.Unmarshal(body, &c); err != nil {
		return Entry{}, fmt.Errorf("copy incident entry: %w: %w", lockstep.ErrInvalid, err)
	}
	c.texts(func(k shape, s *string) { *s = k.store(*s, r) })
	return c, nil
}

func (e *Entry) checkTexts() error {
	var bad error
	e.texts(func(k shape, s *string) {
		if err := k.check(*s); err != nil && bad == nil {
			bad = err
		}
	})
	return bad
}
