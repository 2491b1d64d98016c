package incident

import (
	"fmt"
	"strings"
	"time"

	"lockstep/internal/redact"
)

// Input is what a report and the other texts are made from.
type Input struct {
	Incident Incident
	Now      time.Time
	// Name is what was rolled back, in the words of its owners: "Compaction Migration".
	// Empty: the candidate's name, or that of the environment.
	Name string
	// Events are those of the other ledgers: releases, versions, plans. Those of the
	// incident need not be among them.
	Events    [][]Event
	Checklist []Group
	Rollback  *Rollback // nil: nothing was rolled back
	Proof     *Proof    // nil: nobody asked for one
	Contacts  Contacts
	Redact    *redact.Redactor
	Signing   *Signature // who signs the report; Book.SignReport sets it
}

// Rollback is what the machine knows of the way back.
type Rollback struct {
	Plan      string // its id
	Scenario  string // "production"
	Procedure string // "quick"
	Revision  string // what it returned to
	Version   uint64
	Outcome   RollbackOutcome
	Done      int // steps
	Steps     int
	Began     time.Time
	Ended     time.Time // zero: it is not over
	Loss      []string  // what is lost for good; normally nothing
	Left      []string  // what is left for a person
}

// RollbackOutcome says how a rollback stands.
type RollbackOutcome string

// The outcomes of a rollback.
const (
	RollbackRunning    RollbackOutcome = "running"
	RollbackDone       RollbackOutcome = "done"
	RollbackIncomplete RollbackOutcome = "incomplete" // some of it is left for a person
	RollbackUndone     RollbackOutcome = "undone"     // it was rolled back itself
)

// Proof is whether the data is what the good revision would have made of it.
type Proof struct {
	Version  uint64 // the version that was compared
	Digests  []Digest
	Compared Comparison
	Reason   string // what differs, or why nothing was compared
	Link     string
}

// Digest is the hash over all records of one collection.
type Digest struct {
	Collection     string
	Digest         string
	Counterfactual string // "": it was not computed
}

// Comparison is how the digests compare with those of the counterfactual.
type Comparison string

// The comparisons. An unknown one reads as one that was not made.
const (
	ComparedEqual     Comparison = "equal"
	ComparedDifferent Comparison = "different"
	ComparedNot       Comparison = "not compared"
)

// Report is what there is to learn from an incident, in the form of the document's
// template, and with what the document could not know.
type Report struct{ page page }

// NewReport makes the report from what is known at in.Now. It takes secrets out of what
// the other ledgers say. The same input gives the same bytes.
func NewReport(in Input) Report {
	p := page{Title: in.name() + " Rollback - Post-Mortem", Lead: in.lead()}
	switch {
	case in.Rollback != nil:
	case in.Name == "" && in.Incident.Subject == nil:
		p.Title = "Incident " + in.Incident.ID + " - Post-Mortem"
	default:
		p.Title = in.name() + " - Post-Mortem"
	}
	add := func(title string, blocks ...block) {
		if len(blocks) > 0 {
			p.Sections = append(p.Sections, part{title, blocks})
		}
	}
	add("Date", in.date()...)
	add("Duration", in.duration()...)
	add("Issue Summary", in.summary()...)
	add("Root Cause", in.cause()...)
	add("Detection", in.detection()...)
	add("Impact", in.impact()...)
	add("Resolution", in.resolution()...)
	add("Prevention", in.prevention()...)
	add("Action Items", in.actions()...)
	add("Timeline", in.timeline()...)
	add("Time Marks", in.marks()...)
	add("Affected Records", in.affected()...)
	add("Proof", in.proof()...)
	add("Decisions", in.decisions()...)
	add("Checklist", in.checklist()...)
	add("Follow-up Tasks", in.tasks()...)
	add("References", in.references()...)
	if in.Incident.Open() {
		add("Emergency Contact", in.escalation()...)
	}
	return Report{p.clean(in.Redact)}
}

// Markdown returns the report as GitHub's Markdown.
func (r Report) Markdown() string { return r.page.markdown(1) }

// HTML returns the report as one page that needs nothing else. ErrInvalid: the template
// and the report do not fit, which no input brings about.
func (r Report) HTML() (string, error) { return r.page.html() }

// Gaps returns the titles of the sections that people still have to write.
func (r Report) Gaps() []string {
	var titles []string
	for _, s := range r.page.Sections {
		for _, b := range s.Blocks {
			if b.Gap {
				titles = append(titles, s.Title)
				break
			}
		}
	}
	return titles
}

func (in Input) name() string {
	switch s := in.Incident.Subject; {
	case in.Name != "":
		return in.Name
	case s != nil:
		return shortRevision(s.Candidate)
	}
	return in.Incident.Environment
}

// culprit is what wrote what is bad.
func (in Input) culprit() string {
	if s := in.Incident.Subject; s != nil {
		return shortRevision(s.Candidate)
	}
	return "what was bad"
}

// shortRevision leaves the hash away: "receipts@2" of "receipts@2+3fa9c1d2e4f5".
func shortRevision(id string) string {
	short, _, _ := strings.Cut(id, "+")
	return short
}

func (in Input) lead() []block {
	i := in.Incident
	first := fmt.Sprintf("Incident %s in %s, opened by %s at %s.", i.ID, i.Environment, i.OpenedBy, clockTime(i.OpenedAt))
	second := "It is open."
	if i.Closed != nil {
		second = fmt.Sprintf("It was closed by %s at %s: %s.", i.Closed.By, clockTime(i.Closed.At), stopless(i.Closed.Reason))
	}
	if s := in.Signing; s != nil {
		return []block{para(first, second), para(fmt.Sprintf("Signed by %s at %s: %s.", s.By, clockTime(s.At), stopless(s.Reason)))}
	}
	return []block{para(first, second), para(fmt.Sprintf("This is a draft, made at %s. It is made anew until somebody signs it.", clockTime(in.Now)))}
}

// stopless leaves the full stop away that a sentence around it brings.
func stopless(s string) string { return strings.TrimRight(s, ".") }

func (in Input) date() []block {
	if m := in.Incident.Mark(MarkCommanded); m.Known() {
		return []block{para(m.At.UTC().Format("2 January 2006") + ". The rollback was commanded at " + clockTime(m.At) + ".")}
	}
	return []block{para(in.Incident.OpenedAt.UTC().Format("2 January 2006") + ", when the incident was opened. No rollback was commanded: " + in.whyUnknown(MarkCommanded) + ".")}
}

func (in Input) whyUnknown(k MarkKind) string {
	m := in.Incident.Mark(k)
	if m.By == "" {
		return "nobody has recorded the time"
	}
	return stopless(m.Unknown)
}

func (in Input) duration() []block {
	s, commanded := in.Incident.Subject, in.Incident.Mark(MarkCommanded)
	switch {
	case s == nil:
		return []block{para("The incident is about no release, so it is not known which code was new, and since when.")}
	case s.Since.IsZero():
		return []block{para(s.Candidate + " had not decided for any key, as far as is known.")}
	case !commanded.Known():
		return []block{para(fmt.Sprintf("%s decides for keys since %s; when it was told to stop is not known: %s.", s.Candidate, clockTime(s.Since), in.whyUnknown(MarkCommanded)))}
	}
	return []block{para(fmt.Sprintf("%s decided for keys for %s before the rollback was commanded, from %s to %s.",
		s.Candidate, span(commanded.At.Sub(s.Since)), clockTime(s.Since), clockTime(commanded.At)))}
}

// written returns what people wrote for a section, and a gap when they have not.
func (in Input) written(section Section, who, what string) []block {
	n, there := in.Incident.Written(section)
	if !there {
		return []block{gap(who, fmt.Sprintf("%s; lockstep incident note %s --section %s", what, in.Incident.ID, section))}
	}
	return append(paras(n.Text), para(fmt.Sprintf("(written by %s at %s)", n.By, clockTime(n.At))))
}

// addition is what people wrote for a section that the machine fills, if they did.
func (in Input) addition(section Section) []block {
	if _, there := in.Incident.Written(section); !there {
		return nil
	}
	return in.written(section, "", "")
}

func (in Input) summary() []block {
	i := in.Incident
	var first string
	switch s := i.Subject; {
	case s == nil:
		first = fmt.Sprintf("In %s: %s.", i.Environment, stopless(i.Cause.Reason))
	case s.Step == "":
		first = fmt.Sprintf("Release %s (attempt %d) of %s in %s went wrong: %s.", s.Release, s.Attempt, s.Candidate, i.Environment, stopless(i.Cause.Reason))
	default:
		first = fmt.Sprintf("Release %s (attempt %d) of %s in %s went wrong in %s: %s.", s.Release, s.Attempt, s.Candidate, i.Environment, s.Step, stopless(i.Cause.Reason))
	}
	return append([]block{para(first)}, in.written(SectionSummary, "whoever leads the incident", "what went wrong, in two sentences")...)
}

func (in Input) cause() []block {
	return in.written(SectionCause, "whoever analyses the cause", "the technical details of the issue")
}

func (in Input) detection() []block {
	i := in.Incident
	var blocks []block
	how := fmt.Sprintf("%s reported it: %s.", i.OpenedBy, stopless(i.Cause.Reason))
	if i.Cause.ByVerdict() {
		how = fmt.Sprintf("A verdict found it, not a person: %s.", stopless(i.Cause.Reason))
	}
	blocks = append(blocks, para(how, in.detectedAfter()))
	var rows []row
	for _, f := range i.Cause.Findings {
		rows = append(rows, row{Text: fmt.Sprintf("Guard %s: %s at %s: %s", f.Guard, f.Verdict, clockTime(f.At), f.Reason), Link: f.Link})
	}
	if len(rows) > 0 {
		blocks = append(blocks, block{List: rows})
	}
	if i.Cause.Analysis != "" {
		blocks = append(blocks, para("The analysis of stable against the candidate said:"), block{Log: i.Cause.Analysis})
	}
	return append(blocks, in.addition(SectionDetection)...)
}

func (in Input) detectedAfter() string {
	for _, v := range in.Incident.Intervals() {
		if v.From == MarkFirstBad && v.To == MarkDetected {
			if v.Known {
				return fmt.Sprintf("That was %s after the first bad effect.", span(v.Took))
			}
			return fmt.Sprintf("How long after the first bad effect that was is not known: %s.", stopless(v.Note))
		}
	}
	return ""
}

func (in Input) impact() []block {
	var blocks []block
	switch a := in.Incident.Affected; {
	case a == nil:
		blocks = append(blocks, para("Which records were affected is not known: nobody has counted them."))
	case a.Records() == 0:
		blocks = append(blocks, para("No record was affected, by "+a.Source+"."))
	default:
		blocks = append(blocks, para(a.words(in.culprit())))
	}
	return append(blocks, in.written(SectionImpact, "whoever knows the users", "who noticed, and what it cost them")...)
}

func (a Affected) words(culprit string) string {
	var parts []string
	for _, c := range a.Counts {
		parts = append(parts, number(c.Records)+" in "+c.Collection)
	}
	s := count(a.Records(), "record") + " in " + count(len(a.Counts), "collection") + " (" + list(parts) + ")"
	if a.Records() == 1 {
		s += " was written by " + culprit
	} else {
		s += " were written by " + culprit
	}
	if a.KeyCount > 0 {
		s += ", on behalf of " + count(a.KeyCount, "key") + " of the table"
	}
	switch a.FirstVersion {
	case 0:
	case a.LastVersion:
		s += fmt.Sprintf(", in version %d", a.FirstVersion)
	default:
		s += fmt.Sprintf(", in versions %d to %d", a.FirstVersion, a.LastVersion)
	}
	return s + "."
}
