package git

import (
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

func TestSettingsNameWhatIsWrong(t *testing.T) {
	for field, s := range map[string]Settings{
		"option":    {Option: "squash"},
		"author":    {Author: "nobody"},
		"message":   {Message: "("},
		"until":     {Since: start, Until: start.Add(-time.Hour)},
		"branch":    {Branch: "a..b"},
		"reference": {Reference: "-x{date}"},
		"rollback":  {Rollback: "HEAD"},
		"point":     {Point: "--all"},
		"paths":     {Paths: []string{"a", "../b"}},
	} {
		if _, err := New(s, Options{}); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "git "+field+": ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, p := range []string{"", "/etc", "..", "a/../../b", ".git/config", "x\x00"} {
		if _, err := cleanPaths([]string{p}); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q: %v", p, err)
		}
	}
	if _, err := New(Settings{Reference: "x", Rollback: "x"}, Options{}); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("two branches of one name: %v", err)
	}
	if got, err := cleanPaths([]string{"b/", "a/x", "./a", "ab", "a"}); err != nil || !slices.Equal(got, []string{"a", "ab", "b"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestBranchNamesAreThoseOfGit asks git itself.
func TestBranchNamesAreThoseOfGit(t *testing.T) {
	for _, name := range []string{
		"main", "a/b", "-x", "x-", "a..b", "a.b", ".a", "a/.b", "a.", "a/", "/a", "a//b", "a b", "a~b", "a^", "a:b", "a?b", "a*", "a[b", "a\\b",
		"a@{b", "a@b", "x.lock", "x.lock/y", "ü", "a\tb", "a\x7fb", "rollback-20260105", "{date}", "",
	} {
		err := exec.Command("git", "check-ref-format", "--branch", name).Run()
		if (err == nil) != validBranch(name) {
			t.Errorf("%q: git says %v, we say %v", name, err, validBranch(name))
		}
	}
}

func TestOldGitsAreRefused(t *testing.T) {
	for version, class := range map[string]error{
		"git version 2.38.0": nil, "git version 2.39.5 (Apple Git-154)": nil, "git version 3.0.0": nil, "git version 2.45.1.windows.1": nil, "git version 2.50.GIT": nil,
		"git version 2.37.9": lockstep.ErrRefused, "git version 1.99": lockstep.ErrRefused, "": lockstep.ErrCorrupt, "git version x.y": lockstep.ErrCorrupt, "git version 2": lockstep.ErrCorrupt,
	} {
		if err := newEnough(version); !errors.Is(err, class) {
			t.Errorf("%q: %v", version, err)
		}
	}
}

func TestWhatGitSaysHasAClass(t *testing.T) {
	r, err := New(Settings{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for said, class := range map[string]error{
		"fatal: detected dubious ownership in repository at '/x'":                                               lockstep.ErrRefused,
		"fatal: Unable to create '/x/.git/index.lock': File exists.\n\nAnother git process seems to be running": lockstep.ErrUnavailable,
		"error: object file .git/objects/ab/cd is empty\nfatal: loose object abcd is corrupt":                   lockstep.ErrCorrupt,
		"error: unable to write file x: No space left on device":                                                lockstep.ErrUnavailable,
		"fatal: bad object 1234": lockstep.ErrNotFound,
		"something else":         lockstep.ErrRefused,
	} {
		if err := r.failure("x", errors.New("exit status 128"), []byte(said)); !errors.Is(err, class) {
			t.Errorf("%q: %v", said, err)
		}
	}
	if err := r.failure("x", errors.New("exit status 1"), []byte("a\x1b[31m\r\nb")); strings.ContainsAny(err.Error(), "\x1b\r\n") {
		t.Errorf("a terminal would obey %q", err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	over := 0
	b := &bounded{left: 3, over: func() { over++ }}
	if n, err := b.Write([]byte("ab")); n != 2 || err != nil {
		t.Error(n, err)
	}
	if _, err := b.Write([]byte("cd")); err == nil || over != 1 || !b.exceeded || b.body.String() != "ab" {
		t.Errorf("%v, %d, %q", err, over, b.body.String())
	}
	said := &tail{}
	for range 3 {
		_, _ = said.Write([]byte(strings.Repeat("x", tailKept)))
	}
	if _, _ = said.Write([]byte("the end")); len(said.text) != tailKept || !strings.HasSuffix(string(said.text), "xthe end") {
		t.Errorf("%d bytes", len(said.text))
	}
	if got := list(strings.Fields("1 2 3 4 5 6 7 8 9 10")); got != "1, 2, 3, 4, 5, 6, 7, 8, 2 others" {
		t.Error(got)
	}
}

func TestWordsForAShell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := strings.ReplaceAll(rapid.String().Draw(t, "word"), "\x00", "")
		out, err := exec.Command("/bin/sh", "-c", "printf '%s' "+quoted(word)).Output()
		if err != nil || string(out) != word {
			t.Fatalf("%q became %q, %v", word, out, err)
		}
	})
}

func TestStatusIsReadWithItsOddities(t *testing.T) {
	got, err := parseStatus([]string{
		"# branch.oid " + long("a"), "# branch.head main", "# branch.upstream origin/main", "# branch.ab +1 -2",
		"1 .M N... 100644 100644 100644 a b with a blank", "1 A. N... 0 0 0 a b staged", "1 MM N... 0 0 0 a b both",
		"u UU N... 1 2 3 4 a b c in conflict", "? new file", "! ignored",
	})
	want := State{Head: long("a"), Branch: "main", Upstream: "origin/main", Ahead: 1, Behind: 2, Dirty: []File{
		{"with a blank", Unstaged}, {"staged", Staged}, {"both", Both}, {"in conflict", Conflicted}, {"new file", Untracked},
	}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"", "x", "1 .M", "2 R. a", "1 .M N... 0 0 0 a b "} {
		if _, err := parseStatus([]string{bad}); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add("# branch.oid (initial)\x00# branch.head (detached)\x00")
	f.Add("1 .M N... 100644 100644 100644 a b path\x00? x\x00u UU N... 1 2 3 4 a b c p\x00")
	f.Fuzz(func(t *testing.T, out string) {
		s, err := parseStatus(words([]byte(out)))
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		for _, d := range s.Dirty {
			if d.How == "" || !strings.Contains(out, d.Path) {
				t.Fatalf("%+v out of %q", d, out)
			}
		}
	})
}

func FuzzLog(f *testing.F) {
	id := long("a")
	f.Add(id + "\x00\x000\x00Ada\x00first\n\nbody\n\x00")
	f.Add(id + "\x00" + id + " " + id + "\x001733054400\x00\x00Merge x into y\x00")
	f.Fuzz(func(t *testing.T, out string) {
		commits, err := parseLog(words([]byte(out)))
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		h := newHistory(commits)
		h.reverted(nil)
		for _, c := range commits {
			if !objectID.MatchString(c.ID) || strings.Contains(c.Subject, "\n") {
				t.Fatalf("%+v", c)
			}
		}
	})
}

func FuzzMergeTree(f *testing.F) {
	f.Add(long("a")+"\x00", 0)
	f.Add(long("a")+"\x00a.py\x00b.py\x00\x00", 1)
	f.Fuzz(func(t *testing.T, out string, status int) {
		m, err := parseMergeTree(words([]byte(out)), status)
		if err == nil && (!objectID.MatchString(m.tree) || (status == 1) != (len(m.conflicts) > 0)) {
			t.Fatalf("%+v out of %q", m, out)
		}
	})
}

func FuzzStep(f *testing.F) {
	f.Add(`{"head":"`+long("a")+`"}`, `{"tip":"x"}`)
	f.Add(`{"head":"x","unknown":1}`, ``)
	f.Fuzz(func(t *testing.T, raw, keptRaw string) {
		p, k, err := read(rollback.At{Step: rollback.Step{Params: json.RawMessage(raw)}, Kept: json.RawMessage(keptRaw)})
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, k2, err := read(rollback.At{Step: rollback.Step{Params: encode(p)}, Kept: encode(k)})
		if err != nil || cmp.Diff(p, again) != "" || cmp.Diff(k, k2) != "" {
			t.Fatalf("%v\n%s%s", err, cmp.Diff(p, again), cmp.Diff(k, k2))
		}
	})
}
