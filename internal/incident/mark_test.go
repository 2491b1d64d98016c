package incident

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestIntervals(t *testing.T) {
	s := time.Second
	for _, c := range []struct {
		name  string
		marks map[MarkKind]time.Duration // since t0, after one hour; missing: not known
		want  []string                   // detect, command, stop, clean, total
	}{
		{
			"all known",
			map[MarkKind]time.Duration{MarkFirstBad: 1 * s, MarkDetected: 73 * s, MarkCommanded: 75 * s, MarkLastBad: 76 * s, MarkClean: 84 * s},
			[]string{"1 m 12 s", "2 s", "1 s", "9 s", "1 m 23 s"},
		},
		{
			"nothing was ever bad",
			map[MarkKind]time.Duration{MarkDetected: 73 * s, MarkCommanded: 75 * s, MarkClean: 84 * s},
			[]string{"not known: it wrote nothing", "2 s", "not known: it wrote nothing", "9 s", "not known: it wrote nothing"},
		},
		{
			"it had stopped before",
			map[MarkKind]time.Duration{MarkFirstBad: 1 * s, MarkDetected: 73 * s, MarkCommanded: 75 * s, MarkLastBad: 70 * s, MarkClean: 84 * s},
			[]string{"1 m 12 s", "2 s", "0 s: its last execution was 5 s before the command", "9 s", "1 m 23 s"},
		},
		{
			"clocks disagree",
			map[MarkKind]time.Duration{MarkFirstBad: 75 * s, MarkDetected: 73 * s, MarkCommanded: 75 * s, MarkLastBad: 76 * s, MarkClean: 84 * s},
			[]string{"not known: by the recorded times, the detection was 2 s before the first bad effect", "2 s", "1 s", "9 s", "9 s"},
		},
	} {
		in := opened(t)
		in.Marks = nil
		for _, k := range MarkKinds() {
			m := Mark{Kind: k, Unknown: "it wrote nothing"}
			if d, known := c.marks[k]; known {
				m = Mark{Kind: k, At: at(d), Source: "x"}
			}
			in = must(t)(SetMark(in, by("a", time.Hour), m))
		}
		var got []string
		for _, i := range in.Intervals() {
			got = append(got, i.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	for _, i := range (Incident{}).Intervals() {
		if i.Known || !strings.HasPrefix(i.String(), "not known: nobody has recorded when") {
			t.Errorf("%s: %s", i.Name, i)
		}
	}
}

func TestAMarkCanBeCorrected(t *testing.T) {
	in := must(t)(SetMark(opened(t), by("a", time.Hour), Mark{Kind: MarkClean, At: t0(), Source: "x", Unknown: "dropped"}))
	in = must(t)(SetMark(in, by("b", time.Hour), Mark{Kind: MarkClean, At: at(1), Source: "y"}))
	if m := in.Mark(MarkClean); len(in.Marks) != 2 || !m.At.Equal(at(1)) || m.By != "b" || m.Unknown != "" {
		t.Errorf("%+v", in.Marks)
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 1: "under 1 ms", 340 * time.Millisecond: "340 ms", 1250 * time.Millisecond: "1.2 s", 9 * time.Second: "9 s", 59*time.Second + 999*time.Millisecond: "59 s",
		72 * time.Second: "1 m 12 s", 2 * time.Minute: "2 m", 123 * time.Minute: "2 h 3 m", 24 * time.Hour: "1 d", 76 * time.Hour: "3 d 4 h", -time.Minute: "minus 1 m",
	} {
		if got := span(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 records", 1: "1 record", 999: "999 records", 1000: "1,000 records", 1234567: "1,234,567 records"} {
		if got := count(n, "record"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func events() *rapid.Generator[[]Event] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Event {
		return Event{
			At: at(time.Duration(rapid.IntRange(0, 5).Draw(t, "at")) * time.Second), Who: rapid.SampledFrom([]string{"", "anna"}).Draw(t, "who"),
			What: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "what"), Link: rapid.SampledFrom([]string{"", "x"}).Draw(t, "link"),
		}
	}), 0, 12)
}

func TestATimelineIsSortedCompleteAndTheSameWhateverTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lists [][]Event
		for _, source := range []string{"release", "versions", "plan prod-1"} {
			list := events().Draw(t, source)
			for i := range list {
				list[i].Source = source
			}
			lists = append(lists, list)
		}
		line := Timeline(lists...)
		if !slices.IsSortedFunc(line, func(a, b Event) int { return a.At.Compare(b.At) }) {
			t.Fatalf("not sorted: %v", line)
		}
		type fact struct {
			at        time.Time
			who, what string
		}
		want := map[fact]bool{}
		for _, l := range lists {
			for _, e := range l {
				want[fact{e.At, e.Who, e.What}] = want[fact{e.At, e.Who, e.What}] || e.Link != ""
			}
		}
		got := map[fact]bool{}
		for _, e := range line {
			f := fact{e.At, e.Who, e.What}
			if _, twice := got[f]; twice {
				t.Fatalf("twice: %+v", e)
			}
			got[f] = e.Link != ""
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(fact{})); diff != "" {
			t.Fatalf("facts, and whether they have a link (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(line, Timeline(rapid.Permutation(lists).Draw(t, "order")...)); diff != "" {
			t.Fatalf("another order: %s", diff)
		}
		if diff := cmp.Diff(line, Timeline(line, line)); diff != "" {
			t.Fatalf("merged again: %s", diff)
		}
	})
}

func TestTheTimelineOfAnIncidentHasEverythingThatPeopleDid(t *testing.T) {
	in := rolledBack(t)
	in = must(t)(Close(in, by("anna", time.Hour), Closing{Reason: "quiet", Accept: blockers(in, nil)}))
	in = must(t)(Reopen(in, by("bert", 2*time.Hour), "it is back"))
	var all []string
	for _, e := range in.Events() {
		all = append(all, e.Who+" "+e.What)
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{
		"lockstep opened the incident", " first bad effect (known from", "guard failed-units says fail", "anna decided: take the quick way back", "bert noted: Support",
		"lockstep linked the plan prod-3-1", "lockstep finished: Notify team", "bert signed monitor.customers", "anna closed the incident: quiet", "bert reopened the incident: it is back",
		badRev + " begins to decide",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
