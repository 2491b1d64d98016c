package change

import (
	"fmt"
	"testing"

	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var labelKey = lockstep.ItemKey{Partition: "IMAGE#1", Sort: "LABEL"}

func changeOf(event lockstep.Event, seq string) lockstep.Change {
	c := lockstep.Change{Key: labelKey, Event: event, Entity: "LABEL", Seq: lockstep.Sequence(seq)}
	if event != lockstep.Remove {
		c.New = lockstep.Item{"v": {Type: "S", Text: seq}}
	}
	return c
}

func mergeAll(changes []lockstep.Change) (it lockstep.MirrorItem) {
	for i, c := range changes {
		it = Merge(it, i > 0, c).Item
	}
	return it
}

func TestAnyOrderAndRepetitionEndInTheSameItem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "changes")
		var inOrder []lockstep.Change
		for i := range n {
			event := rapid.SampledFrom([]lockstep.Event{lockstep.Insert, lockstep.Modify, lockstep.Remove}).Draw(t, "event")
			inOrder = append(inOrder, changeOf(event, fmt.Sprint(i*7)))
		}
		want := mergeAll(inOrder)
		delivered := append([]lockstep.Change(nil), inOrder...)
		for range rapid.IntRange(0, 6).Draw(t, "repetitions") {
			c := rapid.SampledFrom(inOrder).Draw(t, "again")
			c.Seq = lockstep.Sequence(rapid.SampledFrom([]string{"", "0", "000"}).Draw(t, "padding")) + c.Seq
			delivered = append(delivered, c)
		}
		delivered = rapid.Permutation(delivered).Draw(t, "order")
		got := mergeAll(delivered)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if cmp.Diff(MirrorRecord(want), MirrorRecord(got)) != "" {
			t.Fatal("equal items, different records")
		}
	})
}

func TestMergeSaysWhatBecomesOfAChange(t *testing.T) {
	item := func(seq, removed string, present bool) lockstep.MirrorItem {
		it := lockstep.MirrorItem{ID: labelKey.RecordID(), Key: labelKey, Entity: "LABEL", Seq: lockstep.Sequence(seq), Removed: lockstep.Sequence(removed)}
		if present {
			it.Image = lockstep.Item{"v": {Type: "S", Text: seq}}
		}
		return it
	}
	nothing := lockstep.MirrorItem{}
	for name, c := range map[string]struct {
		prev   lockstep.MirrorItem
		change lockstep.Change
		want   Merged
	}{
		"first":                     {nothing, changeOf(lockstep.Modify, "5"), Merged{Item: item("5", "", true), Effect: true}},
		"first is a removal":        {nothing, changeOf(lockstep.Remove, "5"), Merged{Item: item("5", "5", false), Effect: true}},
		"newer":                     {item("5", "", true), changeOf(lockstep.Modify, "10"), Merged{Item: item("10", "", true), Effect: true}},
		"newer removal":             {item("5", "3", true), changeOf(lockstep.Remove, "10"), Merged{Item: item("10", "10", false), Effect: true}},
		"insert after a removal":    {item("5", "5", false), changeOf(lockstep.Insert, "6"), Merged{Item: since("6", item("6", "5", true)), Effect: true}},
		"the same":                  {item("5", "", true), changeOf(lockstep.Modify, "5"), Merged{Item: item("5", "", true), Outcome: lockstep.Duplicate}},
		"the same, padded":          {item("5", "", true), changeOf(lockstep.Modify, "005"), Merged{Item: item("5", "", true), Outcome: lockstep.Duplicate}},
		"older":                     {item("5", "", true), changeOf(lockstep.Modify, "4"), Merged{Item: item("5", "", true), Outcome: lockstep.Stale}},
		"older than a tombstone":    {item("5", "5", false), changeOf(lockstep.Modify, "4"), Merged{Item: item("5", "5", false), Outcome: lockstep.Stale}},
		"older insert, unseen":      {item("5", "5", false), changeOf(lockstep.Insert, "4"), Merged{Item: since("4", item("5", "5", false)), Effect: true}},
		"older insert, seen":        {since("4", item("5", "5", false)), changeOf(lockstep.Insert, "4"), Merged{Item: since("4", item("5", "5", false)), Outcome: lockstep.Stale}},
		"oldest insert":             {since("4", item("5", "5", false)), changeOf(lockstep.Insert, "3"), Merged{Item: since("3", item("5", "5", false)), Effect: true}},
		"older removal, unseen":     {item("5", "", true), changeOf(lockstep.Remove, "4"), Merged{Item: item("5", "4", true), Effect: true}},
		"older removal, seen":       {item("5", "4", true), changeOf(lockstep.Remove, "4"), Merged{Item: item("5", "4", true), Outcome: lockstep.Stale}},
		"older removal, superseded": {item("5", "4", true), changeOf(lockstep.Remove, "3"), Merged{Item: item("5", "4", true), Outcome: lockstep.Stale}},
		"after an import":           {item("", "", true), changeOf(lockstep.Modify, "0"), Merged{Item: item("0", "", true), Effect: true}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Merge(c.prev, c.prev.ID != "", c.change)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMergeDoesNotChangeWhatItWasGiven(t *testing.T) {
	prev := mergeAll([]lockstep.Change{changeOf(lockstep.Insert, "5")})
	before := string(EncodeItem(prev.Image))
	Merge(prev, true, changeOf(lockstep.Modify, "6"))
	Merge(prev, true, changeOf(lockstep.Remove, "4"))
	if prev.Seq != "5" || prev.Removed != "" || string(EncodeItem(prev.Image)) != before {
		t.Errorf("prev became %+v", prev)
	}
}

func since(first lockstep.Sequence, it lockstep.MirrorItem) lockstep.MirrorItem {
	it.First = first
	return it
}
