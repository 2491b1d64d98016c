package faults

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"lockstep/internal/handler"
)

// looseIn returns what lets candidates loose, in memory where there is such a directory:
// dozens of indexes are made, and each would wait for a disk.
func looseIn(t *testing.T) *unguarded {
	t.Helper()
	o := options(t)
	if dir, err := os.MkdirTemp("/dev/shm", "lockstep-faults-test-"); err == nil { //nolint:usetesting // that of the test is on a disk
		t.Cleanup(func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		})
		o.Dir = dir
	}
	return &unguarded{opts: o}
}

// Whatever a bad revision did while nobody looked is taken back without a rest: the records
// are those of an index that it never touched, and the proof agrees.
func TestNothingIsLeftOfAFaultThatNobodyStopped(t *testing.T) {
	free := looseIn(t)
	for i, f := range Catalogue() {
		if f.candidate == nil || len(f.Catch) == 0 || testing.Short() && i%4 > 0 {
			continue
		}
		t.Run(f.ID, func(t *testing.T) {
			b, err := free.takeBack(t.Context(), &f)
			if err != nil {
				t.Fatal(err)
			}
			if b.Wrong != 0 || !b.Equal || b.Why != "" {
				t.Errorf("%d records are wrong, equal %t: %s", b.Wrong, b.Equal, b.Why)
			}
			if f.Harm != HarmNone && b.Harmed == 0 {
				t.Error("it did no harm, so that nothing is shown")
			}
			if b.Version == 0 || b.Keys == 0 || b.Clean <= 0 {
				t.Errorf("it decided, and nothing was taken back: %+v", *b)
			}
		})
	}
}

// What is not taken back must show, or the columns mean nothing.
func TestARestThatStaysIsCounted(t *testing.T) {
	free := looseIn(t)
	f, err := Find([]string{"extra-key"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := free.lesson(t.Context(), subject{seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	// A stable that has the fault itself takes back to what is as bad.
	err = free.course(l, f[0].candidate(), func(c *course) error {
		c.good = handler.NewRevision(spoilt("as-bad", f[0].candidate().(variant).plan)())
		b, err := c.takeBack(t.Context(), free.opts.Now)
		if err != nil {
			return err
		}
		res := Result{Ended: EndRolledBack, By: "shadow-mismatch", Unguarded: b}
		row := Row{Fault: f[0], Result: res}
		if row.judge(notCompared); b.Wrong == 0 || b.Equal || b.Why == "" || row.AsDeclared || !strings.Contains(row.Note, "WRONG AFTER THE ROLLBACK, unguarded") {
			t.Errorf("%+v, as declared %t: %q", *b, row.AsDeclared, row.Note)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A release that went too far is taken back on the server itself.
func TestWhatASilentFaultPublishedIsTakenBack(t *testing.T) {
	f, err := Find([]string{"extra-key"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := open(t.Context(), options(t), scene{seed: 3, handlers: []handler.Handler{f[0].candidate()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	tr := trial{world: w, candidate: "receipts@extra-key", edits: 60, batches: 12, shadow: notCompared, bad: true}
	res, err := tr.release(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	switch b := res.Back; {
	case b == nil || res.Harmed == 0:
		t.Fatalf("%d harmed, taken back: %+v", res.Harmed, b)
	case b.Harmed != res.Harmed || b.Version == 0 || b.Records < b.Harmed || !b.whole() || b.Clean <= 0 || b.Took < b.Clean:
		t.Errorf("%d harmed, taken back: %+v", res.Harmed, *b)
	}
}

func TestARowIsNotAsDeclaredWhenSomethingIsLeft(t *testing.T) {
	bad := Fault{ID: "x", Catch: []string{"batch-failure"}, Harm: HarmKeys}
	clean := &Back{Equal: true}
	for _, c := range []struct {
		back, unguarded *Back
		by, note        string
		as              bool
	}{
		{nil, nil, "batch-failure", "", true},
		{clean, clean, "batch-failure", "", true},
		{&Back{Wrong: 2, Equal: true}, clean, "batch-failure", "2 records are WRONG AFTER THE ROLLBACK: -", false},
		{&Back{}, clean, "batch-failure", "NOT PROVEN: -", false},
		{&Back{Equal: true, Why: "no history"}, clean, "batch-failure", "NOT PROVEN: no history", false},
		{clean, &Back{Wrong: 1, Why: "the digest is another"}, "batch-failure", "1 records are WRONG AFTER THE ROLLBACK, unguarded: the digest is another", false},
		{clean, &Back{}, "batch-slow", "by another guard than declared; NOT PROVEN, unguarded: -", false},
	} {
		r := Row{Fault: bad, Result: Result{Ended: EndRolledBack, By: c.by, Back: c.back, Unguarded: c.unguarded}}
		if r.judge(notCompared); r.Note != c.note || r.AsDeclared != c.as {
			t.Errorf("%+v %+v: %q, as declared %t; want %q, %t", c.back, c.unguarded, r.Note, r.AsDeclared, c.note, c.as)
		}
	}
}

func TestTheTableSaysWhatIsLeft(t *testing.T) {
	rep := Report{Rows: []Row{
		{Fault: Fault{ID: "a", Kind: Environment}, Result: Result{Ended: EndPromoted}, AsDeclared: true},
		{Fault: Fault{ID: "b", Kind: Builtin}, Result: Result{Ended: EndUnfit, Back: &Back{Equal: true}, Unguarded: &Back{Harmed: 7, Version: 9, Clean: 20 * time.Millisecond, Equal: true}}, AsDeclared: true},
		{Fault: Fault{ID: "c", Kind: Builtin}, Result: Result{Ended: EndRolledBack, Back: &Back{Harmed: 5, Version: 8, Wrong: 2, Clean: time.Second}, Unguarded: &Back{Harmed: 3, Wrong: 1}}, Note: "left"},
	}}
	var out bytes.Buffer
	if err := rep.Print(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for n, want := range map[int]string{
		0: "EXPOSED WRONG AFTER CLEAN EQUAL UNGUARDED",
		1: "- - - - -", 2: "0 - yes 7, then 0", 3: "2 1s NO 3, then 1, NOT EQUAL left",
		6: "2 bad candidates were released, 1 had decided something and harmed 5 records; after they were taken back 2 are wrong, 1 digests DO NOT EQUAL the counterfactual; clean after 1s (median, at most 1s)",
		7: "2 were let loose with nobody looking, 1 had decided something and harmed 10 records; after they were taken back 1 are wrong, 1 digests DO NOT EQUAL the counterfactual; clean after 20ms (median, at most 20ms)",
	} {
		if len(lines) < 8 || !strings.HasSuffix(strings.Join(strings.Fields(lines[n]), " "), want) {
			t.Fatalf("line %d does not end with %q:\n%s", n, want, out.String())
		}
	}
}

func TestAnEndedContextEndsWhatIsUnguarded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f, err := Find([]string{"extra-key"})
	if err != nil {
		t.Fatal(err)
	}
	free := looseIn(t)
	if _, err := free.takeBack(ctx, &f[0]); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	f[0].Catch = nil
	if b, err := free.takeBack(t.Context(), &f[0]); b != nil || err != nil {
		t.Errorf("of a good candidate %+v was taken back, %v", b, err)
	}
}
