package recovery

import (
	"fmt"
	"strings"

	"lockstep/internal/incident"
	"lockstep/internal/redact"
	"lockstep/internal/rollback"
)

// sources are the other ledgers, as far as they are about an incident.
type sources struct {
	attempt *attempt // nil: it is about no release
	trail   *trail   // nil when the attempt is, but for events
	plans   []rollback.State
}

// plan returns the rollback that counts: the newest that is not itself the undoing of one.
func (s *sources) plan() *rollback.State {
	var newest *rollback.State
	for i := range s.plans {
		if p := &s.plans[i]; p.Plan.Undoes == "" && (newest == nil || !p.Plan.At.Before(newest.Plan.At)) {
			newest = p
		}
	}
	return newest
}

// inForce is plan, unless it was taken back.
func (s *sources) inForce() *rollback.State {
	if p := s.plan(); p != nil && p.Outcome() != rollback.Undone {
		return p
	}
	return nil
}

// known is what the other ledgers say about an incident that belongs into its own.
type known struct {
	links    []incident.Link
	marks    []incident.Mark
	affected *incident.Affected
	evidence []rollback.Evidence
}

type order = func(incident.Incident) (incident.Transition, error)

// orders are the transitions that tell the incident about it.
func (k known) orders(by incident.Order) []order {
	var out []order
	for _, l := range k.links {
		out = append(out, func(in incident.Incident) (incident.Transition, error) { return incident.AddLink(in, by, l) })
	}
	for _, m := range k.marks {
		out = append(out, func(in incident.Incident) (incident.Transition, error) { return mark(in, by, m) })
	}
	if k.affected != nil {
		out = append(out, func(in incident.Incident) (incident.Transition, error) {
			return incident.SetAffected(in, by, *k.affected)
		})
	}
	return append(out, func(in incident.Incident) (incident.Transition, error) { return incident.Observe(in, by, k.evidence) })
}

// mark sets a mark, unless it would be worse than what is there: a time that is known is not
// given up because retention has removed where it was from, and one that lies in the future
// by the clock of this process waits. Data that was clean may be so no more.
func mark(in incident.Incident, by incident.Order, m incident.Mark) (incident.Transition, error) {
	forgotten := !m.Known() && m.Kind != incident.MarkClean && in.Mark(m.Kind).Known()
	if forgotten || (m.Known() && m.At.After(by.At)) {
		return incident.Transition{Same: true, Entry: incident.Entry{Incident: in}}, nil
	}
	return incident.SetMark(in, by, m)
}

// told returns the incident with all of it, and whether that is anything new.
func (k known) told(in incident.Incident, by incident.Order) (out incident.Incident, news bool, err error) {
	for _, do := range k.orders(by) {
		t, err := do(in)
		if err != nil {
			return in, news, err
		}
		if !t.Same {
			in, news = t.Entry.Incident, true
		}
	}
	return in, news, nil
}

// clean takes secrets out of it: the other ledgers keep what people wrote.
func (k known) clean(r *redact.Redactor) known {
	for i := range k.links {
		k.links[i].Text = r.Text(k.links[i].Text)
	}
	for i := range k.marks {
		k.marks[i].Source, k.marks[i].Unknown = r.Text(k.marks[i].Source), r.Text(k.marks[i].Unknown)
	}
	for i := range k.evidence {
		k.evidence[i].Text, k.evidence[i].Link = r.Text(k.evidence[i].Text), r.Text(k.evidence[i].Link)
	}
	if k.affected != nil {
		a := *k.affected
		a.IDs, a.Keys = cleanAll(a.IDs, r), cleanAll(a.Keys, r)
		k.affected = &a
	}
	return k
}

func cleanAll(all []string, r *redact.Redactor) []string {
	var out []string
	for _, s := range all {
		out = append(out, r.Text(s))
	}
	return out
}

// concludes works out what the sources say about an incident, but for the affected records,
// which are counted.
func (s *sources) concludes(in incident.Incident) known {
	var k known
	for i := range s.plans {
		p := &s.plans[i].Plan
		k.links = append(k.links, incident.Link{Kind: incident.LinkPlan, To: p.ID, Text: planWords(p)})
	}
	for _, m := range []incident.Mark{s.firstBad(), s.detected(in), s.commanded(), s.lastBad(), s.dataClean()} {
		if m.Known() || m.Unknown != "" {
			k.marks = append(k.marks, m)
		}
	}
	if p := s.inForce(); p != nil {
		k.evidence = evidenceOf(p)
	}
	return k
}

func planWords(p *rollback.Plan) string {
	if p.Undoes != "" {
		return "takes plan " + p.Undoes + " back"
	}
	return strings.TrimSpace(string(p.Procedure) + " rollback")
}

// evidenceOf is what the checklist of a plan shows, be it by a step or by a person's word.
func evidenceOf(p *rollback.State) []rollback.Evidence {
	var out []rollback.Evidence
	for _, g := range p.Checklist() {
		for _, it := range g.Items {
			text, seen := it.Text, it.Status == rollback.ItemTicked || it.Status == rollback.ItemContradicted
			if it.Person {
				text += " (" + it.By + ")"
			}
			if seen {
				out = append(out, rollback.Evidence{Item: it.ID, OK: it.Status == rollback.ItemTicked, Text: text, Link: it.Link})
			}
		}
	}
	return out
}

func (s *sources) firstBad() incident.Mark {
	m := incident.Mark{Kind: incident.MarkFirstBad}
	switch t := s.trail; {
	case s.attempt == nil:
	case t.first.version > 0:
		m.At, m.Source = t.first.at, fmt.Sprintf("version %d, the first with something of it", t.first.version)
	default:
		m.Unknown = t.nothing()
	}
	return m
}

// nothing says why there is no version with something of the candidate.
func (t *trail) nothing() string {
	if t.lost > 0 {
		return fmt.Sprintf("%d of the versions are not kept any more", t.lost)
	}
	return "it has changed nothing that was published"
}

// detected is when somebody saw it, if that was before the incident was opened by hand:
// whoever ended the release or planned the way back knew of it.
func (s *sources) detected(in incident.Incident) incident.Mark {
	m := s.commanded()
	if in.Cause.ByVerdict() || !m.Known() || !m.At.Before(in.Mark(incident.MarkDetected).At) {
		return incident.Mark{}
	}
	m.Kind, m.Source = incident.MarkDetected, "the command: "+m.Source
	return m
}

// commanded is when somebody, or a verdict, said that it should stop: the end of the
// release, or the plan that brought that about.
func (s *sources) commanded() incident.Mark {
	m := incident.Mark{Kind: incident.MarkCommanded}
	for i := range s.plans {
		if p := &s.plans[i].Plan; p.Undoes == "" && (!m.Known() || p.At.Before(m.At)) {
			m.At, m.Source = p.At, "plan "+p.ID
		}
	}
	if a := s.attempt; a != nil && a.end != nil && (!m.Known() || a.end.at.Before(m.At)) {
		m.At, m.Source = a.end.at, a.end.link()
	}
	return m
}

func (s *sources) lastBad() incident.Mark {
	m := incident.Mark{Kind: incident.MarkLastBad}
	switch t := s.trail; {
	case s.attempt == nil:
	case s.attempt.end == nil:
		m.Unknown = "it may still decide for keys"
	case t.last.version > 0 && t.fence.version > 0:
		m.At, m.Source = t.last.at, fmt.Sprintf("version %d, its last before the fence, version %d", t.last.version, t.fence.version)
	case t.last.version > 0:
		m.At, m.Source = t.last.at, fmt.Sprintf("version %d, the last with something of it", t.last.version)
	default:
		m.Unknown = t.nothing()
	}
	return m
}

// dataClean is when nothing of it was left in the index: the ledger of versions knows it of
// a reset and a revert, the plan of a rebuild, and a person of anything else.
func (s *sources) dataClean() incident.Mark {
	m := incident.Mark{Kind: incident.MarkClean}
	p := s.inForce()
	if p != nil {
		for _, e := range evidenceOf(p) {
			if e.Item == rollback.ItemProven && !e.OK {
				m.Unknown = "plan " + p.Plan.ID + " found that it is not: " + e.Text
				return m
			}
		}
	}
	if s.attempt != nil {
		switch t, end := s.trail, s.attempt.end; {
		case t.clean.version > 0:
			m.At, m.Source = t.clean.at, t.how
			return m
		case end != nil && t.first.version == 0 && t.lost == 0:
			m.At, m.Source = end.at, "the versions: nothing of it was ever in them"
			return m
		}
	}
	if x := takenBack(p); x != nil {
		m.At, m.Source = x.Ended, "plan "+p.Plan.ID+": "+x.Sight.Detail
		return m
	}
	if s.attempt == nil {
		return m
	}
	if t := s.attempt.settled; t != nil {
		m.At, m.Source = t.at, fmt.Sprintf("the word of %s, %s", t.actor, t.link())
		return m
	}
	if s.trail.first.version > 0 {
		m.Unknown = "what it wrote is still in the index"
	}
	return m // without a word when retention has removed what would tell: an earlier one stands
}

// takenBack is the step of a plan that took the data back, nil as long as none has.
func takenBack(p *rollback.State) *rollback.StepState {
	if p == nil {
		return nil
	}
	for i := range p.Plan.Steps {
		if p.Plan.Steps[i].Target == TargetIndex && p.Steps[i].Progress == rollback.Done {
			return &p.Steps[i]
		}
	}
	return nil
}
