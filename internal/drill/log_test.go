package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

func newLog(store blob.Store) *Log {
	return NewLog(store, ledger.Options{Wait: func(context.Context, time.Duration) error { return nil }})
}

// example is the entry of docs/format/drill.md.
func example(t testing.TB) Entry {
	t.Helper()
	dev := passed("dev-drill-1", t0(), 1)
	dev.Environment, dev.Scenario, dev.Fault = "dev", "dev", "writes <b> & loses metadata"
	return Entry{Format: 1, MinReader: 1, Number: 3, At: t0().Add(time.Hour), Books: []Book{
		{Environment: "dev", Total: 1, Drills: []Drill{dev}},
		{Environment: "prod", Total: 7, Drills: []Drill{failed("prod-drill-6", t0().Add(10*time.Minute)), incomplete("prod-drill-7", t0().Add(30*time.Minute))}},
	}}
}

func page(t testing.TB) []byte {
	t.Helper()
	return must[[]byte](t)(os.ReadFile("../../docs/format/drill.md"))
}

func TestTheDocumentedEntryParses(t *testing.T) {
	m := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(page(t))
	if m == nil {
		t.Fatal("docs/format/drill.md has no example")
	}
	want := example(t)
	body := must[[]byte](t)(want.Encode())
	if !bytes.Equal(m[1], body) {
		t.Errorf("documented\n%s\nwritten\n%s", m[1], body)
	}
	got := must[*Entry](t)(DecodeEntry(m[1]))
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryFieldOfTheFormatIsDocumented(t *testing.T) {
	e := example(t)
	body := must[[]byte](t)(e.Encode())
	fields := regexp.MustCompile(`"([a-z_]+)":`).FindAllSubmatch(body, -1)
	for _, f := range fields {
		if !bytes.Contains(page(t), []byte("`"+string(f[1])+"`")) {
			t.Errorf("%s is not in the page", f[1])
		}
	}
	if len(fields) < 30 {
		t.Errorf("only %d fields: the example is not full", len(fields))
	}
	for _, o := range Outcomes() {
		if !bytes.Contains(page(t), []byte("`"+string(o)+"`")) {
			t.Errorf("outcome %s is not in the page", o)
		}
	}
}

func TestWhatIsNoEntryIsRefused(t *testing.T) {
	e := example(t)
	whole := string(must[[]byte](t)(e.Encode()))
	swap := func(old, by string) string {
		t.Helper()
		if !strings.Contains(whole, old) {
			t.Fatalf("the example has no %s", old)
		}
		return strings.Replace(whole, old, by, 1)
	}
	for _, c := range []struct {
		name, body string
		class      error
	}{
		{"nothing", "", lockstep.ErrCorrupt},
		{"no JSON", "{", lockstep.ErrCorrupt},
		{"an unknown field", swap(`{"format"`, `{"more":1,"format"`), lockstep.ErrCorrupt},
		{"a newer reader", swap(`"min_reader":1`, `"min_reader":2`), lockstep.ErrRefused},
		{"no reader", swap(`"min_reader":1`, `"min_reader":0`), lockstep.ErrCorrupt},
		{"no number", swap(`"number":3`, `"number":0`), lockstep.ErrCorrupt},
		{"surplus", whole + "{}", lockstep.ErrCorrupt},
		{"white space", strings.Replace(whole, ",", ", ", 1), lockstep.ErrCorrupt},
		{"books out of order", swap(`"books":[{"environment":"dev"`, `"books":[{"environment":"zoo"`), lockstep.ErrCorrupt},
		{"no books", whole[:strings.Index(whole, `"books"`)] + `"books":[]}` + "\n", lockstep.ErrCorrupt},
		{"fewer ever than kept", swap(`"total":7`, `"total":1`), lockstep.ErrCorrupt},
		{"the same twice", swap(`"id":"prod-drill-7"`, `"id":"prod-drill-6"`), lockstep.ErrCorrupt},
		{"a drill of another environment", swap(`"id":"prod-drill-6","environment":"prod"`, `"id":"prod-drill-6","environment":"dev"`), lockstep.ErrCorrupt},
		{"passed without proof", swap(`"same":true`, `"same":false`), lockstep.ErrCorrupt},
		{"too long", strings.Repeat(" ", maxEntryBytes+1), lockstep.ErrCorrupt},
	} {
		if got, err := DecodeEntry([]byte(c.body)); !errors.Is(err, c.class) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	e := example(f)
	f.Add(must[[]byte](f)(e.Encode()))
	only := Entry{Format: 1, MinReader: 1, Number: 1, At: t0(), Books: []Book{{Environment: "a", Total: 1, Drills: []Drill{func() Drill { d := incomplete("\u2028<&>", t0()); d.Environment = "a"; return d }()}}}}
	f.Add(must[[]byte](f)(only.Encode()))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"format":2,"min_reader":2}`))
	f.Add([]byte(nil))
	s := schedule(f, Rule{Every: 7, Jitter: time.Hour})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, lockstep.ErrCorrupt) && !errors.Is(err, lockstep.ErrRefused) {
				t.Errorf("error %v has no class", err)
			}
			return
		}
		if again, err := e.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("read %q, written %q, %v", b, again, err)
		}
		// Whatever was read can be decided on, shown and continued.
		for _, book := range e.Books {
			_ = book.Gate(e.At, 30*day)
			book.Due(e.At, s, false)
			r := book.Report(e.At, 30*day, Keep)
			r.Text()
			r.Markdown()
			if _, err := r.JSON(); err != nil {
				t.Error(err)
			}
			d := incomplete(book.NextID()+"-x", t0())
			d.Environment = book.Environment
			next, changed, err := e.with(d)
			next.Format, next.MinReader, next.Number, next.At = 1, 1, e.Number, e.At
			if err == nil && changed && next.check() != nil {
				t.Errorf("%+v leads to an entry that cannot be read: %v", e, next.check())
			}
		}
	})
}

func TestTheLedgerHoldsWhatWasRecorded(t *testing.T) {
	ctx, store := t.Context(), &blob.Mem{}
	l := newLog(store)
	if h, err := l.Head(ctx); err != nil || h.Number() != 0 || h.Book("prod").Environment != "prod" || len(h.Book("prod").Drills) != 0 {
		t.Fatalf("an empty ledger: %+v, %v", h, err)
	}
	first := passed("prod-drill-1", t0(), 1)
	h := must[Head](t)(l.Record(ctx, first, t0()))
	again := must[Head](t)(newLog(store).Record(ctx, first, t0().Add(time.Hour)))
	if h.Number() != 1 || again.Number() != 1 {
		t.Errorf("recorded twice, the head is %d", again.Number())
	}
	dev := passed("dev-drill-1", t0(), 1)
	dev.Environment = "dev"
	must[Head](t)(l.Record(ctx, dev, t0()))
	h = must[Head](t)(newLog(store).Record(ctx, failed("prod-drill-2", t0().Add(day)), t0().Add(day)))
	if h.Number() != 3 || len(h.Book("prod").Drills) != 2 || len(h.Book("dev").Drills) != 1 || len(h.Book("other").Drills) != 0 {
		t.Errorf("%+v", h.Entry)
	}
	if diff := cmp.Diff(first, h.Book("prod").Drills[0]); diff != "" {
		t.Errorf("(-recorded +read):\n%s", diff)
	}
	n := uint64(0)
	for e, err := range l.Range(ctx, 1, 3) {
		if n++; err != nil || e.Number != n {
			t.Errorf("entry %d: %+v, %v", n, e, err)
		}
	}
	if n != 3 {
		t.Errorf("%d entries", n)
	}
	bad := first
	bad.Outcome = "well"
	if _, err := l.Record(ctx, bad, t0()); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("not a drill: %v", err)
	}
	for i := range maxBooks {
		d := incomplete("x", t0())
		d.Environment = fmt.Sprint("env-", i)
		_, err := l.Record(ctx, d, t0())
		if full := i >= maxBooks-2; full != errors.Is(err, lockstep.ErrRefused) {
			t.Errorf("environment %d: %v", i+3, err)
		}
	}
}

func TestEveryWriterIsHeardOnce(t *testing.T) {
	store := &blob.Mem{}
	var g sync.WaitGroup
	for i := range 6 {
		g.Go(func() {
			d := incomplete(fmt.Sprint("drill-", i), t0())
			for range 2 {
				if _, err := newLog(store).Record(t.Context(), d, t0()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	h := must[Head](t)(newLog(store).Head(t.Context()))
	if b := h.Book("prod"); h.Number() != 6 || b.Total != 6 || len(b.Drills) != 6 {
		t.Errorf("%d entries, %d drills", h.Number(), b.Total)
	}
}

func TestACancelledContextIsHonoured(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := newLog(&blob.Mem{})
	if _, err := l.Head(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("head: %v", err)
	}
	if _, err := l.Record(ctx, passed("a", t0(), 1), t0()); !errors.Is(err, context.Canceled) {
		t.Errorf("record: %v", err)
	}
	for _, err := range l.Range(ctx, 1, 2) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("range: %v", err)
		}
	}
}

func TestAnEntryThatSaysAnotherNumberIsCorrupt(t *testing.T) {
	store := &blob.Mem{}
	e := example(t)
	if _, err := ledger.New(store, LogPrefix, ledger.Options{}).Append(t.Context(), ledger.Entry{}, must[[]byte](t)(e.Encode())); err != nil {
		t.Fatal(err)
	}
	if _, err := newLog(store).Head(t.Context()); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("%v", err)
	}
}
