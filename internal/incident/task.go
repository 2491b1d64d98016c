package incident

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// Term is when a task of the document is due, counted from clean data, or from the
// opening while the data is not clean.
type Term string

// The terms of the document.
const (
	TermImmediate Term = "immediate"
	TermShort     Term = "short"
	TermMedium    Term = "medium"
)

// Title is the heading of the document.
func (t Term) Title() string {
	switch t {
	case TermImmediate:
		return "Immediate (within 1 hour)"
	case TermShort:
		return "Short term (within 1 day)"
	case TermMedium:
		return "Medium term (within 1 week)"
	}
	return "Action items"
}

func (t Term) within() time.Duration {
	switch t {
	case TermImmediate:
		return time.Hour
	case TermShort:
		return 24 * time.Hour
	case TermMedium:
		return 7 * 24 * time.Hour
	}
	return 0
}

// Task is something to be done about an incident.
type Task struct {
	ID    string    `json:"id"`
	Title string    `json:"title"`
	Steps []string  `json:"steps,omitempty"`
	Term  Term      `json:"term,omitempty"` // of a task of the document; "": a person added it
	Owner string    `json:"owner,omitempty"`
	Due   time.Time `json:"due,omitzero"` // of one that a person added; zero: no time was set
	By    string    `json:"by"`           // who added it
	At    time.Time `json:"at"`
	Done  *Done     `json:"done,omitempty"`
}

// Done is how a task was finished.
type Done struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`           // what was done, or what was seen
	Link string    `json:"link,omitempty"` // where it can be looked up
	// Evidence says that the machine saw it. It takes it back when it sees the opposite.
	Evidence bool `json:"evidence,omitempty"`
}

// The tasks of the document that evidence can finish.
const (
	TaskNotify   = "notify-team"
	TaskDocument = "document-issues"
	TaskMonitor  = "monitor-systems"
	TaskAnalyse  = "root-cause-analysis"
	TaskPlan     = "update-migration-plan"
)

// document names who added the tasks of the document.
const document = "the document"

func documentTasks(at time.Time) []Task {
	task := func(term Term, id, title string, steps ...string) Task {
		return Task{ID: id, Title: title, Steps: steps, Term: term, By: document, At: at}
	}
	return []Task{
		task(TermImmediate, TaskNotify, "Notify team"),
		task(TermImmediate, TaskDocument, "Document issues",
			"Create GitHub issue with rollback details", "Include error logs", "Include steps to reproduce", "Tag as "+Label),
		task(TermImmediate, TaskMonitor, "Monitor systems",
			"Watch CloudWatch metrics for 1 hour", "Check for any lingering issues", "Verify compaction operations recovering"),
		task(TermShort, TaskAnalyse, "Root cause analysis",
			"Identify what went wrong", "Review error logs", "Identify code issues", "Document lessons learned"),
		task(TermShort, "fix-issues", "Fix issues",
			"Create fixes in development branch", "Add tests for identified issues", "Verify fixes work locally"),
		task(TermShort, TaskPlan, "Update migration plan",
			"Document what went wrong", "Update implementation steps", "Add safeguards to prevent recurrence"),
		task(TermMedium, "re-attempt-migration", "Re-attempt migration",
			"Apply fixes", "Test thoroughly in dev", "Gradual rollout to production"),
		task(TermMedium, "improve-testing", "Improve testing",
			"Add tests for failure scenarios", "Improve integration tests", "Add monitoring/alerting"),
	}
}

// DueAt returns when t is due, zero when no time was set. What the document asks for is
// due within its term after the data was clean, or after the opening as long as it is
// not: not before the harm is over.
func (in Incident) DueAt(t Task) time.Time {
	if t.Term == "" {
		return t.Due
	}
	from := in.OpenedAt
	if clean := in.Mark(MarkClean); clean.Known() {
		from = clean.At
	}
	return from.Add(t.Term.within())
}

// Overdue says whether t should have been done before now.
func (in Incident) Overdue(t Task, now time.Time) bool {
	due := in.DueAt(t)
	return t.Done == nil && !due.IsZero() && now.After(due)
}

// Blocks says whether the incident stays open until t is done or accepted. What is due
// within a week outlives the incident.
func (t Task) Blocks() bool { return t.Done == nil && t.Term != TermMedium }

// Blocker is something open that keeps an incident from being closed.
type Blocker struct {
	ID   string
	Text string
}

// Blocking lists what keeps the incident from being closed: tasks, and items of the
// checklist of its rollback, if there was one.
func (in Incident) Blocking(checklist []Group) []Blocker {
	var open []Blocker
	for _, t := range in.Tasks {
		if t.Blocks() {
			open = append(open, Blocker{t.ID, "task " + t.Title})
		}
	}
	for _, g := range Merge(checklist, in.Signatures) {
		for _, i := range g.Items {
			switch i.State() {
			case ItemOpen, ItemContradicted:
				open = append(open, Blocker{i.ID, g.Title + ": " + i.Title})
			case ItemTicked, ItemSigned, ItemVoid:
			}
		}
	}
	return open
}

func blockerWords(open []Blocker) string {
	const most = 8
	var words []string
	for _, b := range open[:min(len(open), most)] {
		words = append(words, fmt.Sprintf("%s (%s)", b.ID, b.Text))
	}
	if len(open) > most {
		words = append(words, fmt.Sprintf("%d more", len(open)-most))
	}
	return strings.Join(words, ", ")
}

var taskID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)

// AddTask adds an action item. Of task, ID, Title, Steps, Owner and Due count; an empty
// ID becomes action-<n>, the first that is free. ErrConflict: there is a task with that id.
func AddTask(in Incident, by Order, task Task) (Transition, error) {
	t, next, err := beginOpen(in, by, KindTask)
	if err == nil {
		err = line().want("task", task.Title)
	}
	if err == nil {
		err = full(in, "task", len(in.Tasks), MaxTasks)
	}
	if err != nil {
		return Transition{}, err
	}
	for n := 1; task.ID == ""; n++ {
		if id := fmt.Sprintf("action-%d", n); !in.hasTask(id) {
			task.ID = id
		}
	}
	if !taskID.MatchString(task.ID) || len(task.Steps) > MaxTasks {
		return Transition{}, fmt.Errorf("incident %s: %w task %.80q: want 1 to 64 of a-z 0-9 -", in.ID, lockstep.ErrInvalid, task.ID)
	}
	if in.hasTask(task.ID) {
		return Transition{}, lockstep.Hint(fmt.Errorf("incident %s: task %s: %w: there is one already", in.ID, task.ID, lockstep.ErrConflict), "give it another id")
	}
	if !task.Due.IsZero() {
		task.Due = plain(task.Due)
	}
	next.Tasks = append(next.Tasks, Task{ID: task.ID, Title: task.Title, Steps: slices.Clone(task.Steps), Owner: task.Owner, Due: task.Due, By: by.Actor, At: t.Entry.At})
	return t.said("added task %s: %s", task.ID, task.Title)
}

func (in Incident) task(id string) (int, bool) {
	i := slices.IndexFunc(in.Tasks, func(t Task) bool { return t.ID == id })
	return i, i >= 0
}

func (in Incident) hasTask(id string) bool {
	_, there := in.task(id)
	return there
}

// FinishTask ticks a task in the name of who says so, also after the end of the
// incident. A done one stays as it is. ErrNotFound: there is no such task.
func FinishTask(in Incident, by Order, id, words, link string) (Transition, error) {
	t, next, err := begin(in, by, KindDone)
	if err == nil {
		err = line().want("what was done", words)
	}
	if err != nil {
		return Transition{}, err
	}
	i, there := in.task(id)
	if !there {
		return Transition{}, lockstep.Hint(fmt.Errorf("incident %s: task %.80q: %w", in.ID, id, lockstep.ErrNotFound), `"lockstep incident show `+in.ID+`" lists the tasks`)
	}
	if d := in.Tasks[i].Done; d != nil && !d.Evidence {
		return same(in)
	}
	next.Tasks[i].Done = &Done{By: by.Actor, At: t.Entry.At, Text: words, Link: link}
	return t.said("finished task %s: %s", id, words)
}

// taskOf says which task of the document the items of the checklist finish, all of them
// together.
func taskOf() map[string][]string {
	return map[string][]string{
		TaskNotify:   {rollback.ItemNotified},
		TaskDocument: {rollback.ItemIssue},
		TaskMonitor:  {rollback.ItemSuccess, rollback.ItemErrors, rollback.ItemProcessed},
		TaskAnalyse:  {rollback.ItemLessons},
		TaskPlan:     {rollback.ItemPlanUpdated},
	}
}

// Observe ticks the tasks that the evidence of a rollback speaks for, and takes a tick
// back that rested on evidence when the newest says the opposite. What a person ticked
// stays ticked. Of several pieces of evidence for one item the last counts.
func Observe(in Incident, by Order, evidence []rollback.Evidence) (Transition, error) {
	t, next, err := begin(in, by, KindEvidence)
	if err != nil {
		return Transition{}, err
	}
	newest := map[string]rollback.Evidence{}
	for _, e := range evidence {
		newest[e.Item] = e
	}
	var changed []string
	for i, task := range next.Tasks {
		seen, ok := seenFor(taskOf()[task.ID], newest)
		switch {
		case ok == nil:
		case *ok && task.Done == nil:
			next.Tasks[i].Done = &Done{By: by.Actor, At: t.Entry.At, Text: kept(seen.Text), Link: seen.Link, Evidence: true}
			changed = append(changed, "done: "+task.ID)
		case !*ok && task.Done != nil && task.Done.Evidence:
			next.Tasks[i].Done = nil
			changed = append(changed, "open again: "+task.ID+" ("+seen.Text+")")
		}
	}
	if len(changed) == 0 {
		return same(in)
	}
	return t.said("by evidence: %s", strings.Join(changed, ", "))
}

// seenFor returns what the evidence says about all of the items together: nil when it
// says nothing, or not enough.
func seenFor(items []string, newest map[string]rollback.Evidence) (seen rollback.Evidence, ok *bool) {
	yes, no := true, false
	var texts []string
	for _, item := range items {
		e, there := newest[item]
		if there && !e.OK {
			return e, &no
		}
		if there {
			seen.Link = e.Link
			texts = append(texts, e.Text)
		}
	}
	if len(items) == 0 || len(texts) < len(items) {
		return seen, nil
	}
	seen.Text = strings.Join(texts, "; ")
	return seen, &yes
}
