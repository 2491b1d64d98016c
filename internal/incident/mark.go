package incident

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// MarkKind is one of the five times that an incident is measured by.
type MarkKind string

// The five time marks, in the order in which they usually come.
const (
	MarkFirstBad  MarkKind = "first-bad-effect"
	MarkDetected  MarkKind = "detected"
	MarkCommanded MarkKind = "commanded"
	MarkLastBad   MarkKind = "last-bad-execution"
	MarkClean     MarkKind = "data-clean"
)

// MarkKinds lists the five time marks.
func MarkKinds() []MarkKind {
	return []MarkKind{MarkFirstBad, MarkDetected, MarkCommanded, MarkLastBad, MarkClean}
}

// Title is the mark's name for people.
func (k MarkKind) Title() string {
	switch k {
	case MarkFirstBad:
		return "first bad effect"
	case MarkDetected:
		return "detected"
	case MarkCommanded:
		return "commanded"
	case MarkLastBad:
		return "last bad execution"
	case MarkClean:
		return "data clean"
	}
	return "a mark that this program does not know"
}

// noun is the mark within a sentence.
func (k MarkKind) noun() string {
	switch k {
	case MarkFirstBad:
		return "the first bad effect"
	case MarkDetected:
		return "the detection"
	case MarkCommanded:
		return "the command"
	case MarkLastBad:
		return "the last bad execution"
	case MarkClean:
		return "the clean data"
	}
	return "a mark that this program does not know"
}

// Mark is one of the five times, with where it is known from. One that cannot be known
// has a reason in its place.
type Mark struct {
	Kind    MarkKind  `json:"kind"`
	At      time.Time `json:"at,omitzero"`
	Source  string    `json:"source,omitempty"`  // a ledger entry, a log, an address
	Unknown string    `json:"unknown,omitempty"` // why there is no time
	By      string    `json:"by"`
	Set     time.Time `json:"set"` // when it was recorded
}

// Known says whether the mark has a time.
func (m Mark) Known() bool { return !m.At.IsZero() }

// Mark returns a mark, and one that says why it is not known when there is none.
func (in Incident) Mark(kind MarkKind) Mark {
	for _, m := range in.Marks {
		if m.Kind == kind {
			return m
		}
	}
	return Mark{Kind: kind, Unknown: "nobody has recorded it"}
}

// SetMark records one of the five times, in place of what was recorded before; the
// ledger keeps that. Of m, Kind and either At and Source or Unknown count. ErrInvalid:
// it has no source, because times are not guessed, or it lies in the future.
func SetMark(in Incident, by Order, m Mark) (Transition, error) {
	t, next, err := beginOpen(in, by, KindMark)
	if err != nil {
		return Transition{}, err
	}
	if !slices.Contains(MarkKinds(), m.Kind) {
		return Transition{}, fmt.Errorf("incident %s: %w mark %.40q: known are %v", in.ID, lockstep.ErrInvalid, m.Kind, MarkKinds())
	}
	what := "mark " + m.Kind.Title()
	if m.Known() {
		m.At, m.Unknown = plain(m.At), ""
		err = line().want("source of the time", m.Source)
		m.Source = kept(m.Source)
		if err == nil && m.At.After(t.Entry.At) {
			err = fmt.Errorf("%w time %s: it is in the future", lockstep.ErrInvalid, clockTime(m.At))
		}
	} else {
		m.At, m.Source = time.Time{}, ""
		err = line().want("reason why the time is not known", m.Unknown)
		m.Unknown = kept(m.Unknown)
	}
	if err != nil {
		return Transition{}, invalid(in, what, err)
	}
	if old := in.Mark(m.Kind); old.By != "" && old.At.Equal(m.At) && old.Source == m.Source && old.Unknown == m.Unknown {
		return same(in)
	}
	m.By, m.Set = by.Actor, t.Entry.At
	next.Marks = slices.DeleteFunc(next.Marks, func(o Mark) bool { return o.Kind == m.Kind })
	next.Marks = append(next.Marks, m)
	order := MarkKinds()
	slices.SortFunc(next.Marks, func(a, b Mark) int {
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
	if !m.Known() {
		return t.said("%s is not known: %s", m.Kind.Title(), m.Unknown)
	}
	return t.said("%s: %s, by %s", m.Kind.Title(), clockTime(m.At), m.Source)
}

// Interval is the time from one mark to another.
type Interval struct {
	Name     string // "time to detect"
	From, To MarkKind
	Known    bool
	Took     time.Duration
	Note     string // why it is not known; of a known one, what is to be said of it
}

// String is the time as people say it, or "not known" and why.
func (i Interval) String() string {
	if !i.Known {
		return "not known: " + i.Note
	}
	if i.Note != "" {
		return span(i.Took) + ": " + i.Note
	}
	return span(i.Took)
}

// Intervals returns what the five marks say: how long it took to detect, to command, to
// stop and to clean, and all together. Stopping and cleaning both count from the
// command.
func (in Incident) Intervals() []Interval {
	return []Interval{
		in.interval("time to detect", MarkFirstBad, MarkDetected),
		in.interval("time to command", MarkDetected, MarkCommanded),
		in.stopped(),
		in.interval("time to clean", MarkCommanded, MarkClean),
		in.interval("total", MarkFirstBad, MarkClean),
	}
}

func (in Incident) interval(name string, from, to MarkKind) Interval {
	i := Interval{Name: name, From: from, To: to}
	a, b := in.Mark(from), in.Mark(to)
	for _, m := range []Mark{a, b} {
		if !m.Known() {
			i.Note = m.Unknown
			if m.By == "" {
				i.Note = "nobody has recorded when " + m.Kind.noun() + " was"
			}
			return i
		}
	}
	if i.Took = b.At.Sub(a.At); i.Took < 0 {
		i.Note = fmt.Sprintf("by the recorded times, %s was %s before %s", to.noun(), span(-i.Took), from.noun())
		i.Took = 0
		return i
	}
	i.Known = true
	return i
}

// stopped is the one interval that may rightly be negative: what is bad may have run
// for the last time before anybody said that it should not.
func (in Incident) stopped() Interval {
	i := in.interval("time to stop", MarkCommanded, MarkLastBad)
	a, b := in.Mark(MarkCommanded), in.Mark(MarkLastBad)
	if a.Known() && b.Known() && b.At.Before(a.At) {
		i.Known, i.Took = true, 0
		i.Note = "its last execution was " + span(a.At.Sub(b.At)) + " before the command"
	}
	return i
}
