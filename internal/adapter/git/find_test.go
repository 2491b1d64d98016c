package git

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
)

func TestThePointIsFoundAndExplained(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	all := "compaction migration: imports\nMerge pull request #517 from ada/stream compaction migration, stream half\nstream processor\ncompaction migration: create modules\n"
	all = strings.Replace(all, " compaction migration, stream half", "", 1)
	others := "fix a typo\nother work\ndocs\n"
	for _, c := range []struct {
		title string
		query Query
		point string
		mine  string
		later string
		how   string
	}{
		{"by message", Query{Message: "compaction migration", Paths: paths}, m.point, all, others, `the last commit of the branch before the first of 3 commits of which the message matches "compaction migration": 4 commits, and 3 others that came later and are not`},
		{"by paths since a day", Query{Paths: paths, Since: start.AddDate(0, 0, 2)}, m.point, "compaction migration: imports\nstream processor\ncompaction migration: create modules\n", others, "the last commit of the branch before the first of 3 commits since 2024-12-03 12:00 by which something in the 4 migrated paths is changed: 3 commits, and 3 others that came later and are not"},
		{"by a path that was made", Query{Paths: []string{"lambdas", "receipt_chroma/compaction"}}, m.point, "compaction migration: imports\ncompaction migration: create modules\n", "fix a typo\nstream processor\nother work\ndocs\n", "the last commit of the branch before " + short(m.create) + ` "compaction migration: create modules" made receipt_chroma/compaction: 2 commits, and 4 others that came later and are not`},
		{"by date, with what a merge brought since", Query{Since: start.AddDate(0, 0, 6)}, m.git("rev-parse", m.merge+"^1"), "fix a typo\ncompaction migration: imports\nstream processor\n", "", "the last commit of the branch before 2024-12-07 12:00; nothing says what is the migration's, so everything after it is: 3 commits"},
		{"by date", Query{Since: start.AddDate(0, 0, 7)}, m.merge, "fix a typo\ncompaction migration: imports\n", "", "the last commit of the branch before 2024-12-08 12:00; nothing says what is the migration's, so everything after it is: 2 commits"},
		{"given", Query{Commit: short(m.point), Message: "^compaction migration"}, m.point, "compaction migration: imports\ncompaction migration: create modules\n", "fix a typo\nstream processor\nother work\ndocs\n", `it was given; after it, what matches "^compaction migration" is the migration's: 2 commits, and 4 others that came later and are not`},
		{"recorded", Query{Good: m.docs, GoodFrom: "release prod-3", Paths: paths}, m.docs, "compaction migration: imports\nstream processor\n", "fix a typo\nother work\n", "release prod-3 names it as known good; after it, what changes the migrated paths is the migration's: 2 commits, and 2 others that came later and are not"},
		{"with a commit that was named", Query{Commit: m.point, Message: "imports", Also: []string{m.docs}}, m.point, "compaction migration: imports\ndocs\n", "fix a typo\nstream processor\nother work\ncompaction migration: create modules\n", `it was given; after it, what matches "imports" is the migration's: 2 commits, and 4 others that came later and are not`},
		{"until a day", Query{Message: "compaction migration", Until: start.AddDate(0, 0, 4)}, m.point, "compaction migration: create modules\n", "fix a typo\ncompaction migration: imports\nstream processor\nother work\ndocs\n", `the last commit of the branch before the first of 1 commit of which the message matches "compaction migration": 1 commit, and 5 others that came later and are not`},
	} {
		p, err := m.repo(nil).FindPoint(t.Context(), c.query)
		if err != nil {
			t.Errorf("%s: %v", c.title, err)
			continue
		}
		if p.ID != c.point || p.Head != m.typo || p.Branch != "main" {
			t.Errorf("%s: point %s from %s on %q, want %s from %s on main", c.title, p.Commit, p.Head, p.Branch, short(c.point), m.typo)
		}
		if diff := cmp.Diff([]string{c.mine, c.later, c.how}, []string{names(p.Migration), names(p.Later), p.How}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.title, diff)
		}
		for _, k := range p.Migration {
			if k.Why == "" {
				t.Errorf("%s: nothing says why %s", c.title, k)
			}
		}
	}
}

func TestWhatCannotBeFoundIsSaid(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	m.git("switch", "--quiet", "-c", "aside", m.point)
	aside := m.commit("aside")
	m.git("switch", "--quiet", "main")
	for _, c := range []struct {
		title string
		query Query
		class error
		words string
		hint  string
	}{
		{"nothing is known", Query{}, lockstep.ErrInvalid, "nothing says where", "paths"},
		{"no message", Query{Message: "no such words"}, lockstep.ErrNotFound, `matches "no such words"`, "git log"},
		{"a pattern that is none", Query{Message: "("}, lockstep.ErrInvalid, "message", ""},
		{"a commit that is not there", Query{Commit: "1234567"}, lockstep.ErrNotFound, "1234567", "git fetch"},
		{"no commit at all", Query{Commit: "--all"}, lockstep.ErrNotFound, "--all", ""},
		{"on another branch", Query{Commit: aside}, lockstep.ErrRefused, "no ancestor of the head", "point: " + short(m.point)},
		{"the head", Query{Commit: "HEAD"}, lockstep.ErrNotFound, "is the head", ""},
		{"no such path", Query{Paths: []string{"nowhere"}}, lockstep.ErrNotFound, "nowhere", ""},
		{"a path outside", Query{Paths: []string{"../x"}}, lockstep.ErrInvalid, "../x", ""},
		{"paths as old as the repository", Query{Paths: []string{"lambdas"}}, lockstep.ErrNotFound, "as old as the repository", "since"},
		{"paths of different age", Query{Paths: paths}, lockstep.ErrRefused, "made at different times", "or point: "},
		{"nothing since", Query{Since: start.AddDate(1, 0, 0)}, lockstep.ErrNotFound, "no commit since", ""},
		{"since the beginning", Query{Since: start.AddDate(-1, 0, 0)}, lockstep.ErrNotFound, "first commit", ""},
		{"after the point nothing fits", Query{Commit: m.handler, Message: "create"}, lockstep.ErrNotFound, "no commit is the migration's", "pattern"},
		{"a named commit before the point", Query{Commit: m.docs, Message: "imports", Also: []string{m.create}}, lockstep.ErrRefused, "is not after the point", ""},
	} {
		_, err := m.repo(nil).FindPoint(t.Context(), c.query)
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.words) || !strings.Contains(lockstep.HintOf(err), c.hint) {
			t.Errorf("%s: %v (hint %q)", c.title, err, lockstep.HintOf(err))
		}
	}
	_, err := m.repo(nil).FindPoint(t.Context(), Query{Paths: paths})
	if a, ok := errors.AsType[*Ambiguous](err); !ok || len(a.Candidates) != 2 || a.Candidates[0].Commit.ID != m.point {
		t.Errorf("the candidates are not listed: %v", err)
	}
}

func TestTheFirstAttemptDoesNotCountWhenItWasTakenBack(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.commit("first", "a", "1\n")
	bad := b.commit("compaction migration: first attempt", "receipt_chroma/compaction/a.py", "1\n")
	b.git("revert", "--no-edit", bad)
	b.made++
	between := b.commit("work", "a", "2\n")
	b.commit("compaction migration: second attempt", "receipt_chroma/compaction/a.py", "2\n")
	p := find(t, b.repo(nil))
	if p.ID != between || names(p.Migration) != "compaction migration: second attempt\n" || !strings.Contains(p.How, "2 more match and were reverted since") {
		t.Errorf("%s: %s\n%s", p.Commit, p.How, names(p.Migration))
	}
}

func TestAShallowCloneIsNotGuessedFrom(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	clone := &box{t: t, home: m.home, dir: m.dir + "-clone"}
	clone.in(m.home, "clone", "--quiet", "--depth", "4", "file://"+m.dir, clone.dir)
	for _, q := range []Query{{Message: "compaction migration"}, {Paths: paths}, {Since: start}} {
		if _, err := clone.repo(nil).FindPoint(t.Context(), q); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(lockstep.HintOf(err), "--unshallow") {
			t.Errorf("%+v: %v", q, err)
		}
	}
	// A commit that is there can be given.
	p, err := clone.repo(nil).FindPoint(t.Context(), Query{Commit: m.merge, Message: "compaction migration"})
	if err != nil || names(p.Migration) != "compaction migration: imports\n" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := clone.repo(nil).FindPoint(t.Context(), Query{Commit: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}); !errors.Is(err, lockstep.ErrNotFound) || !strings.Contains(lockstep.HintOf(err), "--unshallow") {
		t.Errorf("%v", err)
	}
	if s, err := clone.repo(nil).State(t.Context()); err != nil || !s.Shallow || s.Upstream != "origin/main" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestARepositoryWithoutCommits(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	if s, err := b.repo(nil).State(t.Context()); err != nil || s.Head != "" || s.Branch != "main" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := b.repo(nil).FindPoint(t.Context(), Query{Since: time.Unix(0, 0)}); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if _, err := b.repo(nil).Record(t.Context(), ""); err != nil {
		t.Errorf("%v", err)
	}
}
