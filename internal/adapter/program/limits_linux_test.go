package program

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLimitsOfTheSystem(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		spec := helperSpec(t, "plan eats memory")
		spec.MemoryBytes = 4 << 30
		spec.StderrBytes = 1 << 20
		p := open(t, spec, Options{})
		_, err := p.Plan(t.Context(), note("a", "x"))
		fails(t, err, KindCrash, "its memory is limited to 4294967296 bytes")
		s := <-p.slots
		said := string(s.child.stderr.kept)
		p.slots <- s
		if !strings.Contains(said, "out of memory") && !strings.Contains(said, "failed to allocate") {
			t.Errorf("it said %.500s", said)
		}
	})
	t.Run("processor time", func(t *testing.T) {
		t.Parallel()
		spec := helperSpec(t, "plan spins")
		spec.CPUTime = time.Second
		spec.CallTimeout = time.Minute
		p := open(t, spec, Options{})
		_, err := p.Plan(t.Context(), note("a", "x"))
		fails(t, err, KindLimit, "more than 1s of processor time")
	})
	t.Run("open files and cores", func(t *testing.T) {
		t.Parallel()
		spec := helperSpec(t, "plan nothing")
		spec.OpenFiles = 99
		p := open(t, spec, Options{})
		if _, err := p.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		for resource, want := range map[int]uint64{unix.RLIMIT_NOFILE: 99, unix.RLIMIT_CORE: 0} {
			var has unix.Rlimit
			if err := unix.Prlimit(pids(t, spec)[0], resource, nil, &has); err != nil || has.Max != want {
				t.Errorf("resource %d: %+v, %v, want %d", resource, has, err, want)
			}
		}
	})
}

func TestAProgramDoesNotOutliveLockstep(t *testing.T) {
	spec := helperSpec(t, "keeper")
	keeper := exec.Command(spec.Command[0])
	keeper.Env = spec.environ()
	keeper.Stderr = os.Stderr
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both run", func() bool { return len(pids(t, spec)) == 2 })
	if err := keeper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = keeper.Wait()
	for _, pid := range pids(t, spec) {
		eventually(t, "the program has ended with its keeper", func() bool { return !alive(pid) })
	}
}
