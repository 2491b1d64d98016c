package contract

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

func good() Fixture { return Fixture{Messages: script(), Convergent: true} }

func TestGoodHandlerKeepsEveryCheck(t *testing.T) {
	r := Run(t.Context(), echo{}, good(), Options{Seed: 3})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != len(Checks()) {
		t.Errorf("%d results for %d checks", len(r.Results), len(Checks()))
	}
	for _, one := range r.Results {
		if one.Outcome != Kept {
			t.Errorf("%s: %s", one.Check, one.Outcome)
		}
	}
}

func TestOrderIsOnlyCheckedWherePromised(t *testing.T) {
	r := Run(t.Context(), echo{}, Fixture{Messages: script()}, Options{})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	last := r.Results[len(r.Results)-1]
	if last.Check != OrderName || last.Outcome != Skipped {
		t.Errorf("%+v", last)
	}
}

type (
	muts = []lockstep.Mutation
	unit = handler.Unit
)

// planning breaks echo by what f makes of its answer.
func planning(f func(u unit, m muts) (muts, error)) echo {
	return echo{plan: func(_ context.Context, u unit, m muts) (muts, error) { return f(u, m) }}
}

// deaf does not look at its context.
type deaf struct{ echo }

func (d deaf) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	return d.echo.Plan(context.WithoutCancel(ctx), u)
}

// Every check must fail for some handler, and say what was seen.
func TestEveryCheckFailsForABrokenHandler(t *testing.T) {
	calls := 0
	versions := echo{describe: func() handler.Description {
		calls++
		d := echo{}.Describe()
		d.Version = fmt.Sprint(calls)
		return d
	}}
	tests := []struct {
		check string
		h     handler.Handler
		seen  string
	}{
		{"description is valid and stable", versions, "Version"},
		{"description is valid and stable", echo{describe: func() handler.Description { return handler.Description{Name: "echo", Version: "1"} }}, "no hash"},
		{"every unit is planned purely", planning(func(u unit, m muts) (muts, error) {
			m[0].Record.Document = u.Now.String()
			return m, nil
		}), "follow the clock"},
		{"every unit is planned purely", planning(func(unit, muts) (muts, error) { return nil, nil }), "nothing was checked"},
		{"every unit is planned purely", planning(func(_ unit, m muts) (muts, error) { return append(m, m...), nil }), "batches of 1"},
		{"every unit is planned purely", planning(func(_ unit, m muts) (muts, error) {
			return append(m, lockstep.Mutation{Collection: "texts", Op: lockstep.Delete, Record: lockstep.Record{ID: "p9|z"}}), nil
		}), "did not ask for"},
		{"a cancelled context ends the plan", deaf{}, "want context.Canceled"},
		{"unknown entities cause nothing", planning(func(_ unit, m muts) (muts, error) {
			return append(m, lockstep.Mutation{Collection: "texts", Op: lockstep.Delete, Record: lockstep.Record{ID: "p9|z"}}), nil
		}), "causes 1 mutations"},
		{"unknown entities cause nothing", echo{reads: func(_ []lockstep.Message, r handler.Reads) handler.Reads {
			r.Imports = []handler.ImportRef{{Location: "x"}}
			return r
		}}, "asks for 1 imports"},
		{"redelivery changes nothing", &echoBacklog{}, "changed the index"},
		{"redelivery changes nothing", &echoBacklog{}, "p2/ignored/7 was applied twice"},
		{"tombstones are handled", planning(func(u unit, m muts) (muts, error) {
			if last := u.Messages[len(u.Messages)-1].Change; last.Event == lockstep.Remove && last.Seq.Compare("7") > 0 {
				return nil, errors.New("what is there to remove")
			}
			return m, nil
		}), "was parked"},
		{"batches do not matter more than the clock", planning(func(u unit, m muts) (muts, error) {
			for i := range m {
				m[i].Record.Metadata = lockstep.Metadata{{Key: "n", Value: lockstep.Int(int64(len(u.Messages)))}}
			}
			return m, nil
		}), "one by one / all at once"},
		{OrderName, planning(func(u unit, m muts) (muts, error) {
			for i := range m {
				m[i].Record.Metadata = lockstep.Metadata{{Key: "last", Value: lockstep.String(u.Messages[len(u.Messages)-1].ID)}}
			}
			return m, nil
		}), "of seed 0"},
		{"every unit is planned purely", planning(func(unit, muts) (muts, error) { panic("oh") }), "panicked: oh"},
	}
	failed := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.check+" "+tt.seen, func(t *testing.T) {
			for _, c := range Checks() {
				if c.Name != tt.check {
					continue
				}
				failed[c.Name] = true
				err := c.Run(t.Context(), tt.h, good(), Options{})
				if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), tt.seen) || !strings.HasPrefix(err.Error(), c.Name+": ") {
					t.Errorf("%v, want ErrInvalid that says %q", err, tt.seen)
				}
				return
			}
			t.Error("no such check")
		})
	}
	for _, c := range Checks() {
		if !failed[c.Name] {
			t.Errorf("no handler breaks %q", c.Name)
		}
	}
}

// echoBacklog remembers: it describes every key as relevant only until it was asked
// often enough, so that a second delivery finds items that the first one ignored.
type echoBacklog struct {
	echo
	asked int
}

func (e *echoBacklog) Describe() handler.Description {
	d := e.echo.Describe()
	if e.asked++; e.asked > 2 {
		d.Entities = d.Entities[1:]
	}
	return d
}

// Recorded traffic holds what cannot be handled here, such as imports that are gone.
func TestHandledLeavesOutGroupsThatAreParked(t *testing.T) {
	fails := []lockstep.Message{told("p0", "a", 1, lockstep.Insert, "x"), told("p0", "b", 2, lockstep.Insert, "fail"), told("p0", "c", 3, lockstep.Insert, "x")}
	f := Fixture{Messages: append(fails, script()...), Convergent: true}
	if err := Run(t.Context(), echo{}, f, Options{}).Err(); err == nil {
		t.Error("a group that waits went unnoticed, so nothing would need to be left out")
	}
	got, left, err := f.Handled(t.Context(), echo{})
	if err != nil || left != 3 || len(got.Messages) != len(script()) || len(f.Messages) != len(script())+3 {
		t.Errorf("%d left out, %d kept of %d, %v", left, len(got.Messages), len(f.Messages), err)
	}
	if err := Run(t.Context(), echo{}, got, Options{}).Err(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := f.Handled(ctx, echo{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestReportSaysWhatIsBroken(t *testing.T) {
	r := Run(t.Context(), deaf{}, good(), Options{})
	err := r.Err()
	if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "1 of 8 checks broken: a cancelled context ends the plan: ") {
		t.Error(err)
	}
	const want = "broken      a cancelled context ends the plan\n            invalid: plan of message p1/a/1: no error, want context.Canceled\nkept        unknown"
	if text := r.Text(); !strings.Contains(text, want) {
		t.Errorf("%s\nwant it to hold\n%s", text, want)
	}
}

func TestNothingCheckedIsNotGood(t *testing.T) {
	if err := (Report{}).Err(); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("an empty report: %v", err)
	}
	if err := Run(t.Context(), echo{}, Fixture{}, Options{}).Err(); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("a fixture without messages: %v", err)
	}
}

func TestEndedContextLeavesChecksUnfinished(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := Run(ctx, echo{}, good(), Options{})
	for _, one := range r.Results {
		if one.Outcome != Unfinished {
			t.Errorf("%s: %s", one.Check, one.Outcome)
		}
	}
	if err := r.Err(); !errors.Is(err, context.Canceled) || errors.Is(err, lockstep.ErrInvalid) {
		t.Error(err)
	}
}

// A deadline that passes in the middle of a check must not read as a broken handler.
func TestDeadlineInTheMiddleIsNoFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	r := Run(ctx, planning(func(_ unit, m muts) (muts, error) {
		if calls++; calls == 8 { // between two calls that the witness compares
			cancel()
			return nil, context.Canceled
		}
		return m, nil
	}), good(), Options{})
	if r.Results[0].Outcome != Kept || r.Results[1].Outcome != Unfinished {
		t.Errorf("%+v", r.Results)
	}
	if err := r.Err(); !errors.Is(err, context.Canceled) || errors.Is(err, lockstep.ErrInvalid) {
		t.Error(err)
	}
}

func TestOrdersComeFromTheSeed(t *testing.T) {
	arrivals := func(seed uint64) string {
		var b strings.Builder
		c := Checks()[len(Checks())-1]
		err := c.Run(t.Context(), planning(func(u unit, m muts) (muts, error) {
			fmt.Fprint(&b, u.Now.Format(time.RFC3339), len(u.Messages), u.Messages[0].ID)
			return m, nil
		}), good(), Options{Seed: seed, Orders: 3})
		if err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	first := arrivals(1)
	if again := arrivals(1); again != first {
		t.Error("one seed, two courses")
	}
	if first == arrivals(2) {
		t.Error("two seeds, one course")
	}
}

func TestComplaintsAreCapped(t *testing.T) {
	var c complaints
	if c.err() != nil {
		t.Error("an error without a complaint")
	}
	for i := range 8 {
		c.add("complaint %d", i)
	}
	got := c.err().Error()
	if !strings.Contains(got, "complaint 4") || strings.Contains(got, "complaint 5") || !strings.Contains(got, "and 3 more") {
		t.Error(got)
	}
}
