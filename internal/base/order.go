package base

import "fmt"

// order checks that the ids of a part ascend from its first to its last, as the
// manifest says: binary search and merging rest on it.
type order struct {
	part Part
	seen int64
	last string
}

func newOrder(p Part) *order { return &order{part: p} }

func (o *order) next(id string) error {
	if o.seen == 0 && id != o.part.First {
		return fmt.Errorf("it comes first, the manifest says %.80q does", o.part.First)
	}
	if o.seen > 0 && id <= o.last {
		return fmt.Errorf("it follows %.80q", o.last)
	}
	o.seen++
	o.last = id
	return nil
}

func (o *order) end() error {
	if o.seen != o.part.Rows || o.last != o.part.Last {
		return fmt.Errorf("%d rows that end with %.80q, the manifest says %d and %.80q", o.seen, o.last, o.part.Rows, o.part.Last)
	}
	return nil
}
