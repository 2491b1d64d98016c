package incident

import (
	"fmt"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Opening is what an incident begins with.
type Opening struct {
	Environment string
	Actor       string // who opens it: a person, or the machine that saw the verdict
	At          time.Time
	Title       string // one line; empty: it is made from the rest
	Reason      string // of a person; of a verdict, its reason in one line
	// Findings and Analysis are what the verdict rests on. Both empty: a person opens it.
	Findings []Finding
	Analysis string
	Subject  *Subject // the release attempt that it is about, if any
}

// ByVerdict says whether a verdict opens it, and not a person.
func (o Opening) ByVerdict() bool { return o.cause().ByVerdict() }

func (o Opening) cause() Cause {
	return Cause{Reason: o.Reason, Findings: o.Findings, Analysis: o.Analysis}
}

func (o Opening) check() error {
	if !environmentName.MatchString(o.Environment) {
		return fmt.Errorf("%w environment %.80q: want 1 to 32 of a-z 0-9 -, a letter or digit at both ends", lockstep.ErrInvalid, o.Environment)
	}
	if err := (Order{Actor: o.Actor, At: o.At}).check(); err != nil {
		return err
	}
	if line().tidy(o.Reason) == "" {
		return lockstep.Hint(fmt.Errorf("%w reason: it is empty", lockstep.ErrInvalid), "say what is wrong; it is kept with the incident")
	}
	if s := o.Subject; s != nil && (s.Release == "" || s.Attempt < 1 || s.Candidate == "") {
		return fmt.Errorf("%w subject: release %q, attempt %d, candidate %q", lockstep.ErrInvalid, s.Release, s.Attempt, s.Candidate)
	}
	return nil
}

// about says whether in is the incident that o would open once more: that of the same
// attempt, closed or not, or an open one of the same guards about no release. What a
// person opens about no release is always new.
func (o Opening) about(in Incident) bool {
	switch {
	case o.Subject != nil:
		return in.Subject != nil && in.Subject.Release == o.Subject.Release && in.Subject.Attempt == o.Subject.Attempt
	case !o.ByVerdict() || in.Subject != nil || !in.Open():
		return false
	}
	for _, f := range o.Findings {
		for _, g := range in.Cause.Findings {
			if f.Guard == g.Guard {
				return true
			}
		}
	}
	return len(o.Findings) == 0 && len(in.Cause.Findings) == 0 && in.Cause.ByVerdict()
}

// Open begins incident number of its environment, with the tasks of the document. Of
// more findings than an entry holds it keeps the first. ErrInvalid: something that it
// needs is missing. Book.OpenFor chooses the number.
func Open(o Opening, number uint64) (Transition, error) {
	if err := o.check(); err != nil {
		return Transition{}, fmt.Errorf("open an incident: %w", err)
	}
	at := plain(o.At)
	in := Incident{
		ID: idOf(o.Environment, number), Environment: o.Environment, Number: number, Title: o.title(), Status: StatusOpen,
		OpenedAt: at, OpenedBy: o.Actor, Cause: o.cause(), Tasks: documentTasks(at),
	}
	in.Cause.Findings = nil
	for _, f := range o.Findings[:min(len(o.Findings), MaxFindings)] {
		f.At = plain(f.At)
		in.Cause.Findings = append(in.Cause.Findings, f)
	}
	if o.Subject != nil {
		s := *o.Subject
		if !s.Since.IsZero() {
			s.Since = plain(s.Since)
		}
		in.Subject = &s
	}
	in.Marks = []Mark{o.detected(at)}
	t := Transition{Entry: Entry{Kind: KindOpen, Actor: o.Actor, At: at, Incident: in}}
	return t.said("opened: %s", o.Reason)
}

// detected is the mark that an opening brings with it: the first verdict, or the word
// of the person.
func (o Opening) detected(opened time.Time) Mark {
	m := Mark{Kind: MarkDetected, At: opened, Source: "the word of " + o.Actor, By: o.Actor, Set: opened}
	if !o.ByVerdict() {
		return m
	}
	m.Source = "the verdict of the analysis"
	for i, f := range o.Findings {
		if i == 0 {
			m.Source = "the verdict of guard " + f.Guard
		}
		if !f.At.IsZero() && f.At.Before(m.At) {
			m.At, m.Source = plain(f.At), "the verdict of guard "+f.Guard
		}
	}
	return m
}

func (o Opening) title() string {
	switch {
	case o.Title != "":
		return o.Title
	case o.Subject != nil:
		short, _, _ := strings.Cut(o.Subject.Candidate, "+")
		return short + " in " + o.Environment + ": " + o.Reason
	}
	return o.Reason
}

// Closing is how somebody wants to close an incident.
type Closing struct {
	Reason string
	// Checklist is that of the rollback, if there was one.
	Checklist []Group
	// Accept names what is open and may stay so: ids of tasks and of items.
	Accept []string
}

// Close ends the incident. ErrRefused: tasks or items of the checklist are open that
// nobody accepted by name, and the hint names them. ErrInvalid: a name is accepted that
// is not open. ErrClosed: it is closed.
func Close(in Incident, by Order, c Closing) (Transition, error) {
	t, next, err := beginOpen(in, by, KindClose)
	if err != nil {
		return Transition{}, err
	}
	if err := line().want("reason", c.Reason); err != nil {
		return Transition{}, invalid(in, "close", err)
	}
	open := in.Blocking(c.Checklist)
	still := map[string]bool{}
	for _, b := range open {
		still[b.ID] = true
	}
	for _, id := range c.Accept {
		if !still[id] {
			return Transition{}, lockstep.Hint(fmt.Errorf("incident %s: close: %w name %.80q: nothing that is open has it", in.ID, lockstep.ErrInvalid, id), blockedHint(in, open))
		}
		delete(still, id)
		if err := full(in, "acceptance", len(next.Accepted), MaxAccepted); err != nil {
			return Transition{}, err
		}
		next.Accepted = append(next.Accepted, Acceptance{What: id, Reason: c.Reason, By: by.Actor, At: t.Entry.At})
	}
	var left []Blocker
	for _, b := range open {
		if still[b.ID] {
			left = append(left, b)
		}
	}
	if len(left) > 0 {
		return Transition{}, refuse(in, "close", count(len(left), "thing")+" still open: "+blockerWords(left), blockedHint(in, left))
	}
	next.Status, next.Closed = StatusClosed, &Closed{Reason: c.Reason, By: by.Actor, At: t.Entry.At}
	if len(c.Accept) > 0 {
		return t.said("closed with %s still open (%s): %s", count(len(c.Accept), "thing"), strings.Join(c.Accept, ", "), c.Reason)
	}
	return t.said("closed: %s", c.Reason)
}

func blockedHint(in Incident, open []Blocker) string {
	if len(open) == 0 {
		return `nothing is open: close it without accepting anything`
	}
	return fmt.Sprintf(`finish or sign them, or accept them by name: "lockstep incident close %s --accept %s"`, in.ID, open[0].ID)
}

// Reopen takes a closing back, with the signature of its report, which is kept as past.
// ErrRefused: it is not closed.
func Reopen(in Incident, by Order, reason string) (Transition, error) {
	t, next, err := begin(in, by, KindReopen)
	if err == nil {
		if err = line().want("reason", reason); err != nil {
			err = invalid(in, "reopen", err)
		}
	}
	if err != nil {
		return Transition{}, err
	}
	if in.Open() || in.Closed == nil {
		return Transition{}, refuse(in, "reopen", "it is open", "")
	}
	if err := full(in, "reopening", len(in.Past), MaxPast); err != nil {
		return Transition{}, err
	}
	next.Past = append(next.Past, Past{Closed: *in.Closed, Report: in.Report, Reason: reason, By: by.Actor, At: t.Entry.At})
	next.Status, next.Closed, next.Report = StatusOpen, nil, nil
	return t.said("reopened: %s", reason)
}
