package incident

import (
	"fmt"
	"strings"

	"lockstep/internal/rollback"
)

// NoticeKind says what a notice tells people.
type NoticeKind string

// The kinds of notice.
const (
	NoticeOpened     NoticeKind = "opened"      // something is wrong
	NoticeRolledBack NoticeKind = "rolled-back" // the document's template
	NoticeIncomplete NoticeKind = "incomplete"  // the rollback needs a person
	NoticeClosed     NoticeKind = "closed"      // it is over
)

// Message is a text for people, in the two forms that receivers want.
type Message struct {
	Subject  string // one line
	Text     string
	Markdown string
}

// Notice writes to the team. It says what the input says at its time, and nothing that
// would be true of every incident. An unknown kind reads as NoticeOpened.
func Notice(in Input, kind NoticeKind) Message {
	i := in.Incident
	subject := in.name() + ": incident " + i.ID + " opened in " + i.Environment
	lead := fmt.Sprintf("Incident %s was opened in %s by %s: %s.", i.ID, i.Environment, i.OpenedBy, stopless(i.Cause.Reason))
	parts := []part{{"Current State", []block{{List: in.currentState()}}}, {"Next Steps", []block{{List: in.nextSteps()}}}}
	switch kind {
	case NoticeOpened:
	case NoticeRolledBack:
		subject = in.name() + " Rolled Back"
		lead = fmt.Sprintf("%s has been rolled back in %s due to: %s.", in.name(), i.Environment, stopless(i.Cause.Reason))
	case NoticeIncomplete:
		subject = in.name() + " Rollback Needs a Person"
		lead = fmt.Sprintf("The rollback of %s in %s did what it could, and needs a person for the rest. It was started due to: %s.", in.name(), i.Environment, stopless(i.Cause.Reason))
		if r := in.Rollback; r != nil && len(r.Left) > 0 {
			parts = append([]part{{"Left to Do", []block{{List: rowsOf(r.Left, boxNone)}}}}, parts...)
		}
		parts = append(parts, part{"Emergency Contact", in.escalation()})
	case NoticeClosed:
		subject = in.name() + ": incident " + i.ID + " closed"
		lead = fmt.Sprintf("Incident %s in %s is over.", i.ID, i.Environment)
		if c := i.Closed; c != nil {
			lead = fmt.Sprintf("Incident %s in %s was closed by %s: %s.", i.ID, i.Environment, c.By, stopless(c.Reason))
		}
	}
	p := page{Lead: []block{para(lead)}, Sections: parts}.clean(in.Redact)
	return Message{Subject: line().store(subject, in.Redact), Text: p.plain(), Markdown: p.markdown(3)}
}

// currentState is the document's three lines, and one for the data, which it does not
// know.
func (in Input) currentState() []row {
	rows := []row{
		plainRow("Lambda: " + in.seen("not known", rollback.ItemDeployed, rollback.ItemHandlers, rollback.ItemRouting)),
		plainRow("Package: " + in.seen("not known", rollback.ItemPkgAbsent, rollback.ItemPkgInit, rollback.ItemPkgInstall)),
		plainRow("Data: " + in.seen("not known", rollback.ItemProven, rollback.ItemDataBack)),
	}
	return append(rows, plainRow("Status: "+in.status()))
}

// seen returns what the checklist says of the first of the items that it says anything
// of.
func (in Input) seen(otherwise string, items ...string) string {
	void := ""
	for _, id := range items {
		for _, g := range Merge(in.Checklist, in.Incident.Signatures) {
			for _, i := range g.Items {
				if i.ID != id {
					continue
				}
				switch i.State() {
				case ItemTicked:
					return i.Evidence.Text
				case ItemSigned:
					return i.Signed.Reason + " (" + i.Signed.By + ")"
				case ItemContradicted:
					return "not yet: " + i.Evidence.Text
				case ItemVoid:
					void = "not part of this rollback: " + i.Void
				case ItemOpen:
				}
			}
		}
	}
	if void != "" {
		return void
	}
	return otherwise
}

func (in Input) status() string {
	i, ok := in.Incident.task(TaskMonitor)
	watched := ok && in.Incident.Tasks[i].Done != nil
	switch r := in.Rollback; {
	case !in.Incident.Open():
		return "Closed"
	case r != nil && r.Outcome == RollbackIncomplete:
		return "Incomplete"
	case r == nil || r.Outcome == RollbackUndone:
		return "Not rolled back"
	case r.Outcome == RollbackRunning:
		return "Rolling back"
	case watched:
		return "Stable"
	}
	return "Monitoring"
}

// nextSteps are the document's three, as far as they are still open, and what is due
// first.
func (in Input) nextSteps() []row {
	var rows []row
	for _, step := range []struct{ task, text string }{
		{TaskAnalyse, "Root cause analysis"}, {"fix-issues", "Fix identified issues"}, {"re-attempt-migration", "Re-attempt migration when ready"},
	} {
		if i, ok := in.Incident.task(step.task); ok && in.Incident.Tasks[i].Done == nil {
			rows = append(rows, plainRow(step.text))
		}
	}
	return append(rows, plainRow("Report: lockstep incident report "+in.Incident.ID))
}

// Label marks the issue of a rollback.
const Label = "migration-blocker"

// Issue is the text of the issue that tracks a rollback.
type Issue struct {
	Title  string
	Body   string // Markdown
	Labels []string
}

// Excerpt is a piece of a log.
type Excerpt struct {
	Source string // where it is from
	Text   string
}

// Bounds of the logs in an issue. What is left out is said.
const (
	MaxExcerpts     = 8
	MaxExcerptLines = 40
	MaxExcerptBytes = 4 << 10
)

// IssueOf writes the issue that the document asks for: details of the rollback, error
// logs, steps to reproduce. Of logs it shows the beginnings, without secrets. No steps
// leave a gap that says what is known.
func IssueOf(in Input, logs []Excerpt, reproduce []string) Issue {
	i := in.Incident
	p := page{Lead: in.summary()[:1]}
	add := func(title string, blocks ...block) { p.Sections = append(p.Sections, part{title, blocks}) }
	details := []row{plainRow("Incident " + i.ID + " in " + i.Environment + ", opened by " + i.OpenedBy + " at " + clockTime(i.OpenedAt))}
	for _, f := range i.Cause.Findings {
		details = append(details, row{Text: "Guard " + f.Guard + ": " + f.Verdict + ": " + f.Reason, Link: f.Link})
	}
	for _, v := range i.Intervals() {
		details = append(details, plainRow(strings.ToUpper(v.Name[:1])+v.Name[1:]+": "+v.String()))
	}
	add("Details", append([]block{{List: details}}, append(in.impact()[:1], in.resolution()...)...)...)
	add("Error Logs", excerpts(logs, in)...)
	add("Steps to Reproduce", in.reproduce(reproduce)...)
	add("Follow-up Tasks", in.tasks()...)
	p = p.clean(in.Redact)
	return Issue{Title: line().store(in.name()+" rolled back in "+i.Environment+": "+i.Cause.Reason, in.Redact), Body: p.markdown(2), Labels: []string{Label}}
}

func excerpts(logs []Excerpt, in Input) []block {
	if len(logs) == 0 {
		return []block{gap("whoever looks into it", "no error log was given")}
	}
	var blocks []block
	for _, l := range logs[:min(len(logs), MaxExcerpts)] {
		body, more := excerpt(in.Redact.Text(l.Text))
		title := l.Source + ":"
		if more > 0 {
			title = l.Source + ", without the last " + count(more, "line") + ":"
		}
		blocks = append(blocks, para(title), block{Log: body})
	}
	if more := len(logs) - MaxExcerpts; more > 0 {
		blocks = append(blocks, para(count(more, "more log")+" left out."))
	}
	return blocks
}

// excerpt returns the beginning of a log, and how many lines it leaves out. The secrets
// are out already: a cut can go through one.
func excerpt(s string) (body string, more int) {
	lines := strings.Split(strings.Trim(s, "\n"), "\n")
	kept := lines[:min(len(lines), MaxExcerptLines)]
	k := shape{MaxExcerptBytes, true}
	body = strings.Join(kept, "\n")
	for len(kept) > 1 && len(body) > k.limit {
		kept = kept[:len(kept)-1]
		body = strings.Join(kept, "\n")
	}
	return k.cut(k.tidy(body)), len(lines) - len(kept)
}

func (in Input) reproduce(steps []string) []block {
	if len(steps) > 0 {
		return []block{{List: rowsOf(steps, boxNone), Numbered: true}}
	}
	s, a := in.Incident.Subject, in.Incident.Affected
	blocks := []block{gap("whoever looks into it", "how to make it happen again")}
	if s != nil && a != nil && a.FirstVersion > 0 {
		known := fmt.Sprintf("What is known: let %s decide the changes of version %d on the state of version %d. The first bad effect is there.",
			s.Candidate, a.FirstVersion, a.FirstVersion-1)
		blocks = append([]block{para(known)}, blocks...)
	}
	return blocks
}
