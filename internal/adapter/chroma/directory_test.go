package chroma

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
)

func openHere(t *testing.T) *Directory {
	t.Helper()
	d, err := OpenDirectory(filepath.Join(t.TempDir(), "follower"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAFollowerThatWasNeverWrittenIsAtZero(t *testing.T) {
	d := openHere(t)
	got, err := d.Position(t.Context())
	if err != nil || got.Store != "" || got.Version != 0 || got.Digests != nil {
		t.Errorf("position %+v, %v, want the zero mark", got, err)
	}
	for _, err := range d.Records(t.Context(), "lines") {
		if !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("records: %v, want ErrNotFound", err)
		}
	}
	if _, err := os.Stat(d.root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("asking for the position made %s: %v", d.root, err)
	}
}

func TestAFirstBuildWithoutChromaSaysWhatToInstall(t *testing.T) {
	d := openHere(t)
	err := d.Apply(t.Context(), follow.Step{Full: true, To: follow.Mark{Store: "s", Version: 1}})
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(lockstep.HintOf(err), "pip install chromadb") {
		t.Errorf("%v (hint %q), want ErrRefused with advice", err, lockstep.HintOf(err))
	}
}

func TestAStepFromALaterVersionNeedsSomethingToStartFrom(t *testing.T) {
	d := openHere(t)
	err := d.Apply(t.Context(), follow.Step{From: follow.Mark{Version: 3}, To: follow.Mark{Version: 4}})
	if !errors.Is(err, lockstep.ErrConflict) {
		t.Errorf("%v, want ErrConflict", err)
	}
}

func TestACommandThatIsNoChromaIsRefusedAndLeavesNoTemplate(t *testing.T) {
	for _, command := range [][]string{{"false"}, {"/nonexistent/chroma"}, {"/nonexistent/python3"}} {
		into := filepath.Join(t.TempDir(), "template")
		err := MakeTemplate(t.Context(), command, into)
		if !errors.Is(err, lockstep.ErrRefused) {
			t.Errorf("%v: %v, want ErrRefused", command, err)
		}
		if _, err := readTemplate(t.Context(), into); !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("%v left a template: %v", command, err)
		}
	}
}

func TestAFolderWithOtherThingsIsNotEmptied(t *testing.T) {
	into := t.TempDir()
	keep := filepath.Join(into, "thesis.txt")
	if err := os.WriteFile(keep, []byte("years"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := MakeTemplate(t.Context(), []string{"false"}, into); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
	}
	if _, err := os.Stat(keep); err != nil {
		t.Error(err)
	}
}

func TestACurrentThatIsNotOursIsRefused(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a directory":  func(path string) error { return os.Mkdir(path, 0o755) },
		"a link":       func(path string) error { return os.Symlink("/etc", path) },
		"a link aside": func(path string) error { return os.Symlink("../other", path) },
	} {
		d := openHere(t)
		if err := os.MkdirAll(d.root, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := put(filepath.Join(d.root, currentName)); err != nil {
			t.Fatal(err)
		}
		_, err := d.Position(t.Context())
		if !errors.Is(err, lockstep.ErrRefused) || lockstep.HintOf(err) == "" {
			t.Errorf("%s: %v (hint %q), want ErrRefused", name, err, lockstep.HintOf(err))
		}
	}
}

func TestTwoFollowersDoNotShareADirectory(t *testing.T) {
	d := openHere(t)
	unlock, err := lockRoot(d.root)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(t.Context(), follow.Step{Full: true, To: follow.Mark{Store: "s", Version: 1}}); !errors.Is(err, lockstep.ErrConflict) {
		t.Errorf("%v, want ErrConflict", err)
	}
	unlock()
	if err := d.Apply(t.Context(), follow.Step{Full: true, To: follow.Mark{Store: "s", Version: 1}}); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("after the other ended: %v, want the missing template", err)
	}
}

func TestAnUnfinishedBuildIsRemovedAndAFinishedOneStays(t *testing.T) {
	d := openHere(t)
	if err := os.MkdirAll(d.root, 0o755); err != nil {
		t.Fatal(err)
	}
	torn, err := d.newBuild(7)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := d.newBuild(8)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(whole.dir, unfinishedName)); err != nil {
		t.Fatal(err)
	}
	if err := d.removeUnfinished(); err != nil {
		t.Fatal(err)
	}
	names, err := d.builds()
	if err != nil || len(names) != 1 || names[0] != whole.name {
		t.Errorf("left %v, %v, want %s without %s", names, err, whole.name, torn.name)
	}
}

func TestAProcessWithTheDatabaseOpenIsFound(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("no /proc on this system: only SQLite's own lock is looked at")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, databaseName)
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if hs := holdersOf(dir); len(hs) != 0 {
		t.Fatalf("holders %v, want none", hs)
	}
	cmd := exec.Command("sh", "-c", `exec 3<"$0"; echo open; read x`, file)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	hs := holdersOf(dir)
	if len(hs) != 1 || hs[0].PID != cmd.Process.Pid {
		t.Errorf("holders %v, want process %d", hs, cmd.Process.Pid)
	}
	in.Close()
	_ = cmd.Wait() // read ends without a line: status 1
	if err := refuseHolders(dir); err != nil {
		t.Errorf("after it ended: %v", err)
	}
}

func TestACancelledContextStopsEverything(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := openHere(t)
	if _, err := d.Position(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("position: %v", err)
	}
	if err := d.Apply(ctx, follow.Step{}); !errors.Is(err, context.Canceled) {
		t.Errorf("apply: %v", err)
	}
	for _, err := range d.Records(ctx, "lines") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("records: %v", err)
		}
	}
	if err := MakeTemplate(ctx, []string{"false"}, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("make template: %v", err)
	}
}
