package bench

import (
	"strings"
	"testing"
	"time"
)

func rowOf(t *testing.T, r Report, name string) Row {
	t.Helper()
	r.rows()
	for _, row := range r.Rows {
		if row.Name == name {
			return row
		}
	}
	t.Fatalf("no row %q", name)
	return Row{}
}

func TestATargetIsMetAtItsValueAndNotBehindIt(t *testing.T) {
	updates := func(changed int64) Report {
		return Report{Work: &WorkResult{Updates: &UpdatesResult{Took: 10 * time.Second, Changed: changed}}}
	}
	latency := func(p50, p99 time.Duration) Report {
		return Report{Work: &WorkResult{Latency: &LatencyResult{HTTP: Spread{P50: p50, P99: p99}}}}
	}
	resets := func(small, large time.Duration) Report {
		return Report{Work: &WorkResult{Small: &ResetResult{Records: 10, Reset: small}, Large: &ResetResult{Records: 1000, Reset: large}}}
	}
	reverts := func(middle, large time.Duration) Report {
		return Report{Work: &WorkResult{RevertMiddle: &RevertResult{Records: 100, Proven: middle}, RevertLarge: &RevertResult{Records: 1000, Proven: large}}}
	}
	peer := func(rate float64) Report {
		r := updates(1_000_000)
		r.Peer = &PeerResult{PerSecond: rate}
		return r
	}
	for _, tc := range []struct {
		row string
		rep Report
		met bool
	}{
		{"updates", updates(1_000_000), true},
		{"updates", updates(999_990), false},
		{"updates_ratio", peer(5000), true},
		{"updates_ratio", peer(5001), false},
		{"latency_http", latency(25*time.Millisecond, 150*time.Millisecond), true},
		{"latency_http", latency(26*time.Millisecond, 150*time.Millisecond), false},
		{"latency_http", latency(25*time.Millisecond, 151*time.Millisecond), false},
		{"reset_1000", resets(time.Millisecond, 100*time.Millisecond), true},
		{"reset_1000", resets(time.Millisecond, 101*time.Millisecond), false},
		{"reset_flat", resets(10*time.Millisecond, 12*time.Millisecond), true},
		{"reset_flat", resets(10*time.Millisecond, 13*time.Millisecond), false},
		{"revert", reverts(3*time.Second, 3*time.Second), true},
		{"revert", reverts(3*time.Second, 3001*time.Millisecond), false},
		{"revert_flat", reverts(time.Second, 1300*time.Millisecond), true},
		{"revert_flat", reverts(time.Second, 1301*time.Millisecond), false},
		{"memory", Report{Work: &WorkResult{Updates: &UpdatesResult{}, Memory: 300e6}}, true},
		{"memory", Report{Work: &WorkResult{Updates: &UpdatesResult{}, Memory: 301e6}}, false},
		{"cold", Report{Cold: &ColdResult{Ready: 3 * time.Second}}, true},
		{"cold", Report{Cold: &ColdResult{Ready: 3001 * time.Millisecond}}, false},
		{"bytes_7", Report{Bytes: []BytesResult{{Records: 7, Batch: Written{Plain: 100, Bytes: 200}}}}, true},
		{"bytes_7", Report{Bytes: []BytesResult{{Records: 7, Batch: Written{Plain: 100, Bytes: 201}}}}, false},
	} {
		if row := rowOf(t, tc.rep, tc.row); row.Met == nil || *row.Met != tc.met {
			t.Errorf("%s measured %s: met %s, want %v", tc.row, row.Measured, row.met(), tc.met)
		}
	}
}

func TestWithoutAPeerTheRatioIsNeitherMetNorMissed(t *testing.T) {
	r := Report{Work: &WorkResult{Updates: &UpdatesResult{Took: time.Second, Changed: 1}}, Peer: &PeerResult{Missing: "no peer: none here"}}
	row := rowOf(t, r, "updates_ratio")
	if row.Met != nil || row.Peer != "no peer: none here" || row.Measured != "-" {
		t.Errorf("row %+v", row)
	}
}

func TestQuantiles(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	for share, want := range map[float64]int{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := quantile(hundred, share); got != want {
			t.Errorf("quantile %v is %d, want %d", share, got, want)
		}
	}
	if got := quantile([]int(nil), 0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestEveryMetCellIsAWord(t *testing.T) {
	for met, row := range map[string]Row{"-": {}, "yes": {Met: new(true)}, "NO": {Met: new(false)}} {
		if got := row.met(); got != met || strings.TrimSpace(got) == "" {
			t.Errorf("%+v is %q", row, got)
		}
	}
}
