package git

import (
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

// long makes an object id of a name, so that a history can be drawn with short ones.
func long(name string) string { return fmt.Sprintf("%x", name) + strings.Repeat("0", 40-2*len(name)) }

// drawn reads a history, newest first, one commit a line: name, parents, message.
func drawn(text string) *history {
	var commits []Commit
	for l := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		id, rest, _ := strings.Cut(strings.TrimSpace(l), ":")
		parents, message, _ := strings.Cut(rest, "|")
		c := Commit{ID: long(id), At: start.Add(-time.Duration(len(commits)) * time.Hour), Message: strings.TrimSpace(message)}
		if undone, ok := strings.CutPrefix(c.Message, "revert "); ok {
			c.Message = "Revert \"x\"\n\nThis reverts commit " + long(undone) + "."
		}
		c.Subject = subjectOf(c.Message)
		for p := range strings.FieldsSeq(parents) {
			c.Parents = append(c.Parents, long(p))
		}
		commits = append(commits, c)
	}
	return newHistory(commits)
}

func name(id string) string {
	b, err := hex.DecodeString(id)
	if err != nil {
		return id
	}
	return strings.TrimRight(string(b), "\x00")
}

func setOf(names string) set {
	s := set{}
	for n := range strings.FieldsSeq(names) {
		s[long(n)] = true
	}
	return s
}

func TestTheLastCommitBeforeTheMigration(t *testing.T) {
	for _, c := range []struct{ title, history, mine, want string }{
		{"on a straight line", "e: d\nd: c\nc: b\nb: a\na:", "c d", "b"},
		{"it came by a merge: the branch before the merge, not where the side branch began", "m: p s\ns: f\np: f\nf: a\na:", "s", "p"},
		{"other work of a side branch does not matter", "m: c o\no: b\nc: b\nb: a\na:", "c", "b"},
		{"two merges: before the first", "n: y t\ny: m\nm: x s\nt: x\ns: x\nx: a\na:", "s t", "x"},
	} {
		got, err := drawn(c.history).before(setOf(c.mine))
		if err != nil || name(got) != c.want {
			t.Errorf("%s: %s, %v; want %s", c.title, name(got), err, c.want)
		}
	}
	if _, err := drawn("b: a\na:").before(setOf("a")); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("nothing is before the first commit: %v", err)
	}
	if _, err := drawn("b: a\na: z").before(setOf("a")); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("what was not looked at is not known: %v", err)
	}
}

func TestWhatIsTakenBackAndInWhichOrder(t *testing.T) {
	for _, c := range []struct{ title, history, point, mine, want string }{
		{"newest first, others stay", "e: d\nd: c\nc: b\nb: a\na:", "a", "b d", "d b"},
		{"a merge of nothing else is taken back as one", "m: p t\nt: s\ns: f\np: f\nf: a\na:", "p", "s t", "m+"},
		{"of a merge with other work only what is meant", "m: p t\nt: s\ns: f\np: f\nf: a\na:", "p", "t", "t"},
		{"a merge that is meant itself goes with all", "m: p t\nt: s\ns: f\np: f\nf: a\na:", "p", "m t", "m+"},
		{"the branch was merged twice: each part once", "n: y t\ny: m\nm: x s\nt: s\ns: x\nx: a\na:", "x", "s t", "n+ m+"},
		{"a merge within a merge", "m: p k\nk: q s\nq: f\ns: f\np: f\nf: a\na:", "p", "s", "k+"},
		{"a merge of the branch into the side brings nothing", "m: q t\nt: k\nk: s p\nq: p\ns: f\np: f\nf: a\na:", "p", "s t", "m+"},
		{"what was taken back already does not keep a merge from going as one", "m: p t\nt: r\nr: o | revert o\no: s\ns: f\np: f\nf: a\na:", "p", "s t", "m+"},
	} {
		h := drawn(c.history)
		after := h.reach(h.reach(nil, long(c.point)), h.commits[0].ID)
		picks, err := h.picks(long(c.point), setOf(c.mine), h.reverted(after))
		var got []string
		for _, p := range picks {
			n := name(p.Commit)
			if p.Merge {
				n += "+"
			}
			got = append(got, n)
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v; want %s", c.title, got, err, c.want)
		}
	}
	h := drawn("m: p s t\nt: p\ns: p\np: a\na:")
	if _, err := h.picks(long("p"), setOf("s"), nil); !errors.Is(err, lockstep.ErrRefused) || lockstep.HintOf(err) == "" {
		t.Errorf("a merge of three branches: %v", err)
	}
	if p, err := h.picks(long("p"), set{}, nil); err != nil || len(p) != 0 {
		t.Errorf("one that holds nothing of it: %v, %v", p, err)
	}
}

func TestRevertsCancelAndTheirRevertsToo(t *testing.T) {
	for _, c := range []struct{ history, want string }{
		{"c: b\nb: a | revert a\na:", "a b"},
		{"d: c | revert b\nc: b\nb: a | revert a\na:", "b d"},
		{"c: m | revert m\nm: p s\ns: p\np:", "c m s"},
		{"b: a | revert zzz\na:", ""},
		{"b: a\na: | revert b", ""},
	} {
		var got []string
		for id := range drawn(c.history).reverted(nil) {
			got = append(got, name(id))
		}
		slices.Sort(got)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: %v, want %s", c.history, got, c.want)
		}
	}
}

func TestASecondAttemptBeginsAfterTheFirstWasTakenBack(t *testing.T) {
	h := drawn("f: e | migration again\ne: d\nd: c | revert b\nc: b\nb: a | migration\na:")
	point, gone, err := h.beforeLive(setOf("b f"), "")
	if err != nil || name(point) != "e" || gone != 1 {
		t.Errorf("%s, %d gone, %v", name(point), gone, err)
	}
	// The first part was taken back only after the second had begun: at the second's
	// beginning it was in effect.
	h = drawn("e: d | revert b\nd: c | migration\nc: b\nb: a | migration\na:")
	if point, _, err = h.beforeLive(setOf("b d"), ""); err != nil || name(point) != "a" {
		t.Errorf("%s, %v", name(point), err)
	}
	if _, _, err = drawn("c: b | revert b\nb: a\na:").beforeLive(setOf("b"), ""); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("all of it is gone: %v", err)
	}
}

func TestABranchThatBroughtOtherWorkTooIsForPeopleToDecide(t *testing.T) {
	_, _, err := drawn("m: p t\nt: s\ns: f\np: f\nf: a\na:").beforeLive(setOf("t"), "")
	a, ok := errors.AsType[*Ambiguous](err)
	if !ok || len(a.Candidates) != 2 || name(a.Candidates[0].Commit.ID) != "p" || name(a.Candidates[1].Commit.ID) != "s" || !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("%v", err)
	}
	if h := lockstep.HintOf(err); !strings.Contains(h, "point: "+short(long("p"))+", or point: "+short(long("s"))) {
		t.Errorf("hint %q", h)
	}
}

func TestAMergeIntoTheMigrationBringsNoMigration(t *testing.T) {
	merge := func(message string) Commit { return Commit{Parents: []string{"a", "b"}, Message: message} }
	re := drawnPattern(t)
	for message, want := range map[string]bool{
		"Merge branch 'main' into compaction-migration":                 false,
		"Merge branch 'compaction-migration'":                           true,
		"Merge branch 'compaction-migration' into main":                 true,
		"Merge pull request #7 from a/compaction-migration\n\nx into y": true,
	} {
		if merge(message).matches(re) != want {
			t.Errorf("%q: want %v", message, want)
		}
	}
	if !(Commit{Message: "Merge x into compaction-migration"}).matches(re) {
		t.Error("an ordinary commit means what it says")
	}
}

// TestPicksCoverTheMigrationOnce draws histories of merges and checks what the order of
// reverts must keep whatever they look like.
func TestPicksCoverTheMigrationOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 30).Draw(t, "commits")
		commits := make([]Commit, n)
		for i := range n { // i 0 is the newest; parents are older
			commits[i] = Commit{ID: long(fmt.Sprintf("%02d", i))}
			if i == n-1 {
				break
			}
			first := i + 1
			if i > 0 {
				first = rapid.IntRange(i+1, min(n-1, i+3)).Draw(t, "parent")
			}
			commits[i].Parents = []string{long(fmt.Sprintf("%02d", first))}
			if second := rapid.IntRange(i+1, n-1).Draw(t, "second"); second != first && rapid.Bool().Draw(t, "merge") {
				commits[i].Parents = append(commits[i].Parents, long(fmt.Sprintf("%02d", second)))
			}
		}
		h := newHistory(commits)
		reached := h.reach(nil, commits[0].ID)
		mine := set{}
		for _, c := range commits[:n-1] {
			if reached[c.ID] && !c.merge() && rapid.IntRange(0, 2).Draw(t, "mine") == 0 {
				mine[c.ID] = true
			}
		}
		if len(mine) == 0 {
			return
		}
		point, err := h.before(mine)
		if err != nil {
			t.Fatal(err)
		}
		old := h.reach(nil, point)
		for id := range mine {
			if old[id] {
				t.Fatalf("the point %s holds %s", name(point), name(id))
			}
		}
		picks, err := h.picks(point, mine, nil)
		if err != nil {
			t.Fatal(err)
		}
		times := map[string]int{}
		for i, p := range picks {
			for _, earlier := range picks[:i] {
				if h.reach(nil, p.Commit)[earlier.Commit] {
					t.Fatalf("%s was built on %s and is taken back after it", name(p.Commit), name(earlier.Commit))
				}
			}
			if !p.Merge {
				times[p.Commit]++
				continue
			}
			c, _ := h.commit(p.Commit)
			for id := range h.reach(h.reach(nil, c.Parents[0]), c.Parents[1:]...) {
				if s, _ := h.commit(id); !s.merge() && !mine[id] {
					t.Fatalf("merge %s goes as one and brought %s", name(p.Commit), name(id))
				}
				times[id]++
			}
		}
		for id := range mine {
			if times[id] != 1 {
				t.Fatalf("%s is taken back %d times by %v", name(id), times[id], picks)
			}
		}
	})
}

func drawnPattern(t *testing.T) *regexp.Regexp {
	t.Helper()
	re, err := regexp.Compile("compaction-migration")
	if err != nil {
		t.Fatal(err)
	}
	return re
}
