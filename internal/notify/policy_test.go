package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func TestBackoffIsDrawnFromAWindowThatDoubles(t *testing.T) {
	p := Policy{First: time.Second, Cap: 30 * time.Second}
	for _, c := range []struct {
		attempt int
		most    time.Duration
	}{{0, time.Second}, {1, time.Second}, {2, 2 * time.Second}, {5, 16 * time.Second}, {6, 30 * time.Second}, {63, 30 * time.Second}, {1 << 40, 30 * time.Second}} {
		var longest, sum time.Duration
		const draws = 500
		for n := range draws {
			d := p.Backoff(fmt.Sprint("message ", n), "slack", c.attempt)
			if d < 0 || d >= c.most {
				t.Fatalf("attempt %d: %s, want less than %s", c.attempt, d, c.most)
			}
			longest, sum = max(longest, d), sum+d
		}
		// Evenly: the mean is near half, and the window is used to its end.
		if mean := sum / draws; mean < c.most*4/10 || mean > c.most*6/10 || longest < c.most*9/10 {
			t.Errorf("attempt %d: mean %s, longest %s of %s", c.attempt, mean, longest, c.most)
		}
	}
}

func TestBackoffIsTheSameForTheSameSeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{Seed: rapid.Uint64().Draw(t, "seed")}
		id, to, n := rapid.String().Draw(t, "id"), rapid.String().Draw(t, "to"), rapid.IntRange(1, 100).Draw(t, "n")
		d := p.Backoff(id, to, n)
		if d != p.Backoff(id, to, n) || d < 0 || d >= defaultCap {
			t.Fatal(d)
		}
	})
	a, b := Policy{Seed: 1}.Backoff("a", "slack", 5), Policy{Seed: 2}.Backoff("a", "slack", 5)
	if a == b || (Policy{}).Backoff("ab", "c", 5) == (Policy{}).Backoff("a", "bc", 5) {
		t.Error("seeds or names make no difference")
	}
}

func TestALeaseOutlivesARound(t *testing.T) {
	p := Policy{Round: time.Hour, Send: 2 * time.Hour, Lease: time.Second}.resolved()
	if p.Lease < 2*p.Round || p.Send > p.Round {
		t.Errorf("%+v", p)
	}
}

func TestAStatusSaysWhetherToTryAgain(t *testing.T) {
	date := http.Header{"Date": {"Mon, 04 May 2026 08:00:00 GMT"}, "Retry-After": {"Mon, 04 May 2026 08:02:00 GMT"}}
	for _, c := range []struct {
		status    int
		header    http.Header
		permanent bool
		wait      time.Duration // as of t0; 0: none
	}{
		{500, nil, false, 0},
		{503, http.Header{"Retry-After": {"120"}}, false, 2 * time.Minute},
		{429, http.Header{"Retry-After": {"1"}}, false, time.Second},
		{429, date, false, 2 * time.Minute},
		{429, http.Header{"Retry-After": {"Mon, 04 May 2026 08:03:00 GMT"}}, false, 3 * time.Minute},
		{429, http.Header{"Retry-After": {"soon"}}, false, 0},
		{429, http.Header{"Retry-After": {"-5"}}, false, 0},
		{429, http.Header{"Retry-After": {"4000000000"}}, false, MaxWait},
		{429, http.Header{"Retry-After": {"99999999999999999999"}}, false, 0},
		{408, nil, false, 0},
		{425, nil, false, 0},
		{400, http.Header{"Retry-After": {"120"}}, true, 0},
		{401, nil, true, 0},
		{403, nil, true, 0},
		{404, nil, true, 0},
		{410, nil, true, 0},
		{413, nil, true, 0},
		{302, nil, true, 0},
	} {
		err := FromStatus("ops-slack", c.status, c.header, "why\nand how")
		if Permanent(err) != c.permanent || !strings.Contains(err.Error(), "ops-slack") || !strings.Contains(err.Error(), "why and how") {
			t.Errorf("%d: %v, permanent %v", c.status, err, Permanent(err))
		}
		w, ok := WaitOf(err)
		if ok != (c.wait != 0) || ok && !w.After(t0()).Equal(at(c.wait)) {
			t.Errorf("%d %v: wait %+v, %v, want %s", c.status, c.header, w, ok, c.wait)
		}
	}
}

func TestWhatIsWorthAnotherTry(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{lockstep.ErrUnavailable, false},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), false},
		{errors.New("nobody knows"), false},
		{fmt.Errorf("x: %w", lockstep.ErrInvalid), true},
		{fmt.Errorf("x: %w", lockstep.ErrRefused), true},
		{fmt.Errorf("%w: %w", lockstep.ErrInvalid, lockstep.ErrUnavailable), false},
	} {
		if got := Permanent(c.err); got != c.want {
			t.Errorf("%v: permanent %v", c.err, got)
		}
	}
	if Later(nil, Wait{}) != nil {
		t.Error("no error became one")
	}
}

func TestBriefIsOneLineOfItsBeginning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		got := Brief(text, 50)
		if len(got) > 50 || strings.ContainsFunc(got, endsLine) {
			t.Fatalf("%q", got)
		}
		if got != Brief(got, 50) {
			t.Fatalf("%q is not brief yet", got)
		}
	})
}

func TestAFittedMessageCanBePut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := message("a")
		m.Subject = "s" + strings.Repeat(rapid.String().Draw(t, "subject"), rapid.IntRange(1, 40).Draw(t, "times"))
		m.Text = strings.Repeat(rapid.String().Draw(t, "text")+"\xff\x00", rapid.IntRange(0, 20_000).Draw(t, "many"))
		m.Markdown = "```\n" + strings.Repeat("log\n", rapid.IntRange(0, 30_000).Draw(t, "lines"))
		for range rapid.IntRange(0, 30).Draw(t, "fields") {
			m.Fields = append(m.Fields, Field{rapid.String().Draw(t, "name"), rapid.String().Draw(t, "value")})
		}
		fitted := m.Fitted()
		if err := fitted.Check(); err != nil {
			t.Fatal(err)
		}
		if strings.Count("\n"+fitted.Markdown, "\n```")%2 != 0 {
			t.Fatal("a block is open at the end")
		}
	})
}
