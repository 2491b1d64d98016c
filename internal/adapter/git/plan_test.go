package git

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func pretty(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPlansSayAllThatWillHappen(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	for option, r := range map[Option]*Repo{
		Revert:  m.repo(nil),
		Reset:   m.repo(nil),
		Restore: m.repo(nil),
		"move":  m.repo(func(s *Settings) { s.MoveBranch, s.Option = true, Reset }),
	} {
		before := m.print()
		o := option
		if o == "move" {
			o = ""
		}
		list := steps(t, r, o)
		golden(t, "plan-"+string(option)+".json", strings.ReplaceAll(pretty(t, list), m.dir, "REPO"))
		if err := m.same(before); err != nil {
			t.Errorf("the plan has changed something: %v", err)
		}
		for _, s := range list {
			sight, err := Targets(r)[s.Target].Look(t.Context(), rollback.At{Step: s})
			if err != nil || sight.State != s.From {
				t.Errorf("%s begins at %q and is at %q, %v", s.ID, s.From, sight.State, err)
			}
		}
	}
}

func TestAPlanTakesNamesThatAreFree(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	m.git("branch", "migration-rollback-20260105", m.docs)
	m.git("branch", "rollback-20260105")
	list := steps(t, m.repo(nil), Revert)
	if got := list[0].To + "; " + list[1].To; got != "migration-rollback-20260105-2 at "+short(m.typo)+"; on rollback-20260105-2 as at "+short(m.point) {
		t.Error(got)
	}
	// A reference that is there already is taken, and is not this plan's to delete.
	m.git("branch", "-f", "migration-rollback-20260105", m.typo)
	r := m.repo(nil)
	s := steps(t, r, Revert)[0]
	at := rollback.At{Step: s}
	if sight, err := Targets(r)[s.Target].Look(t.Context(), at); err != nil || sight.State != s.To {
		t.Errorf("%+v, %v", sight, err)
	}
	if undo, err := Targets(r)[s.Target].Undo(t.Context(), at); err != nil || undo != nil {
		t.Errorf("%+v, %v", undo, err)
	}
}

func TestAPlanIsForTheBranchThatIsMeant(t *testing.T) {
	t.Parallel()
	m := newMigrated(t)
	plan := func(r *Repo) error {
		_, err := r.Plan(t.Context(), find(t, r), Revert, planned)
		return err
	}
	if err := plan(m.repo(func(s *Settings) { s.Branch = "upload-refactor" })); !errors.Is(err, lockstep.ErrRefused) || lockstep.HintOf(err) != "git switch upload-refactor" {
		t.Errorf("%v, %q", err, lockstep.HintOf(err))
	}
	m.git("switch", "--quiet", "--detach")
	if err := plan(m.repo(nil)); !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "HEAD is detached at "+short(m.typo)+"; main has it") {
		t.Errorf("%v", err)
	}
	if err := plan(m.repo(func(s *Settings) { s.Branch = "HEAD" })); err != nil {
		t.Error(err)
	}
	p := find(t, m.repo(nil))
	m.git("switch", "--quiet", "main")
	m.commit("more", "x", "y")
	if _, err := m.repo(nil).Plan(t.Context(), p, Revert, planned); !errors.Is(err, lockstep.ErrConflict) {
		t.Errorf("the head has moved: %v", err)
	}
	if _, err := m.repo(nil).Plan(t.Context(), find(t, m.repo(nil)), "squash", planned); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func TestAnOctopusWithTheMigrationIsRefused(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.commit("first", "a", "1\n")
	for _, side := range []string{"s1", "s2"} {
		b.git("switch", "--quiet", "-c", side, "main")
		b.commit("compaction migration: "+side, "receipt_chroma/compaction/"+side, "x\n")
	}
	b.git("switch", "--quiet", "main")
	b.commit("more", "a", "2\n")
	b.merge("octopus", "s1", "s2")
	r := b.repo(nil)
	_, err := r.Plan(t.Context(), find(t, r), Revert, planned)
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "a merge of 3 branches") || !strings.Contains(lockstep.HintOf(err), "reset") {
		t.Errorf("%v", err)
	}
	if list := steps(t, r, Reset); list[1].ID != stepReset {
		t.Errorf("%+v", list)
	}
}

func TestWithoutNamedPathsTheWholeTreeIsMeant(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	point := b.commit("first", "a", "1\n")
	b.commit("compaction migration: x", "a", "2\n", "b", "1\n")
	r := b.repo(func(s *Settings) { s.Paths = nil })
	for _, o := range []Option{Revert, Reset} {
		doAll(t, r, steps(t, r, o))
		if b.git("rev-parse", "HEAD^{tree}") != b.git("rev-parse", point+"^{tree}") {
			t.Errorf("%s: the tree is another", o)
		}
		b.git("switch", "--quiet", "main")
	}
	// Other work came later: then the files of the migration are meant.
	b.commit("later", "c", "1\n")
	doAll(t, r, steps(t, r, Revert))
	if b.has("b") || b.read("a") != "1\n" || !b.has("c") {
		t.Error(b.print())
	}
}
