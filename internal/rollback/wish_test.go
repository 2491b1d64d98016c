package rollback

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

func TestTheWishForData(t *testing.T) {
	const revert = "revert: 214 of 1,000,000 records were written by receipts@2+222222222222, in 3 versions since 81; later changes stay"
	const reset = "the index is version 80 again, and receipts@1+111111111111 handles again the 5,000 messages that came after"
	const rebuild = "rebuild: receipts@1+111111111111 derives every record anew from the 40,000 keys of the mirror"
	shortLog := func(f *Facts) { f.Index.LogFrom = 100 }
	damaged := func(f *Facts) { f.Index.Damaged = "delta 90 is not what it says" }
	retired := func(f *Facts) { f.Index.Oldest = 90 }
	mostly := func(f *Facts) { f.Since.Bad = 2501 }
	unwritten := func(f *Facts) { f.Written, f.Since.Bad = Written{}, 0 }
	unknown := func(f *Facts) { f.Bad, f.Standing, f.Written, f.Since.Bad = "", StandingNone, Written{}, 0 }
	for _, c := range []struct {
		name      string
		facts     Facts
		request   Request
		want      Wish
		why       string
		predicted time.Duration
	}{
		{"little is bad", chooseFacts(), Request{}, WishRevert, revert, 300 * time.Millisecond},
		{"auto by name", chooseFacts(), Request{Data: WishAuto}, WishRevert, revert, 300 * time.Millisecond},
		{"just half of it is bad", chooseFacts(func(f *Facts) { f.Since.Bad = 2500 }), Request{}, WishRevert, revert, 300 * time.Millisecond},
		{
			"most of what came since is bad", chooseFacts(mostly),
			Request{},
			WishReset,
			"reset: 2,501 of 5,000 later messages were decided by receipts@2+222222222222; " + reset, 5 * time.Second,
		},
		{
			"most is bad, and the version is gone", chooseFacts(mostly, retired),
			Request{},
			WishRevert,
			revert + " (not reset, because version 80 is not kept any more, the oldest is 90)", 300 * time.Millisecond,
		},
		{"it wrote nothing", chooseFacts(unwritten), Request{}, WishNone, "none: receipts@2+222222222222 wrote nothing that is in the index", 0},
		{
			"it wrote nothing, and the index is damaged", chooseFacts(unwritten, damaged),
			Request{},
			WishReset,
			"reset: " + reset + " (not revert, because receipts@2+222222222222 wrote nothing that is in the index)", 5 * time.Second,
		},
		{"no revision is bad", chooseFacts(unknown), Request{}, WishNone, "none: no revision is known to be bad", 0},
		{"no revision is bad, and a person names a pair", chooseFacts(unknown), Request{To: Pair{Version: 80}}, WishReset, "reset: " + reset, 5 * time.Second},
		{
			"no revision is bad, and the index is damaged", chooseFacts(unknown, damaged, retired),
			Request{},
			WishRebuild,
			rebuild + " (not reset, because version 80 is not kept any more, the oldest is 90)", 40 * time.Second,
		},
		{
			"the index is damaged", chooseFacts(damaged),
			Request{},
			WishReset,
			"reset: " + reset + " (not revert, because the index is damaged: delta 90 is not what it says)", 5 * time.Second,
		},
		{
			"the log does not reach back", chooseFacts(shortLog),
			Request{},
			WishRebuild,
			rebuild + " (not revert, because the log begins with version 100, and receipts@2+222222222222 wrote first in version 81;" +
				" not reset, because what came after version 80 cannot be handled again: the log begins with version 100)", 40 * time.Second,
		},
		{
			"the mirror is the only truth", chooseFacts(damaged, retired),
			Request{},
			WishRebuild,
			rebuild + " (not revert, because the index is damaged: delta 90 is not what it says; not reset, because version 80 is not kept any more, the oldest is 90)", 40 * time.Second,
		},
		{"asked for a reset", chooseFacts(), Request{Data: WishReset}, WishReset, "asked for: reset: " + reset, 5 * time.Second},
		{"asked for a rebuild", chooseFacts(), Request{Data: WishRebuild}, WishRebuild, "asked for: " + rebuild, 40 * time.Second},
		{
			"asked for nothing", chooseFacts(),
			Request{Data: WishNone},
			WishNone,
			"none: asked for; 214 of 1,000,000 records were written by receipts@2+222222222222, in 3 versions since 81 and stay as they are", 0,
		},
		{"nobody knows how fast it is", chooseFacts(func(f *Facts) { f.Rate = 0 }), Request{}, WishRevert, revert, 0},
		{
			"one of everything", chooseFacts(func(f *Facts) { f.Written.Records, f.Written.Versions, f.Index.Records = 1, 1, 1 }),
			Request{},
			WishRevert,
			"revert: 1 of 1 record was written by receipts@2+222222222222, in 1 version since 81; later changes stay", 300 * time.Millisecond,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := Choose(c.facts, c.request)
			if err != nil {
				t.Fatal(err, lockstep.HintOf(err))
			}
			if o.Data != c.want || o.Why[2] != c.why {
				t.Errorf("%s: %s\nwant %s: %s", o.Data, o.Why[2], c.want, c.why)
			}
			if p, _ := o.Part(TargetIndex); p.Predicted != c.predicted {
				t.Errorf("predicted %s, want %s", p.Predicted, c.predicted)
			}
			if o.Risk != "" || len(o.Loss) > 0 {
				t.Errorf("it loses %v at the risk %q", o.Loss, o.Risk)
			}
		})
	}
}

func TestADiscardIsAskedForByItsName(t *testing.T) {
	o, err := Choose(chooseFacts(), Request{Data: WishDiscard})
	if err != nil {
		t.Fatal(err)
	}
	if o.Data != WishDiscard || o.Risk != RiskLoseChanges || len(o.Loss) != 1 || o.Loss[0] != "5,000 messages that came after version 80" {
		t.Errorf("%s, risk %q, lost %q", o.Data, o.Risk, o.Loss)
	}
	nothing, err := Choose(chooseFacts(func(f *Facts) { f.Since = Since{Version: 80} }), Request{Data: WishDiscard})
	if err != nil || len(nothing.Loss) > 0 {
		t.Errorf("lost %q, %v; nothing came after it", nothing.Loss, err)
	}
}

func TestAWishThatCannotBeFulfilledIsRefused(t *testing.T) {
	stuck := func(f *Facts) { f.Index.LogFrom, f.Index.Mirror = 100, false }
	for _, c := range []struct {
		name      string
		facts     Facts
		request   Request
		err, hint string
	}{
		{
			"reset to a version that is bad", chooseFacts(func(f *Facts) { f.Good.Version, f.Since.Version = 90, 90 }),
			Request{Data: WishReset},
			"version 90 is not good: receipts@2+222222222222 wrote first in version 81", "what can be done: --data revert, --data rebuild, --data none",
		},
		{
			"revert of what is damaged", chooseFacts(func(f *Facts) { f.Index.Damaged = "delta 90" }),
			Request{Data: WishRevert},
			"the index is damaged: delta 90", "what can be done: --data reset, --data rebuild, --data discard --accept-risk=lose-changes, --data none",
		},
		{
			"rebuild without a mirror", chooseFacts(func(f *Facts) { f.Index.Mirror = false }),
			Request{Data: WishRebuild},
			"there is no whole mirror of the table", "what can be done: --data revert, --data reset, --data discard --accept-risk=lose-changes, --data none",
		},
		{
			"nothing is safe, and a loss is not chosen", chooseFacts(stuck),
			Request{},
			"there is no whole mirror of the table", "what can be done: --data discard --accept-risk=lose-changes, --data none",
		},
		{
			"nobody is known to be good", chooseFacts(func(f *Facts) { f.Good.Revision = "" }),
			Request{},
			"no revision is known to be good", "what can be done: --data none",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Choose(c.facts, c.request)
			if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), c.err) || lockstep.HintOf(err) != c.hint {
				t.Errorf("%v\nhint %q\nwant %q\nhint %q", err, lockstep.HintOf(err), c.err, c.hint)
			}
		})
	}
}

// TestWhereAWishEnds holds the limits of every wish: the last value that is in order, and
// the first that is not.
func TestWhereAWishEnds(t *testing.T) {
	for _, c := range []struct {
		name    string
		wish    Wish
		good    func(f *Facts)
		bad     func(f *Facts)
		because string
	}{
		{
			"revert: the log begins with the first bad version", WishRevert,
			func(f *Facts) { f.Index.LogFrom = 81 }, func(f *Facts) { f.Index.LogFrom = 82 }, "the log begins with version 82",
		},
		{
			"revert: something was written", WishRevert,
			func(f *Facts) { f.Written.Records = 1 }, func(f *Facts) { f.Written.Records = 0 }, "wrote nothing",
		},
		{
			"reset: the version is the oldest that is kept", WishReset,
			func(f *Facts) { f.Index.Oldest = 80 }, func(f *Facts) { f.Index.Oldest = 81 }, "the oldest is 81",
		},
		{
			"reset: the version is the last before the bad ones", WishReset,
			func(f *Facts) { f.Written.First = 81 }, func(f *Facts) { f.Written.First = 80 }, "version 80 is not good",
		},
		{
			"reset: the log begins right after the version", WishReset,
			func(f *Facts) { f.Index.LogFrom = 81 }, func(f *Facts) { f.Index.LogFrom = 82 }, "cannot be handled again",
		},
		{
			"reset: nothing came after the version", WishReset,
			func(f *Facts) { f.Index.LogFrom, f.Index.Head = 130, 80 }, func(f *Facts) { f.Index.LogFrom, f.Index.Head = 130, 81 }, "cannot be handled again",
		},
		{
			"discard: the version is kept", WishDiscard,
			func(f *Facts) { f.Index.Oldest, f.Index.LogFrom = 80, 130 }, func(f *Facts) { f.Index.Oldest = 81 }, "the oldest is 81",
		},
		{
			"rebuild: there is a mirror", WishRebuild,
			func(f *Facts) { f.Index.LogFrom, f.Index.Oldest = 130, 130 }, func(f *Facts) { f.Index.Mirror = false }, "no whole mirror",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, out := chooseFacts(c.good), chooseFacts(c.bad)
			if no := in.against(c.wish, in.Good); no != "" {
				t.Errorf("in order, and refused: %s", no)
			}
			if no := out.against(c.wish, out.Good); !strings.Contains(no, c.because) {
				t.Errorf("not in order, and the reason is %q, want %q", no, c.because)
			}
		})
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 12: "12", 999: "999", 1000: "1,000", 999_999: "999,999", 1_000_000: "1,000,000", 12_345_678_901: "12,345,678,901"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}
