package shadow

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Reading is what re-derivation says of a class as a whole.
type Reading string

// What can be read. Divided means that records disagree.
const (
	CandidateIsRight Reading = "candidate is right"
	StableIsRight    Reading = "stable is right"
	Neither          Reading = "neither is right"
	Divided          Reading = "divided"
	NotDerived       Reading = "not re-derived"
)

// Reading says with whom the re-derived records of the class agree.
func (c ClassCount) Reading() Reading {
	switch total := c.StableRight + c.CandidateRight + c.NeitherRight; {
	case total == 0:
		return NotDerived
	case c.StableRight == total:
		return StableIsRight
	case c.CandidateRight == total:
		return CandidateIsRight
	case c.NeitherRight == total:
		return Neither
	}
	return Divided
}

// Row is one class of a report.
type Row struct {
	ClassCount

	Hard     bool        `json:"hard"`
	Reading  Reading     `json:"reading"`
	Accepted *Acceptance `json:"accepted,omitempty"` // under which it is expected
	Ended    *Acceptance `json:"ended,omitempty"`    // the last one, when none holds any more
	Samples  []Sample    `json:"samples,omitempty"`
}

// Report is a tally as people and programs read it, under the acceptances of one moment.
// Rows are sorted by weight: hard classes first, then by units, records and name.
type Report struct {
	At         time.Time `json:"at"`
	Counts     Counts    `json:"counts"`
	Unexpected []Row     `json:"unexpected"`
	Expected   []Row     `json:"expected"`
	Noise      []Row     `json:"noise"` // seen in stable's second run only, or in every unit there too
	// Drift are classes in which stable and candidate agree, and the table does not.
	Drift    []Row    `json:"drift"`
	Other    Other    `json:"other"`               // of classes beyond MaxClasses
	BadInput []Sample `json:"bad_input,omitempty"` // units on which both failed
}

// Report reads the tally under the acceptances that hold at now.
func (t *Tally) Report(accepted Acceptances, now time.Time) Report {
	r := Report{At: now, Counts: t.Counts(accepted, now), Other: t.other, Unexpected: []Row{}, Expected: []Row{}, Noise: []Row{}, Drift: []Row{}}
	samples := map[Class][]Sample{}
	for _, s := range t.samples {
		samples[s.Class] = append(samples[s.Class], s)
	}
	r.BadInput = samples[ErrorBoth]
	alone := t.alone()
	for _, c := range slices.SortedFunc(maps.Keys(t.classes), compareClasses) {
		row := Row{ClassCount: *t.classes[c], Hard: c.Hard(), Samples: samples[c]}
		row.Reading = row.ClassCount.Reading()
		if a, ok := accepted.Of(c, now); ok {
			row.Accepted = &a
		} else if a, ok := accepted.ended(c, now); ok {
			row.Ended = &a
		}
		if row.Drift > 0 {
			r.Drift = append(r.Drift, row)
		}
		switch {
		case row.Units == 0 && row.Again == 0:
		case row.Accepted != nil:
			r.Expected = append(r.Expected, row)
		case !alone[c]:
			r.Noise = append(r.Noise, row)
		default:
			r.Unexpected = append(r.Unexpected, row)
		}
	}
	for _, rows := range [][]Row{r.Unexpected, r.Expected, r.Noise, r.Drift} {
		slices.SortStableFunc(rows, weight)
	}
	return r
}

// alone returns the classes in which, in some unit, only the candidate differs. Of a class
// whose sets have no room any more it is taken to be so.
func (t *Tally) alone() map[Class]bool {
	out := map[Class]bool{}
	seen := map[Class]int64{}
	for _, s := range t.sets {
		for _, c := range without(s.Candidate, s.Again) {
			out[c] = true
		}
		for _, c := range s.Candidate {
			seen[c] += s.Units
		}
	}
	for c, count := range t.classes {
		if seen[c] < count.Units {
			out[c] = true
		}
	}
	return out
}

// weight orders rows; those that are equal keep their order, which is that of classes.
func weight(a, b Row) int {
	if a.Hard != b.Hard {
		if a.Hard {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.Units, a.Units), cmp.Compare(b.Records, a.Records), cmp.Compare(b.Again, a.Again), cmp.Compare(b.Drift, a.Drift))
}
