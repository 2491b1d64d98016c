package change

import (
	"strings"

	"lockstep/internal/lockstep"
)

// Merged is what a change makes of a mirrored item.
type Merged struct {
	Item lockstep.MirrorItem // afterwards; equal to the item before when Effect is false
	// Outcome is Duplicate or Stale when the change is done with, and "" when the
	// handler must see it.
	Outcome lockstep.Outcome
	Effect  bool // the mirror changed
}

// Merge folds c into prev, what the mirror holds of the same item; known is false
// when it holds nothing, and then prev does not count.
//
// The mirrored item is three registers: the newest change (Seq, with its image), the
// newest removal (Removed) and the oldest insert (First). Each is a maximum or a
// minimum, so any order of arrival and any repetition end in the same item. The
// second register is needed because an import may lie between two lives of an item:
// of INSERT(1), import(2), REMOVE(3), INSERT(4) the removal undoes what was imported,
// and must do so also when it arrives last. The third is needed because what an item
// announces by its INSERT, such as an import, must take place also when a newer change
// of the item overtook it. A change that moves any register goes on to the handler.
func Merge(prev lockstep.MirrorItem, known bool, c lockstep.Change) Merged { //nolint:revive // known is data, not a mode: it qualifies prev
	seq := minimal(c.Seq)
	if !known { // "" is before every sequence number, so whatever comes is newer
		prev = lockstep.MirrorItem{}
	}
	next, moved := prev, false
	order := seq.Compare(prev.Seq)
	if order > 0 {
		if next.ID == "" {
			next.ID = c.Key.RecordID()
		}
		next.Key, next.Entity, next.Image, next.Seq, moved = c.Key, c.Entity, c.New, seq, true
	}
	switch {
	case c.Event == lockstep.Remove && seq.Compare(prev.Removed) > 0:
		next.Removed, moved = seq, true
	case c.Event == lockstep.Insert && (prev.First == "" || seq.Compare(prev.First) < 0):
		next.First, moved = seq, true
	}
	if order > 0 && c.Event == lockstep.Remove {
		next.Image = nil
	}
	switch {
	case moved:
		return Merged{Item: next, Effect: true}
	case order == 0:
		return Merged{Item: prev, Outcome: lockstep.Duplicate}
	}
	return Merged{Item: prev, Outcome: lockstep.Stale}
}

// minimal returns s without leading zeros, so that equal numbers are equal text:
// DynamoDB pads, DynamoDB Local pads otherwise, and the mirror is hashed.
func minimal(s lockstep.Sequence) lockstep.Sequence {
	if len(s) < 2 || s[0] != '0' {
		return s
	}
	t := strings.TrimLeft(string(s), "0")
	if t == "" {
		t = "0"
	}
	return lockstep.Sequence(t)
}
