package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// note is a unit of one message about one item with a text.
func note(sort, text string) handler.Unit {
	key := lockstep.ItemKey{Partition: "N#1", Sort: sort}
	image := lockstep.Item{"text": {Type: lockstep.AttrS, Text: text}}
	return handler.Unit{
		Messages: []lockstep.Message{{ID: sort, Group: "N#1", Change: lockstep.Change{Key: key, Event: lockstep.Insert, Entity: "NOTE", Seq: "1", New: image}}},
		View:     handler.View{Items: []lockstep.MirrorItem{{ID: key.RecordID(), Key: key, Entity: "NOTE", Image: image, Seq: "1"}}},
		Now:      time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC),
	}
}

func fails(t *testing.T, err error, kind Kind, part string) *Failure {
	t.Helper()
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		t.Fatalf("%v is no Failure", err)
	}
	if f.Kind != kind || !strings.Contains(err.Error(), part) {
		t.Errorf("%s %q, want %s and %q", f.Kind, err, kind, part)
	}
	if errors.Is(err, lockstep.ErrUnavailable) {
		t.Error("the compactor would wait for this to go away")
	}
	if !errors.Is(err, lockstep.ErrInvalid) && !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("%v has no class", err)
	}
	return f
}

func TestEveryFailureHasItsKind(t *testing.T) {
	for _, tt := range []struct {
		mode string
		kind Kind
		part string
		spec func(*Spec)
	}{
		{"exits at start", KindStart, "exit status 7; it said: cannot find module receipts", nil},
		{"silent at start", KindStart, "no answer within 300ms", func(s *Spec) { s.StartTimeout = 300 * time.Millisecond }},
		{"garbage at start", KindStart, "want an object at byte 0, found 'W'", nil},
		{"wrong protocol", KindStart, `protocol: "lockstep-exec/9", but Lockstep speaks "lockstep-exec/1"`, nil},
		{"describes nonsense", KindStart, `handler name "A B"`, nil},
		{"refuses at start", KindStart, "the model is missing", nil},
		{"plan hangs", KindTimeout, "no answer within 300ms", func(s *Spec) { s.CallTimeout = 300 * time.Millisecond }},
		{"plan hangs with a child", KindTimeout, "no answer within 300ms", func(s *Spec) { s.CallTimeout = 300 * time.Millisecond }},
		{"plan floods for ever", KindTimeout, "no answer", func(s *Spec) { s.CallTimeout = 300 * time.Millisecond }},
		{"plan exits", KindCrash, "exit status 3; it said: KeyError: 'merchant_name'", nil},
		{"plan stops in the middle", KindCrash, "exit status 0", nil},
		{"plan closes its output", KindCrash, "closed its output and ran on", nil},
		{"plan leaves a daemon", KindCrash, "it ended", nil},
		{"plan prints", KindGarbage, "want an object", nil},
		{"plan wrong id", KindGarbage, "asked was", nil},
		{"plan unknown member", KindGarbage, `mutations[0].colour: unknown member "colour"`, nil},
		{"plan long line", KindLimit, "more than 100000 bytes in one line", func(s *Spec) { s.LineBytes = 100_000 }},
		{"plan many mutations", KindLimit, "more than 20 mutations", func(s *Spec) { s.Mutations = 20 }},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			t.Parallel()
			spec := helperSpec(t, tt.mode)
			if tt.spec != nil {
				tt.spec(&spec)
			}
			p := open(t, spec, Options{})
			from := time.Now()
			_, err := p.Plan(t.Context(), note("a", "x"))
			f := fails(t, err, tt.kind, tt.part)
			if took := time.Since(from); took > 8*time.Second {
				t.Errorf("it took %s", took)
			}
			if f.Program != tt.mode || f.Request == "" {
				t.Errorf("program %q, request %q", f.Program, f.Request)
			}
			if tt.kind == KindStart {
				if _, err := p.Probe(t.Context()); err == nil {
					t.Error("the probe passes")
				}
				if err := p.Describe().Check(); err == nil {
					t.Error("its description would be registered")
				}
			}
		})
	}
}

func TestTheProgramThatIsNotThereFailsToStart(t *testing.T) {
	for _, command := range []string{"/nowhere/handler", "no-such-program-anywhere", "./missing"} {
		p := open(t, Spec{Command: []string{command}}, Options{})
		_, err := p.Probe(t.Context())
		fails(t, err, KindStart, "")
	}
}

func TestTheProcessIsReplacedAfterAFailure(t *testing.T) {
	for mode, kind := range map[string]Kind{"plan exits once": KindCrash, "plan hangs once": KindTimeout} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			spec := helperSpec(t, mode)
			spec.CallTimeout = time.Second
			p := open(t, spec, Options{})
			_, err := p.Plan(t.Context(), note("a", "x"))
			fails(t, err, kind, "")
			muts, err := p.Plan(t.Context(), note("a", "x"))
			if err != nil || len(muts) != 1 || muts[0].Record.Document != "x" {
				t.Errorf("%+v, %v", muts, err)
			}
			if n := len(pids(t, spec)); n != 2 {
				t.Errorf("%d processes were started, want 2", n)
			}
		})
	}
}

func TestAProcessThatEndsBetweenTwoCallsCostsNone(t *testing.T) {
	spec := helperSpec(t, "plan answers and exits")
	p := open(t, spec, Options{})
	for i := range 3 {
		if _, err := p.Plan(t.Context(), note("a", "x")); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
		eventually(t, "the process has ended", func() bool {
			return !slices.ContainsFunc(pids(t, spec), func(pid int) bool { return unix.Kill(pid, 0) == nil })
		})
	}
}

func TestASecondAnswerIsNotTakenForTheNextOne(t *testing.T) {
	p := open(t, helperSpec(t, "plan answers twice"), Options{})
	if _, err := p.Plan(t.Context(), note("a", "x")); err != nil {
		t.Fatal(err)
	}
	_, err := p.Plan(t.Context(), note("b", "y"))
	fails(t, err, KindGarbage, "asked was")
}

func TestAFloodNeitherBlocksNorIsKept(t *testing.T) {
	var logged lockedBuffer
	spec := helperSpec(t, "plan floods")
	spec.CallTimeout = time.Minute
	p := open(t, spec, Options{Log: slog.New(slog.NewTextHandler(&logged, nil))})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := p.Plan(t.Context(), note("a", "x")); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d bytes were kept", grown)
	}
	s := <-p.slots
	said := s.child.stderr
	p.slots <- s
	eventually(t, "the last word is kept", func() bool { // the answer may be read before it
		last := said.last()
		return len(last) > 0 && last[len(last)-1] == "the last word"
	})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	text := logged.String()
	if n := strings.Count(text, "flood"); n == 0 || len(text) > 1<<20 {
		t.Errorf("%d bytes were logged", len(text))
	}
	if !strings.Contains(text, "lines were not logged") {
		t.Error("the log does not say that it is not complete")
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestCancelReturnsAtOnceAndIsNobodysFailure(t *testing.T) {
	spec := helperSpec(t, "plan hangs once")
	spec.CallTimeout = time.Minute
	p := open(t, spec, Options{})
	if _, err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		eventually(t, "the call is in the program", func() bool { _, err := os.Stat(spec.Env[envOnce]); return err == nil })
		cancel()
	}()
	_, err := p.Plan(ctx, note("a", "x"))
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	from := time.Now()
	muts, err := p.Plan(t.Context(), note("a", "x"))
	if err != nil || len(muts) != 1 {
		t.Errorf("after it: %v, %v", muts, err)
	}
	if took := time.Since(from); took > 5*time.Second {
		t.Errorf("the next call took %s", took)
	}
}

func TestACancelledContextStartsNothing(t *testing.T) {
	spec := helperSpec(t, "plan nothing")
	p := open(t, spec, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err1 := p.Probe(ctx)
	_, err2 := p.Plan(ctx, note("a", "x"))
	_, err3 := p.ReadsContext(ctx, note("a", "x").Messages)
	for i, err := range []error{err1, err2, err3} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if n := len(pids(t, spec)); n > 0 {
		t.Errorf("%d processes", n)
	}
}

func TestCloseBreaksOffCalls(t *testing.T) {
	spec := helperSpec(t, "plan hangs once")
	spec.CallTimeout = time.Minute
	p := open(t, spec, Options{})
	result := make(chan error, 1)
	go func() {
		_, err := p.Plan(t.Context(), note("a", "x"))
		result <- err
	}()
	eventually(t, "the call is in the program", func() bool { _, err := os.Stat(spec.Env[envOnce]); return err == nil })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, ErrClosed) || !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if _, err := p.Plan(t.Context(), note("a", "x")); !errors.Is(err, ErrClosed) {
		t.Errorf("a later call: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatAProgramStartsEndsWithIt(t *testing.T) {
	spec := helperSpec(t, "plan answers with a child")
	p := open(t, spec, Options{})
	if _, err := p.Plan(t.Context(), note("a", "x")); err != nil {
		t.Fatal(err)
	}
	if n := len(pids(t, spec)); n != 2 {
		t.Fatalf("%d processes, want the program and its child", n)
	}
	// open checks that both are gone after Close.
}

func TestTheEnvironmentIsWhatIsNamed(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not for everybody")
	spec := helperSpec(t, "plan shows its environment")
	p := open(t, spec, Options{})
	_, err := p.Plan(t.Context(), note("a", "x"))
	if err == nil || strings.Contains(err.Error(), "AWS") || strings.Contains(err.Error(), "PATH=") || !strings.Contains(err.Error(), envMode) {
		t.Errorf("%v", err)
	}
	if !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("%v is not the class that the program gave", err)
	}
	if _, ok := errors.AsType[*Failure](err); ok {
		t.Error("what a handler says itself is no Failure")
	}
}

func TestAFailureOfReadsIsReturnedByPlan(t *testing.T) {
	p := open(t, helperSpec(t, "reads exits once"), Options{})
	u := note("a", "x")
	if r := p.Reads(u.Messages); len(r.Items)+len(r.Records) > 0 {
		t.Fatalf("%+v", r)
	}
	for range 2 {
		_, err := p.Plan(t.Context(), u)
		f := fails(t, err, KindCrash, "exit status 3")
		if f.Request != "reads" {
			t.Errorf("request %s", f.Request)
		}
	}
	if _, err := p.Plan(t.Context(), note("b", "x")); err != nil {
		t.Errorf("another unit: %v", err)
	}
	if r := p.Reads(u.Messages); len(r.Items) != 1 {
		t.Fatalf("asked again: %+v", r)
	}
	if _, err := p.Plan(t.Context(), u); err != nil {
		t.Errorf("after a Reads that succeeded: %v", err)
	}
}

func TestAForgottenFailureOfReadsIsNotTakenForNone(t *testing.T) {
	var r recall
	key := func(i int) unitKey { return keyOf([]byte(fmt.Sprint(i))) }
	bad := errors.New("bad")
	if err := r.look(key(1)); err != nil {
		t.Fatal(err)
	}
	r.keep(key(0), bad)
	for i := 1; i < remembered; i++ {
		r.keep(key(i), nil)
	}
	if err := r.look(key(0)); !errors.Is(err, bad) {
		t.Fatalf("still remembered: %v", err)
	}
	if err := r.look(key(remembered)); err != nil {
		t.Fatalf("never asked, and nothing forgotten: %v", err)
	}
	r.keep(key(remembered), nil)
	if err := r.look(key(0)); err == nil || errors.Is(err, bad) {
		t.Errorf("forgotten: %v", err)
	}
	if err := r.look(key(1)); err != nil {
		t.Errorf("remembered as good: %v", err)
	}
	if len(r.outcomes) != remembered || len(r.order) != remembered {
		t.Errorf("%d outcomes, %d in order", len(r.outcomes), len(r.order))
	}
}

func TestManyCallersShareFewProcesses(t *testing.T) {
	spec := helperSpec(t, "plan nothing")
	spec.Processes = 3
	p := open(t, spec, Options{})
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			for j := range 20 {
				u := note(fmt.Sprint(i), fmt.Sprint(i, " ", j))
				if r := p.Reads(u.Messages); len(r.Items) != 1 || r.Items[0].SortPrefix != fmt.Sprint(i) {
					t.Errorf("reads %+v", r)
				}
				muts, err := p.Plan(t.Context(), u)
				if err != nil || len(muts) != 1 || muts[0].Record.Document != fmt.Sprint(i, " ", j) {
					t.Errorf("caller %d, call %d: %+v, %v", i, j, muts, err)
				}
			}
		})
	}
	callers.Wait()
	if n := len(pids(t, spec)); n != 3 {
		t.Errorf("%d processes, want 3", n)
	}
}

func TestAnotherDescriptionIsAnotherRevision(t *testing.T) {
	spec := helperSpec(t, "changes its mind")
	p := open(t, spec, Options{})
	d, err := p.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Kill(pids(t, spec)[0], unix.SIGKILL)
	eventually(t, "the process is replaced", func() bool {
		_, err = p.Plan(t.Context(), note("a", "x"))
		f, ok := errors.AsType[*Failure](err)
		return ok && f.Kind == KindStart
	})
	fails(t, err, KindStart, "describes itself differently")
	if got := p.Describe(); got.Version != d.Version {
		t.Errorf("version %s, then %s", d.Version, got.Version)
	}
}

func TestALongRequestIsRefusedBeforeItIsSent(t *testing.T) {
	spec := helperSpec(t, "plan nothing")
	spec.LineBytes = 10_000
	p := open(t, spec, Options{})
	_, err := p.Plan(t.Context(), note("a", strings.Repeat("x", 10_000)))
	fails(t, err, KindLimit, "the request has")
	if n := len(pids(t, spec)); n > 0 {
		t.Errorf("%d processes", n)
	}
}

func TestTextThatIsNotUTF8IsRefused(t *testing.T) {
	p := open(t, helperSpec(t, "plan nothing"), Options{})
	u := note("a", "x")
	u.Messages[0].Source = "caf\xe9.ndjson"
	if _, err := p.Plan(t.Context(), u); !errors.Is(err, lockstep.ErrInvalid) {
		t.Error(err)
	}
}

func TestARequestThatIsNotReadEndsWithItsTime(t *testing.T) {
	spec := helperSpec(t, "deaf")
	spec.CallTimeout = 300 * time.Millisecond
	p := open(t, spec, Options{})
	_, err := p.Plan(t.Context(), note("a", strings.Repeat("x", 1<<20)))
	fails(t, err, KindTimeout, "no answer within 300ms")
}

func TestAnAnswerToWhatWasNotReadIsNone(t *testing.T) {
	p := open(t, helperSpec(t, "hasty"), Options{})
	_, err := p.Plan(t.Context(), note("a", strings.Repeat("x", 1<<20)))
	fails(t, err, KindCrash, "before it had read the request")
}

func TestFailuresInARowSlowTheNextStart(t *testing.T) {
	var s slot
	var last time.Duration
	for i := range 12 {
		s.strike()
		if s.rest == nil {
			t.Fatal("no rest")
		}
		d := pause(i)
		if d < last || d > maxRest {
			t.Errorf("failure %d: %s after %s", i, d, last)
		}
		last = d
	}
	if last != maxRest || s.strikes != 12 {
		t.Errorf("%s, %d strikes", last, s.strikes)
	}
	p := open(t, helperSpec(t, "plan nothing"), Options{})
	q := <-p.slots
	q.strikes = 5
	p.slots <- q
	if _, err := p.Plan(t.Context(), note("a", "x")); err != nil {
		t.Fatal(err)
	}
	q = <-p.slots
	defer func() { p.slots <- q }()
	if q.strikes != 0 {
		t.Error("an answer does not forgive")
	}
}

func BenchmarkPlan(b *testing.B) {
	p := open(b, helperSpec(b, "plan nothing"), Options{})
	u := note("a", strings.Repeat("x", 1000))
	for b.Loop() {
		if _, err := p.Plan(b.Context(), u); err != nil {
			b.Fatal(err)
		}
	}
}
