// Package guardtest is the contract of guard.Meter as tests. Every adapter runs it
// against a real other side on this machine; what passes it may feed a guard.
package guardtest

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/guard"
	"lockstep/internal/lockstep"
)

// Secret is what the meter under test must be configured to send, and what the other
// side repeats in everything that it says in ill worlds.
const Secret = "s3cret-p4ssw0rd"

// World is what the other side does.
type World string

// The worlds.
const (
	Answers World = "answers" // with Value
	Silent  World = "silent"  // it is asked rightly and has no data
	NoGood  World = "no good" // with a value that is no number: NaN
	Fails   World = "fails"   // it says that it is out of order, and repeats the secret
	Unknown World = "unknown" // it says that there is no such thing, and repeats the secret
	Garbage World = "garbage" // it answers what no parser can read, and repeats the secret
	Huge    World = "huge"    // it answers without end
	Hangs   World = "hangs"   // it does not answer before the meter's own timeout of Patience
)

const (
	// Value is the value in the world Answers.
	Value = 42.5
	// Patience is the timeout to configure for the world Hangs.
	Patience = 200 * time.Millisecond
	slack    = 10 * time.Second // within which even a busy machine has noticed
)

// Fixture opens meters on worlds.
type Fixture struct {
	// Open returns a meter whose other side is w, and a question for it. It is called
	// once per subtest and cleans up by t.Cleanup.
	Open func(t *testing.T, w World) (m guard.Meter, question string)
	// UnknownIs is the class of error in the world Unknown, for sources that cannot say
	// that something does not exist. Nil: lockstep.ErrNotFound.
	UnknownIs error
}

// Run checks the contract.
func Run(t *testing.T, f Fixture) {
	if f.UnknownIs == nil {
		f.UnknownIs = lockstep.ErrNotFound
	}
	t.Run("ValueIsReadBackInsideTheWindow", f.value)
	t.Run("NoDataIsAnEmptyAnswer", f.silent)
	t.Run("NotANumberIsNeverAValue", f.noGood)
	for _, c := range []struct {
		name  string
		world World
		class error
	}{
		{"FailureIsUnavailable", Fails, lockstep.ErrUnavailable},
		{"UnknownThingIsSaidToBe", Unknown, f.UnknownIs},
		{"GarbageIsInvalid", Garbage, lockstep.ErrInvalid},
		{"EndlessAnswerIsInvalid", Huge, lockstep.ErrInvalid},
		{"HangingIsUnavailable", Hangs, lockstep.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) { f.ill(t, c.world, c.class) })
	}
	t.Run("CancelledContextIsHonoured", f.cancelled)
	t.Run("CancellingEndsARead", f.interrupted)
	t.Run("ReadsMayOverlap", f.overlap)
	t.Run("AnEndlessQuestionIsRefused", f.long)
}

func query(question string) guard.Query {
	now := time.Now().Truncate(time.Millisecond)
	return guard.Query{Question: question, From: now.Add(-5 * time.Minute), To: now}
}

func read(t *testing.T, m guard.Meter, question string) guard.Series {
	t.Helper()
	q := query(question)
	s, err := m.Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if s.Stable != nil || s.Err != "" {
		t.Errorf("a meter fills samples and warnings only: %+v", s)
	}
	for _, one := range s.Samples {
		if one.At.Before(q.From) || one.At.After(q.To) {
			t.Errorf("sample of %s, asked for %s to %s", one.At, q.From, q.To)
		}
	}
	return s
}

func (f Fixture) value(t *testing.T) {
	m, question := f.Open(t, Answers)
	s := read(t, m, question)
	if len(s.Samples) == 0 {
		t.Fatal("no sample")
	}
	for _, one := range s.Samples {
		if one.Value != Value || one.Err != "" {
			t.Errorf("%+v, want the value %g", one, Value)
		}
	}
	g := guard.Guard{Name: "suite", Test: guard.Test{Kind: guard.Value, Op: guard.Equal, Limit: Value}, Window: 5 * time.Minute}
	if r, _ := guard.Judge(g, s, guard.DebounceState{}, time.Now()); r.Verdict != guard.Pass {
		t.Errorf("a guard makes %s of it: %s", r.Verdict, r.Reason)
	}
}

func (f Fixture) silent(t *testing.T) {
	m, question := f.Open(t, Silent)
	if s := read(t, m, question); len(s.Samples) != 0 {
		t.Errorf("samples %+v out of nothing", s.Samples)
	}
}

func (f Fixture) noGood(t *testing.T) {
	m, question := f.Open(t, NoGood)
	s := read(t, m, question)
	if slices.ContainsFunc(s.Samples, func(one guard.Sample) bool { return one.Err == "" && !math.IsNaN(one.Value) }) {
		t.Errorf("NaN became a value: %+v", s.Samples)
	}
}

func (f Fixture) ill(t *testing.T, w World, class error) {
	m, question := f.Open(t, w)
	started := time.Now()
	s, err := m.Read(t.Context(), query(question))
	if !errors.Is(err, class) {
		t.Errorf("%+v, %v, want %v", s, err, class)
	}
	if took := time.Since(started); took > slack {
		t.Errorf("it took %s", took)
	}
	if err != nil && (strings.Contains(err.Error(), Secret) || strings.Contains(lockstep.HintOf(err), Secret)) {
		t.Errorf("the error shows the secret: %v", err)
	}
	if len(s.Samples) != 0 {
		t.Errorf("samples beside an error: %+v", s.Samples)
	}
}

func (f Fixture) cancelled(t *testing.T) {
	m, question := f.Open(t, Answers)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Read(ctx, query(question)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func (f Fixture) interrupted(t *testing.T) {
	m, question := f.Open(t, Hangs)
	ctx, cancel := context.WithTimeout(t.Context(), Patience/4)
	defer cancel()
	started := time.Now()
	if _, err := m.Read(ctx, query(question)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want context.DeadlineExceeded", err)
	}
	if took := time.Since(started); took > slack {
		t.Errorf("it took %s", took)
	}
}

func (f Fixture) overlap(t *testing.T) {
	m, question := f.Open(t, Answers)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if s, err := m.Read(t.Context(), query(question)); err != nil || len(s.Samples) == 0 || s.Samples[0].Value != Value {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	wg.Wait()
}

func (f Fixture) long(t *testing.T) {
	m, question := f.Open(t, Answers)
	if _, err := m.Read(t.Context(), query(question+strings.Repeat("x", guard.MaxQuestion))); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("%v, want ErrInvalid", err)
	}
}
