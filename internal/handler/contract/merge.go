package contract

import (
	"regexp"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Merge is the mirror's rule in the model: what is known of an item after one more
// change, and "" or why the change ends here. The item is four registers: the
// newest change (Seq with its image), the newest removal (Removed) and the oldest
// insert (First). A change that moves none of them is a duplicate of the newest or
// stale; one that moves any goes on to the handler.
func Merge(prev lockstep.MirrorItem, known bool, c lockstep.Change) (lockstep.MirrorItem, lockstep.Outcome) { //nolint:revive // known is half of what is known of the item, not a mode
	c.Seq = lockstep.Sequence(strings.TrimLeft(string(c.Seq), "0")) // one number, one text
	if c.Seq == "" {
		c.Seq = "0"
	}
	next := prev
	moved := false
	if !known {
		prev = lockstep.MirrorItem{}
		next = lockstep.MirrorItem{ID: c.Key.RecordID(), Key: c.Key}
	}
	if !known || c.Seq.Compare(prev.Seq) > 0 {
		next.Entity, next.Seq, next.Image = c.Entity, c.Seq, c.New
		if c.Event == lockstep.Remove {
			next.Image = nil
		}
		moved = true
	}
	if c.Event == lockstep.Remove && c.Seq.Compare(prev.Removed) > 0 {
		next.Removed = c.Seq
		moved = true
	}
	if c.Event == lockstep.Insert && (prev.First == "" || c.Seq.Compare(prev.First) < 0) {
		next.First = c.Seq
		moved = true
	}
	switch {
	case moved:
		return next, ""
	case c.Seq.Compare(prev.Seq) == 0:
		return prev, lockstep.Duplicate
	}
	return prev, lockstep.Stale
}

// patterns keeps compiled patterns by their text; nil for one that does not compile.
type patterns map[string]*regexp.Regexp

// classify returns the entity of the first rule whose two patterns match the whole
// of both keys, and "" when none does. A pattern that does not compile matches nothing.
func (p patterns) classify(rules []handler.EntityRule, key lockstep.ItemKey) string {
	for _, r := range rules {
		if p.match(r.Partition, key.Partition) && p.match(r.Sort, key.Sort) {
			return r.Entity
		}
	}
	return ""
}

func (p patterns) match(pattern, text string) bool {
	re, ok := p[pattern]
	if !ok {
		re, _ = regexp.Compile(`(?s)\A(?:` + pattern + `)\z`)
		p[pattern] = re
	}
	return re != nil && re.MatchString(text)
}
