package shadow

// spot is one field of one record; record and op are one field, existence.
type spot struct {
	place
	field string
}

func (d *Difference) spot() spot {
	s := spot{place{d.Collection, d.ID}, d.Field}
	if s.field == fieldOp {
		s.field = fieldRecord
	}
	return s
}

func spots(ds []Difference) map[spot]bool {
	out := make(map[spot]bool, len(ds))
	for i := range ds {
		out[ds[i].spot()] = true
	}
	return out
}

// judge says of each difference with whom the re-derived record agrees, and finds where
// stable and candidate agree with each other and not with it. A failed answer is judged
// by nobody.
func (c *comparison) judge(p *Pair, stable, candidate, derived effect) {
	if p.Failure != FailedNone {
		return
	}
	offStable, offCandidate := c.differences(stable, derived), c.differences(candidate, derived)
	fromStable, fromCandidate := spots(offStable), spots(offCandidate)
	for i := range p.Differences {
		d := &p.Differences[i]
		at := d.spot()
		truth := derived.side(at.place)
		if truth.exists == untouched {
			continue
		}
		d.Derived = truth.value(d.Field)
		switch {
		case at.field != fieldRecord && truth.exists != present:
			d.Right = RightNeither // it says that there is no such record
		case !fromStable[at]:
			d.Right = RightStable
		case !fromCandidate[at]:
			d.Right = RightCandidate
		default:
			d.Right = RightNeither
		}
	}
	differs := spots(p.Differences)
	for _, d := range offStable {
		at := d.spot()
		whole := at
		whole.field = fieldRecord
		if differs[at] || differs[whole] || derived.side(at.place).exists == untouched {
			continue
		}
		d.Candidate, d.Derived = d.Stable, d.Candidate
		d.Right = RightNeither
		p.Drift = append(p.Drift, d)
	}
}
