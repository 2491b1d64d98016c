package faults

import (
	"fmt"
	"slices"
	"time"
)

// backWords fills the columns WRONG AFTER, CLEAN and EQUAL.
func backWords(b *Back) string {
	if b == nil {
		return "-\t-\t-"
	}
	clean := "-"
	if b.Version > 0 {
		clean = b.Clean.Round(time.Millisecond).String()
	}
	return fmt.Sprintf("%d\t%s\t%s", b.Wrong, clean, map[bool]string{true: "yes", false: "NO"}[b.Equal])
}

// unguardedWords fills the column UNGUARDED.
func unguardedWords(b *Back) string {
	if b == nil {
		return "-"
	}
	s := fmt.Sprintf("%d, then %d", b.Harmed, b.Wrong)
	if !b.Equal {
		s += ", NOT EQUAL"
	}
	return s
}

// backSummary says on a line each what was taken back of the releases, and of the
// candidates at which nobody looked.
func (r *Report) backSummary() string {
	var released, unguarded tally
	for i := range r.Rows {
		released.add(r.Rows[i].Result.Back)
		unguarded.add(r.Rows[i].Result.Unguarded)
	}
	return released.line("bad candidates were released") + unguarded.line("were let loose with nobody looking")
}

// tally adds up what was taken back.
type tally struct {
	all, decided, harmed, wrong, unequal int
	clean                                []time.Duration
}

func (t *tally) add(b *Back) {
	if b == nil {
		return
	}
	t.all++
	t.harmed += b.Harmed
	t.wrong += b.Wrong
	if !b.Equal {
		t.unequal++
	}
	if b.Version > 0 {
		t.decided++
		t.clean = append(t.clean, b.Clean)
	}
}

func (t *tally) line(what string) string {
	if t.all == 0 {
		return ""
	}
	s := fmt.Sprintf("%d %s, %d had decided something and harmed %d records; after they were taken back %d are wrong, ", t.all, what, t.decided, t.harmed, t.wrong)
	if t.unequal == 0 {
		s += "all digests equal the counterfactual"
	} else {
		s += fmt.Sprintf("%d digests DO NOT EQUAL the counterfactual", t.unequal)
	}
	if len(t.clean) > 0 {
		slices.Sort(t.clean)
		s += fmt.Sprintf("; clean after %s (median, at most %s)", t.clean[len(t.clean)/2].Round(time.Millisecond), t.clean[len(t.clean)-1].Round(time.Millisecond))
	}
	return s + "\n"
}
