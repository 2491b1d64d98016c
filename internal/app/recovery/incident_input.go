package recovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/config"
	"lockstep/internal/incident"
	"lockstep/internal/lockstep"
	"lockstep/internal/redact"
	"lockstep/internal/rollback"
	"lockstep/internal/version"
)

// Input puts together what an incident's report is made of, as of now: the incident, with
// what the other ledgers say about it and nobody has written down yet, their timeline, the
// checklist and the outcome of its rollback, the proof, and whom to call. It writes nothing,
// and what it returns holds no secrets. lockstep.ErrNotFound: there is no such incident.
func (d *Desk) Input(ctx context.Context, id string) (incident.Input, error) {
	head, err := d.book.Head(ctx, id)
	if err != nil {
		return incident.Input{}, err
	}
	in, by := head.Incident(), d.itself()
	src, k, err := d.look(ctx, in)
	if err == nil && in.Open() {
		in, _, err = k.told(in, by)
	}
	if err != nil {
		return incident.Input{}, fmt.Errorf("incident %s: %w", id, err)
	}
	out := incident.Input{Incident: in, Now: by.At, Redact: d.redact, Contacts: contacts(d.cfg.Rollback.Escalation), Events: src.events(d.redact)}
	p := src.plan()
	if p == nil {
		return out, nil
	}
	out.Rollback, out.Checklist = rolledBack(p, d.redact), checklist(p, d.redact)
	if p.Outcome() != rollback.Undone {
		out.Contacts.Undo = "lockstep rollback undo " + p.Plan.ID
	}
	out.Proof, err = d.proof(ctx, p)
	return out, err
}

// contacts sorts the people and places of the configuration into the document's steps. Who
// is neither the runbook nor support is somebody to escalate to.
func contacts(all []config.Contact) incident.Contacts {
	var c incident.Contacts
	add := func(to *string, text string) {
		if *to != "" {
			text = *to + "; " + text
		}
		*to = text
	}
	for _, one := range all {
		role := strings.ToLower(one.Role)
		text := strings.Trim(one.Name+", "+one.Contact, ", ")
		switch {
		case strings.Contains(role, "runbook"):
			add(&c.Runbook, text)
		case strings.Contains(role, "support"), strings.Contains(role, "aws"):
			add(&c.Support, text)
		case strings.Contains(role, "lead"):
			add(&c.TeamLead, text)
		default:
			add(&c.TeamLead, strings.Trim(one.Role+": "+text, ": "))
		}
	}
	return c
}

// events are the timelines of the other ledgers, without secrets.
func (s *sources) events(r *redact.Redactor) [][]incident.Event {
	var out [][]incident.Event
	if s.attempt != nil {
		out = append(out, s.attempt.events())
	}
	if s.trail != nil {
		out = append(out, s.trail.told())
	}
	for i := range s.plans {
		var all []incident.Event
		for _, e := range s.plans[i].Timeline() {
			all = append(all, incident.Event{At: e.At, Who: e.Who, What: e.What, Link: e.Link, Source: "plan " + s.plans[i].Plan.ID})
		}
		out = append(out, all)
	}
	for _, all := range out {
		for i := range all {
			e := &all[i]
			e.Who, e.What, e.Link = r.Text(e.Who), r.Text(e.What), r.Text(e.Link)
		}
	}
	return out
}

// rolledBack is how a plan stands, in the words of a report.
func rolledBack(p *rollback.State, r *redact.Redactor) *incident.Rollback {
	out := &incident.Rollback{
		Plan: p.Plan.ID, Scenario: string(p.Plan.Scenario), Procedure: string(p.Plan.Procedure), Revision: p.Plan.To.Revision, Version: p.Plan.To.Version,
		Steps: len(p.Steps), Began: p.Began, Ended: p.Ended, Loss: cleanAll(p.Plan.Loss(), r),
	}
	switch p.Outcome() {
	case rollback.Planned, rollback.Running:
		out.Outcome = incident.RollbackRunning
	case rollback.Complete:
		out.Outcome = incident.RollbackDone
	case rollback.Incomplete:
		out.Outcome = incident.RollbackIncomplete
	case rollback.Undone:
		out.Outcome = incident.RollbackUndone
	}
	for i := range p.Steps {
		if p.Steps[i].Progress == rollback.Done {
			out.Done++
		}
	}
	for _, i := range p.Stuck() {
		x, s := &p.Steps[i], &p.Plan.Steps[i]
		text := fmt.Sprintf("%s is %s", s.Title, x.Progress)
		if x.Error != "" {
			text += ": " + x.Error
		}
		if s.Manual != "" {
			text += "; by hand: " + s.Manual
		}
		out.Left = append(out.Left, r.Text(text))
	}
	return out
}

// checklist is that of a plan, in the form in which an incident has it.
func checklist(p *rollback.State, r *redact.Redactor) []incident.Group {
	var out []incident.Group
	for _, g := range p.Checklist() {
		group := incident.Group{Title: g.Title}
		for _, it := range g.Items {
			item := incident.Item{ID: it.ID, Title: it.Title}
			text, link := r.Text(it.Text), r.Text(it.Link)
			switch {
			case it.Person && it.Status == rollback.ItemTicked:
				item.Signed = &incident.Signature{Item: it.ID, Reason: text, By: it.By, At: it.At}
			case it.Status == rollback.ItemTicked, it.Status == rollback.ItemContradicted:
				item.Evidence, item.At = &rollback.Evidence{Item: it.ID, OK: it.Status == rollback.ItemTicked, Text: text, Link: link}, it.At
			case it.Status == rollback.ItemNotApplicable:
				item.Void = text
			}
			group.Items = append(group.Items, item)
		}
		out = append(out, group)
	}
	return out
}

// proof is what a plan found out about the data, nil when nobody asked for it.
func (d *Desk) proof(ctx context.Context, p *rollback.State) (*incident.Proof, error) {
	i := slices.IndexFunc(p.Plan.Steps, func(s rollback.Step) bool { return s.Target == TargetProof })
	if i < 0 {
		return nil, nil //nolint:nilnil // the report says that nobody asked
	}
	at := rollback.At{Step: p.Plan.Steps[i], Kept: p.Steps[i].Kept}
	out := &incident.Proof{Version: p.Plan.To.Version, Compared: incident.ComparedNot, Link: "lockstep rollback status " + p.Plan.ID}
	kept, err := keptOf[proofKept](at)
	if err != nil {
		return nil, err
	}
	switch {
	case kept.Done:
		out.Compared = incident.ComparedEqual
	case kept.Text != "":
		out.Compared = incident.ComparedDifferent
	default:
		kept.Text = fmt.Sprintf("the step of the proof is %s", p.Steps[i].Progress)
	}
	out.Reason = upper(d.redact.Text(kept.Text))
	n := publishedBy(p)
	if n == 0 {
		return out, nil
	}
	params, err := decode[IndexParams](at)
	if err != nil {
		return nil, err
	}
	same := n // as which the digests of the counterfactual are
	switch {
	case kept.Done && params.Wish == Reset:
		same = params.To
	case !kept.Proof.Equal:
		same = 0
	}
	out.Version = n
	out.Digests, err = d.digests(ctx, n, same)
	return out, err
}

// upper begins a sentence.
func upper(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// publishedBy is the version with which a plan took the data back; 0: none is known.
func publishedBy(p *rollback.State) uint64 {
	x := takenBack(p)
	if x == nil || len(x.Kept) == 0 {
		return 0
	}
	var kept indexKept
	if json.Unmarshal(x.Kept, &kept) != nil {
		return 0 // a report says less then, and is a report all the same
	}
	return kept.Version
}

// digests are those of version n, beside those of version same; 0: nothing has any to
// compare with. Versions that retention has removed have none to show.
func (d *Desk) digests(ctx context.Context, n, same uint64) ([]incident.Digest, error) {
	other := map[lockstep.Collection]string{}
	if same > 0 {
		e, err := d.control.Log.Read(ctx, same)
		if err != nil && !errors.Is(err, version.ErrRetired) {
			return nil, err
		}
		if err == nil {
			other = e.Digests()
		}
	}
	e, err := d.control.Log.Read(ctx, n)
	if errors.Is(err, version.ErrRetired) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []incident.Digest
	for _, c := range e.Collections {
		if c.Records > 0 && c.Name != lockstep.Parked && c.Name != lockstep.Malformed { // what went wrong is no part of what is compared
			out = append(out, incident.Digest{Collection: string(c.Name), Digest: c.Digest, Counterfactual: other[c.Name]})
		}
	}
	return out, nil
}
