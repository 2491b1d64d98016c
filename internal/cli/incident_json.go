package cli

import (
	"time"

	"lockstep/internal/incident"
)

// reportView is a report for programs: what it is made of, and what it still lacks.
type reportView struct {
	incidentView

	At        time.Time       `json:"at"`     // as of when
	Gaps      []string        `json:"gaps"`   // sections that people have to write
	Events    []eventRow      `json:"events"` // the timeline, oldest first
	Checklist []checkRows     `json:"checklist"`
	Rollback  *rolledBackView `json:"rollback,omitempty"`
	Proof     *proofView      `json:"proof,omitempty"`
	Contacts  []contactRow    `json:"contacts"`
}

type eventRow struct {
	At     time.Time `json:"at"`
	Who    string    `json:"who,omitempty"`
	What   string    `json:"what"`
	Link   string    `json:"link,omitempty"`
	Source string    `json:"source"`
}

type checkRows struct {
	Title string     `json:"title"`
	Items []checkRow `json:"items"`
}

type checkRow struct {
	ID    string             `json:"id"`
	Title string             `json:"title"`
	State incident.ItemState `json:"state"`
	Text  string             `json:"text,omitempty"` // what was seen, or why it does not apply
	Link  string             `json:"link,omitempty"`
	By    string             `json:"by,omitempty"` // who signed
	At    time.Time          `json:"at,omitzero"`
}

type rolledBackView struct {
	Plan      string                   `json:"plan"`
	Scenario  string                   `json:"scenario"`
	Procedure string                   `json:"procedure"`
	Revision  string                   `json:"revision,omitempty"` // that it returned to
	Version   uint64                   `json:"version"`
	Outcome   incident.RollbackOutcome `json:"outcome"`
	Done      int                      `json:"done"`
	Steps     int                      `json:"steps"`
	Began     time.Time                `json:"began,omitzero"`
	Ended     time.Time                `json:"ended,omitzero"`
	Loss      []string                 `json:"loss"`
	Left      []string                 `json:"left"` // for a person
}

type proofView struct {
	Version  uint64              `json:"version"`
	Compared incident.Comparison `json:"compared"`
	Reason   string              `json:"reason"`
	Link     string              `json:"link,omitempty"`
	Digests  []digestRow         `json:"digests"`
}

type digestRow struct {
	Collection     string `json:"collection"`
	Digest         string `json:"digest"`
	Counterfactual string `json:"counterfactual,omitempty"`
}

type contactRow struct {
	Step  string `json:"step"`
	Text  string `json:"text"`
	Known bool   `json:"known"`
}

func reportOf(in incident.Input, report incident.Report) reportView {
	v := reportView{
		incidentView: viewOfIncident(in), At: in.Now, Gaps: append([]string{}, report.Gaps()...), Events: []eventRow{}, Checklist: []checkRows{}, Contacts: []contactRow{},
	}
	for _, e := range incident.Timeline(append([][]incident.Event{in.Incident.Events()}, in.Events...)...) {
		v.Events = append(v.Events, eventRow(e))
	}
	for _, g := range incident.Merge(in.Checklist, in.Incident.Signatures) {
		rows := checkRows{Title: g.Title, Items: []checkRow{}}
		for _, i := range g.Items {
			rows.Items = append(rows.Items, checkRowOf(i))
		}
		v.Checklist = append(v.Checklist, rows)
	}
	if r := in.Rollback; r != nil {
		v.Rollback = &rolledBackView{
			r.Plan, r.Scenario, r.Procedure, r.Revision, r.Version, r.Outcome, r.Done, r.Steps, r.Began, r.Ended,
			append([]string{}, r.Loss...), append([]string{}, r.Left...),
		}
	}
	if p := in.Proof; p != nil {
		v.Proof = &proofView{p.Version, p.Compared, p.Reason, p.Link, []digestRow{}}
		for _, d := range p.Digests {
			v.Proof.Digests = append(v.Proof.Digests, digestRow(d))
		}
	}
	for _, e := range in.Contacts.Escalate() {
		v.Contacts = append(v.Contacts, contactRow{e.Title, e.Text, e.Known})
	}
	return v
}

func checkRowOf(i incident.Item) checkRow {
	row := checkRow{ID: i.ID, Title: i.Title, State: i.State(), Text: i.Void}
	if e := i.Evidence; e != nil {
		row.Text, row.Link, row.At = e.Text, e.Link, i.At
	}
	if s := i.Signed; s != nil {
		row.Text, row.By, row.At = s.Reason, s.By, s.At
	}
	return row
}
