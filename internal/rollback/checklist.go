package rollback

import (
	"slices"
	"strings"
	"time"
)

// Item is one line of the checklist.
type Item struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Status is open, ticked, contradicted or n/a.
	Status ItemStatus `json:"status"`
	Text   string     `json:"text,omitempty"` // the evidence, or why it is open or not applicable
	Link   string     `json:"link,omitempty"`
	By     string     `json:"by,omitempty"` // the step that shows it, or the person who signed
	At     time.Time  `json:"at,omitzero"`
	Person bool       `json:"person,omitempty"` // By is a person
}

// ItemStatus is how it stands about an item.
type ItemStatus string

// The statuses.
const (
	ItemOpen          ItemStatus = "open"
	ItemTicked        ItemStatus = "ticked"
	ItemContradicted  ItemStatus = "contradicted"
	ItemNotApplicable ItemStatus = "n/a"
)

// Group is a part of the checklist.
type Group struct {
	Title string `json:"title"`
	Items []Item `json:"items"`
}

// line is an item as the document has it, and the targets that can show it.
type line struct {
	id, title string
	shownBy   []string
	person    bool // nobody but a person can know
}

// document is the checklist of the document, its seven groups in its words, and an eighth
// about data, of which it knows nothing.
func document() []struct {
	title string
	lines []line
} {
	git := []string{"git-reference", "git-revert", "git-reset", "git-restore", "git"}
	return []struct {
		title string
		lines []line
	}{
		{"Git State", []line{
			{ItemGitBranch, "Rollback branch created (for reference)", git, false},
			{ItemGitReverted, "Commits reverted or reset", git, false},
			{ItemGitNoCode, "No migration code in working tree", git, false},
			{ItemGitClean, "Git status clean", git, false},
		}},
		{"Package State", []line{
			{ItemPkgAbsent, "Migrated directories removed", []string{"package"}, false},
			{ItemPkgInit, "Package `__init__.py` reverted", append([]string{"package"}, git...), false},
			{ItemPkgInstall, "Package reinstalled", []string{"package"}, false},
			{ItemPkgImports, "Import tests confirm no migrated module", []string{"package"}, false},
		}},
		{"Lambda State", []line{
			{ItemHandlers, "Handler files reverted", git, false},
			{ItemLocal, "Import statements back to local modules", []string{"imports"}, false},
			{ItemNoImports, "No imports of the migrated modules", []string{"imports"}, false},
		}},
		{"Testing", []line{
			{ItemTestPackage, "Package tests pass", []string{"tests"}, false},
			{ItemTestLambda, "Lambda tests pass", []string{"tests"}, false},
			{ItemTestLocal, "Local integration tests pass", []string{"tests"}, false},
		}},
		{"Deployment", []line{
			{ItemDeployed, "Lambda deployed successfully", []string{"deploy"}, false},
			{ItemDeployClean, "No deployment errors", []string{"deploy"}, false},
			{ItemExecuting, "Handlers executing successfully", []string{"deploy", "watch"}, false},
			{ItemNormal, "Metrics showing normal operation", []string{"watch"}, false},
		}},
		{"Monitoring (30-60 minutes)", []line{
			{ItemSuccess, "CompactionLambdaSuccess metric normal", []string{"watch"}, false},
			{ItemErrors, "CompactionLambdaError metric low/zero", []string{"watch"}, false},
			{ItemProcessed, "StreamProcessorProcessedRecords normal", []string{"watch"}, false},
			{ItemCustomers, "No customer-facing issues", nil, true},
			{ItemLogs, "Logs clean", nil, true},
		}},
		{"Documentation", []line{
			{ItemIssue, "Rollback documented in an issue", []string{"issue"}, true},
			{ItemNotified, "Team notified", []string{"notify"}, true},
			{ItemPlanUpdated, "Migration plan updated", nil, true},
			{ItemLessons, "Lessons learned documented", nil, true},
		}},
		{"Data (beyond the document)", []line{
			{ItemRouting, "No key is decided by the bad revision", []string{"flag"}, false},
			{ItemQuarantine, "The bad revision is refused everywhere", []string{"quarantine"}, false},
			{ItemDataBack, "What it wrote is taken back", []string{"index"}, false},
			{ItemProven, "The digest equals that of the counterfactual", []string{"proof"}, false},
			{ItemFollowers, "Followers hold the new version", []string{"follower"}, false},
		}},
	}
}

// isItem says whether the document has an item of that id.
func isItem(id string) bool {
	for _, g := range document() {
		for _, l := range g.lines {
			if l.id == id {
				return true
			}
		}
	}
	return false
}

// Checklist binds every item to what is known about it: evidence of a step, the newest
// counting, a person's word, or the reason why it is open or does not apply.
func (s *State) Checklist() []Group {
	seen := s.evidence()
	var out []Group
	for _, g := range document() {
		group := Group{Title: g.title}
		for _, l := range g.lines {
			group.Items = append(group.Items, s.item(l, seen))
		}
		out = append(out, group)
	}
	return out
}

// shown is a piece of evidence with its step.
type shown struct {
	Evidence
	step string
	at   time.Time
}

func (s *State) evidence() map[string]shown {
	out := map[string]shown{}
	for i := range s.Steps {
		x := &s.Steps[i]
		for _, e := range x.Sight.Evidence {
			at := x.Ended
			if at.IsZero() {
				at = x.Began
			}
			if old, ok := out[e.Item]; !ok || !at.Before(old.at) {
				out[e.Item] = shown{e, s.Plan.Steps[i].ID, at}
			}
		}
	}
	return out
}

// item says how it stands about a line. A person's word also stands against evidence, and
// then both are shown. Of two signatures the newer counts.
func (s *State) item(l line, seen map[string]shown) Item {
	it := Item{ID: l.id, Title: l.title, Status: ItemOpen}
	e, known := seen[l.id]
	if g, signed := s.signature(l.id); signed {
		it.Status, it.Text, it.By, it.At, it.Person = ItemTicked, g.Reason, g.By, g.At, true
		if known && !e.OK {
			it.Text += "; against what step " + e.step + " has seen: " + e.Text
			it.Link = e.Link
		}
		return it
	}
	if known {
		it.Status, it.Text, it.Link, it.By, it.At = ItemTicked, e.Text, e.Link, "step "+e.step, e.at
		if !e.OK {
			it.Status = ItemContradicted
		}
		return it
	}
	takes := s.takes(l.shownBy)
	switch {
	case len(takes) > 0:
		it.Text = strings.Join(takes, ", ")
	case l.person:
		it.Text = "a person has to say so"
	default:
		it.Status, it.Text = ItemNotApplicable, "no step of this plan is about it"
	}
	return it
}

// signature returns the newest one for an item.
func (s *State) signature(item string) (out Signature, ok bool) {
	for _, g := range s.Signatures {
		if g.Item == item && (!ok || !g.At.Before(out.At)) {
			out, ok = g, true
		}
	}
	return out, ok
}

// takes says of each step that could have shown an item why it has not.
func (s *State) takes(targets []string) []string {
	var out []string
	for i := range s.Plan.Steps {
		id := s.Plan.Steps[i].ID
		if !slices.Contains(targets, s.Plan.Steps[i].Target) {
			continue
		}
		switch s.Steps[i].Progress {
		case Done:
			out = append(out, "step "+id+" is done and has not shown it")
		case Waiting, Blocked:
			out = append(out, "step "+id+" is not done yet")
		case Doing:
			out = append(out, "step "+id+" is under way")
		case Failed, Third:
			out = append(out, "step "+id+" has failed")
		case Skipped:
			out = append(out, "step "+id+" was left out")
		}
	}
	return out
}

// Open returns the items that keep the rollback from being declared complete.
func Open(groups []Group) []Item {
	var out []Item
	for _, g := range groups {
		for _, it := range g.Items {
			if it.Status == ItemOpen || it.Status == ItemContradicted {
				out = append(out, it)
			}
		}
	}
	return out
}
