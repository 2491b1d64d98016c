package revert

import (
	"fmt"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// closure is what has to be handled again: keys from a version on, and the records that
// are restored before.
type closure struct {
	restore map[place]int // the first version whose write of the record is taken away
	keys    []int         // in the order in which they joined
	tainted int           // keys that joined because they read what was restored
	joined  int           // keys that joined because they share a record, or must be seen as they were
	oldest  int           // the least from
	work    []int
	t       *trace
}

// errOlder says that the closure reaches back behind the era, to version since.
type errOlder struct{ since uint64 }

func (e errOlder) Error() string {
	return fmt.Sprintf("the closure reaches back to version %d", e.since)
}

// close works the closure out: the smallest set of keys, each from a version on, that
// contains what is bad and that nothing outside of it shares a record with, read from, or
// must be rewound for.
func (t *trace) close() (*closure, error) {
	c := &closure{restore: map[place]int{}, t: t, oldest: never}
	for i, k := range t.keys {
		if k.bad != never {
			c.lower(i, k.bad)
		}
	}
	for {
		if err := c.drain(); err != nil {
			return nil, err
		}
		if !c.taint() {
			return c, nil
		}
	}
}

// lower says that a key is to be handled again from version v on.
func (c *closure) lower(key, v int) bool {
	k := c.t.keys[key]
	if v >= k.from {
		return false
	}
	if k.from == never {
		c.keys = append(c.keys, key)
	}
	k.from = v
	c.oldest = min(c.oldest, v)
	c.work = append(c.work, key)
	return true
}

// drain follows the keys that were lowered to the records they wrote, and from these to
// the other keys that wrote them.
func (c *closure) drain() error {
	for len(c.work) > 0 {
		at := c.work[len(c.work)-1]
		c.work = c.work[:len(c.work)-1]
		k := c.t.keys[at]
		if k.rebuilt != never && k.rebuilt >= k.from && !c.t.undoes(k.rebuilt) {
			return lockstep.Hint(fmt.Errorf("key %q was rebuilt by version %d, after what is bad: %w", k.name, c.t.era.entries[k.rebuilt].Number, lockstep.ErrRefused),
				`what the rebuild put right would be undone; use "lockstep rollback run --data rebuild" instead`)
		}
		if err := c.marks(at, k); err != nil {
			return err
		}
		for _, w := range k.writes {
			if w.version >= k.from {
				c.take(at, w)
			}
		}
		for _, u := range k.units {
			if u.version >= k.from {
				c.rewind(at, u)
			}
		}
	}
	return nil
}

// marks follows what handled a key again before: its effect rests on older messages, so
// that these are handled again too. A revert that is itself taken back is only undone.
func (c *closure) marks(at int, k *key) error {
	for _, v := range k.marks {
		if v < k.from || c.t.undoes(v) {
			continue
		}
		e := c.t.era.entries[v]
		if e.Kind != version.Revert || e.Reverts == nil {
			continue
		}
		from := c.t.era.indexOf(e.Reverts.Since)
		if from < 0 {
			return errOlder{e.Reverts.Since}
		}
		if c.lower(at, from) {
			c.joined++
		}
	}
	return nil
}

// undoes says whether version v of the era is what is bad, as a whole.
func (t *trace) undoes(v int) bool { return t.era.entries[v].Number == t.bad.Version }

// indexOf returns the place of version n in the era, -1 when it is older, and of the next
// one when it is not on the line.
func (x *era) indexOf(n uint64) int {
	if len(x.entries) == 0 || n < x.entries[0].Number {
		return -1
	}
	for i, e := range x.entries {
		if e.Number >= n {
			return i
		}
	}
	return len(x.entries) - 1
}

// take takes one write away, and what came on top of it.
func (c *closure) take(at int, w keyed) {
	if v, ok := c.restore[w.place]; ok && v <= w.version {
		return
	}
	c.restore[w.place] = w.version
	for _, other := range c.t.places[w.place] {
		if other.version >= w.version && other.key != at && c.lower(other.key, other.version) {
			c.joined++
		}
	}
}

// rewind brings what a unit reads to where it was: whoever wrote there since joins.
func (c *closure) rewind(at int, u unit) {
	for _, p := range u.cross {
		for _, w := range c.t.places[p] {
			if w.version >= u.version && w.key != at && c.lower(w.key, w.version) {
				c.joined++
			}
		}
	}
}

// taint adds the keys that read what was restored. It says whether there were any.
func (c *closure) taint() bool {
	found := false
	for at, k := range c.t.keys {
		for _, u := range k.units {
			if u.version >= k.from {
				break
			}
			for _, p := range u.cross {
				if v, ok := c.restore[p]; ok && v <= u.version && c.lower(at, u.version) {
					c.tainted++
					found = true
				}
			}
		}
	}
	return found
}
