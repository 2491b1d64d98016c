package incident

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstep/internal/redact"
	"lockstep/internal/rollback"
)

func TestNotices(t *testing.T) {
	in := everything(t)
	in.Rollback.Left = []string{"Unlock the Pulumi stack prod: pulumi cancel --yes"}
	var b strings.Builder
	for _, kind := range []NoticeKind{NoticeOpened, NoticeRolledBack, NoticeIncomplete, NoticeClosed} {
		in := in
		if kind == NoticeIncomplete {
			r := *in.Rollback
			r.Outcome = RollbackIncomplete
			in.Rollback = &r
		}
		if kind == NoticeClosed {
			in.Incident = must(t)(Close(in.Incident, by("anna", 3*time.Hour), Closing{Reason: "quiet for two hours.", Accept: blockers(in.Incident, nil)}))
		}
		m := Notice(in, kind)
		fmt.Fprintf(&b, "==== %s\nSubject: %s\n\n---- text\n%s\n---- markdown\n%s\n", kind, m.Subject, m.Text, m.Markdown)
	}
	golden(t, "notices.txt", b.String())
}

// The subject and the parts of the template in the document.
func TestTheNoticeOfARollbackIsThatOfTheDocument(t *testing.T) {
	m := Notice(everything(t), NoticeRolledBack)
	if m.Subject != "Compaction Migration Rolled Back" {
		t.Errorf("subject %q", m.Subject)
	}
	text := m.Text
	for _, want := range []string{"has been rolled back", "due to: 2.1 %", "Current State:", "- Lambda: ", "- Package: ", "- Data: ", "- Status: Monitoring", "Next Steps:", "- Fix identified issues", "- Re-attempt migration when ready"} {
		_, after, found := strings.Cut(text, want)
		if !found {
			t.Errorf("%q is missing, or out of order, in\n%s", want, m.Text)
		}
		text = after
	}
}

func TestTheStatusIsWhatIsKnown(t *testing.T) {
	for want, change := range map[string]func(*Input){
		"Monitoring":      func(*Input) {},
		"Rolling back":    func(in *Input) { in.Rollback.Outcome = RollbackRunning },
		"Incomplete":      func(in *Input) { in.Rollback.Outcome = RollbackIncomplete },
		"Not rolled back": func(in *Input) { in.Rollback = nil },
		"Stable": func(in *Input) {
			in.Incident = must(t)(FinishTask(in.Incident, by("anna", time.Hour), TaskMonitor, "an hour of quiet", ""))
		},
		"Closed": func(in *Input) {
			in.Incident = must(t)(Close(in.Incident, by("anna", time.Hour), Closing{Reason: "x", Accept: blockers(in.Incident, nil)}))
		},
	} {
		in := everything(t)
		change(&in)
		if got := in.status(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTheStateSaysWhatTheChecklistSays(t *testing.T) {
	state := func(i Item) string {
		i.ID = rollback.ItemDataBack
		in := Input{Checklist: []Group{{"Data", []Item{i}}}}
		return in.currentState()[2].Text
	}
	for want, i := range map[string]Item{
		"Data: not known":                                   {},
		"Data: 7 records back":                              {Evidence: &rollback.Evidence{OK: true, Text: "7 records back"}},
		"Data: not yet: 2 of 7":                             {Evidence: &rollback.Evidence{Text: "2 of 7"}},
		"Data: all looked at (anna)":                        {Signed: &Signature{By: "anna", Reason: "all looked at"}},
		"Data: not part of this rollback: it wrote nothing": {Void: "it wrote nothing"},
	} {
		if got := state(i); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestIssueOfARollback(t *testing.T) {
	in := everything(t)
	in.Redact = redact.New("correct horse battery")
	long := "Traceback (most recent call last):\n" + strings.Repeat("  File \"handler.py\", line 7\n", 60)
	logs := []Excerpt{
		{"compaction handler, 08:01:09Z", "ERROR no label for IMAGE#a1\npassword=hunter2 Authorization: Bearer abc123def456\n```\n# out\ncorrect horse battery"},
		{"stream handler", long},
	}
	i := IssueOf(in, logs, []string{"lockstep checkout 40", "Let receipts@2 decide the changes of versions 41 to 57"})
	golden(t, "issue.md", i.Title+"\n"+strings.Join(i.Labels, ", ")+"\n\n"+i.Body)
	for _, secret := range []string{"hunter2", "abc123def456", "correct horse"} {
		if strings.Contains(i.Body, secret) {
			t.Errorf("%s is in the issue", secret)
		}
	}
	if len(i.Labels) != 1 || i.Labels[0] != "migration-blocker" {
		t.Errorf("labels %v", i.Labels)
	}
}

func TestAnIssueWithoutLogsAndStepsSaysWhatIsKnown(t *testing.T) {
	i := IssueOf(everything(t), nil, nil)
	for _, want := range []string{"no error log was given", "decide the changes of version 41 on the state of version 40", "how to make it happen again"} {
		if !strings.Contains(i.Body, want) {
			t.Errorf("%q is not in\n%s", want, i.Body)
		}
	}
}

func TestLogsInAnIssueAreBounded(t *testing.T) {
	var logs []Excerpt
	for i := range 20 {
		logs = append(logs, Excerpt{fmt.Sprint("log ", i), strings.Repeat(strings.Repeat("x", 1000)+"\n", 100)})
	}
	logs[0].Text = strings.Repeat("y", 1<<20)
	i := IssueOf(everything(t), logs, nil)
	if len(i.Body) > 60_000 {
		t.Errorf("%d bytes: more than an issue may have", len(i.Body))
	}
	for _, want := range []string{"12 more logs left out", "without the last 96 lines"} {
		if !strings.Contains(i.Body, want) {
			t.Errorf("%q is not in the issue", want)
		}
	}
}
