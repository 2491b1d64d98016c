package incident

import (
	"testing"
	"time"

	"lockstep/internal/rollback"
)

const (
	badRev  = "receipts@2+222222222222"
	goodRev = "receipts@1+111111111111"
)

// t0 is a Monday.
func t0() time.Time { return time.Date(2026, 5, 4, 8, 0, 0, 0, time.UTC) }

func at(d time.Duration) time.Time { return t0().Add(d) }

func by(actor string, d time.Duration) Order { return Order{Actor: actor, At: at(d)} }

// verdict is what opens the incident of these tests.
func verdict() Opening {
	return Opening{
		Environment: "prod", Actor: "lockstep", At: at(72 * time.Second),
		Reason: "2.1 % of the units of the candidate fail, 0 % of stable",
		Findings: []Finding{
			{Guard: "failed-units", Verdict: "fail", Reason: "21 of 1,000 units failed, at most 0.5 %", At: at(70 * time.Second), Link: "log/00000000000000000057"},
			{Guard: "records-shrinking", Verdict: "fail", Reason: "words lost 12 records that nobody deleted", At: at(71 * time.Second)},
		},
		Analysis: "The candidate is worse: ln e = 9.2 against a limit of 6.9.\nunits 1,000 (21 bad) | stable 9,000 (0 bad)",
		Subject: &Subject{
			Release: "prod-7", Attempt: 1, Candidate: badRev, Stable: goodRev, Step: "step 3 of 5, canary at 10 %",
			Since: at(-11 * time.Minute),
		},
	}
}

// must applies a transition that has to succeed and to change something, and checks
// that an entry can hold what comes out.
func must(t testing.TB) func(Transition, error) Incident {
	t.Helper()
	return func(tr Transition, err error) Incident {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if tr.Same {
			t.Fatal("nothing changed")
		}
		e, err := tr.Entry.cleaned(nil)
		if err != nil {
			t.Fatal(err)
		}
		e.Format, e.MinReader, e.Number = Format, Format, 2
		if e.Kind == KindOpen {
			e.Number = 1
		}
		body, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeEntry(body); err != nil {
			t.Fatalf("%s leads to a state that is none: %v", e.Kind, err)
		}
		return e.Incident
	}
}

func opened(t testing.TB) Incident {
	t.Helper()
	return must(t)(Open(verdict(), 3))
}

// rolledBack is an incident whose data is clean and whose people are at work.
func rolledBack(t testing.TB) Incident {
	t.Helper()
	in, ok := opened(t), must(t)
	in = ok(SetMark(in, by("lockstep", 80*time.Second), Mark{Kind: MarkFirstBad, At: at(-3 * time.Minute), Source: "version 41, the first that the candidate wrote"}))
	in = ok(SetMark(in, by("lockstep", 81*time.Second), Mark{Kind: MarkCommanded, At: at(75 * time.Second), Source: "entry 12 of the ledger of releases"}))
	in = ok(SetMark(in, by("lockstep", 82*time.Second), Mark{Kind: MarkLastBad, At: at(75*time.Second + 340*time.Millisecond), Source: "version 57"}))
	in = ok(Decide(in, by("anna", 90*time.Second), "take the quick way back", "production is affected and nothing was deployed"))
	in = ok(AddLink(in, by("lockstep", 91*time.Second), Link{Kind: LinkPlan, To: "prod-3-1", Text: "the quick rollback"}))
	in = ok(SetAffected(in, by("lockstep", 92*time.Second), Affected{
		Counts: []Count{{"words", 34}, {"lines", 1180}}, IDs: []string{"IMAGE#a1#RECEIPT#00002#LINE#00007", "IMAGE#a1#RECEIPT#00002#LINE#00008#WORD#00001"},
		FirstVersion: 41, LastVersion: 57, KeyCount: 12, Keys: []string{"IMAGE#a1"}, Source: "the authors that the versions name",
	}))
	in = ok(SetMark(in, by("lockstep", 100*time.Second), Mark{Kind: MarkClean, At: at(84 * time.Second), Source: "version 58, whose digest equals the counterfactual"}))
	in = ok(AddNote(in, by("bert", 5*time.Minute), "", "Support has two tickets about missing labels,\nboth from before the rollback. Their token=abcdef123 went with them."))
	in = ok(AddLink(in, by("lockstep", 6*time.Minute), Link{Kind: LinkIssue, To: "https://github.com/example/receipts/issues/41"}))
	in = ok(Observe(in, by("lockstep", 7*time.Minute), []rollback.Evidence{
		{Item: rollback.ItemNotified, OK: true, Text: "sent to team-channel and on-call", Link: "outbox/00000000000000000009"},
		{Item: rollback.ItemIssue, OK: true, Text: "issue 41", Link: "https://github.com/example/receipts/issues/41"},
	}))
	in = ok(AddTask(in, by("anna", 8*time.Minute), Task{Title: "Ask support for the two tickets", Owner: "bert", Due: at(20 * time.Minute)}))
	in = ok(AddNote(in, by("anna", 9*time.Minute), SectionCause, "receipts@2 reads an absent label as an empty one & deletes it.\n\nThe <unset> case has no test."))
	in = ok(SignItem(in, by("bert", 10*time.Minute), rollback.ItemCustomers, "support sees no new tickets"))
	return in
}

func seen(item, text, link string) Item {
	return Item{ID: item, Title: titles()[item], Evidence: &rollback.Evidence{Item: item, OK: true, Text: text, Link: link}, At: at(84 * time.Second)}
}

func titles() map[string]string {
	return map[string]string{
		rollback.ItemGitBranch: "Rollback branch created (for reference)", rollback.ItemDeployed: "Lambda deployed successfully",
		rollback.ItemPkgAbsent: "receipt_chroma/compaction/ removed", rollback.ItemCustomers: "No customer-facing issues",
		rollback.ItemSuccess: "CompactionLambdaSuccess metric normal", rollback.ItemErrors: "CompactionLambdaError metric low/zero",
		rollback.ItemQuarantine: "The bad revision is refused everywhere", rollback.ItemProven: "The digest equals that of the counterfactual",
		rollback.ItemRouting: "No key is decided by the bad revision",
	}
}

// checklist is an excerpt, with an item in every state.
func checklist() []Group {
	open := func(item string) Item { return Item{ID: item, Title: titles()[item]} }
	void := func(item, why string) Item { return Item{ID: item, Title: titles()[item], Void: why} }
	bad := seen(rollback.ItemErrors, "3 errors in the last 5 minutes", "")
	bad.Evidence.OK = false
	return []Group{
		{"Git State", []Item{void(rollback.ItemGitBranch, "quick: git takes no part")}},
		{"Package State", []Item{void(rollback.ItemPkgAbsent, "quick: packages take no part")}},
		{"Deployment", []Item{void(rollback.ItemDeployed, "nothing was deployed")}},
		{"Monitoring (30-60 minutes)", []Item{open(rollback.ItemSuccess), bad, open(rollback.ItemCustomers)}},
		{"Data", []Item{
			seen(rollback.ItemRouting, "receipts@1 decides for every key since entry 12", "release/00000000000000000012"),
			seen(rollback.ItemQuarantine, "receipts@2+222222222222 is quarantined", "release/00000000000000000012"),
			seen(rollback.ItemProven, "lines and words are equal at version 58", "plan/prod-3-1/00000000000000000009"),
		}},
	}
}

func everything(t testing.TB) Input {
	t.Helper()
	digest := func(c string) string {
		s := ""
		for len(s) < 64 {
			s += c
		}
		return s[:64]
	}
	return Input{
		Incident: rolledBack(t), Now: at(2 * time.Hour), Name: "Compaction Migration", Checklist: checklist(),
		Events: [][]Event{
			{
				{At: at(-11 * time.Minute), Who: "lockstep", What: "advance prod-7 canary at 10 %", Link: "release/00000000000000000011", Source: "release"},
				{At: at(75 * time.Second), Who: "lockstep", What: "abort prod-7: guard failed-units", Link: "release/00000000000000000012", Source: "release"},
			},
			{{At: at(84 * time.Second), Who: "lockstep", What: "version 58: revert of receipts@2, password=hunter2", Link: "log/00000000000000000058", Source: "versions"}},
		},
		Rollback: &Rollback{
			Plan: "prod-3-1", Scenario: "production", Procedure: "quick", Revision: goodRev, Version: 40, Outcome: RollbackDone,
			Done: 6, Steps: 6, Began: at(76 * time.Second), Ended: at(84*time.Second + 250*time.Millisecond),
		},
		Proof: &Proof{
			Version: 58, Compared: ComparedEqual, Link: "plan/prod-3-1/00000000000000000009",
			Digests: []Digest{{"lines", digest("3fa9"), digest("3fa9")}, {"words", digest("c1d2"), digest("c1d2")}},
		},
		Contacts: Contacts{TeamLead: "anna, +49 30 1234567", Runbook: "docs/runbooks/lambda-deployment-issues.md", Undo: "lockstep rollback undo prod-3-1"},
	}
}
