package guard

import (
	"fmt"
	"strconv"
	"time"
)

// Test says what must hold of the samples in the window. It passes only when that was
// seen to hold.
type Test struct {
	Kind   Kind   `json:"kind"`
	Reduce Reduce `json:"reduce,omitempty"` // Value and Ratio; "": the last sample
	Op     Op     `json:"op,omitempty"`     // all but Present and Absent
	// Limit is compared with: in Unit; for Ratio it is a multiple of stable's value.
	Limit float64 `json:"limit"`
	// Floor, for Ratio: a value up to it passes whatever stable's is, because a multiple
	// of next to nothing says nothing.
	Floor float64 `json:"floor,omitempty"`
	Unit  Unit    `json:"unit"`
}

// Kind is the form of a test.
type Kind string

// The kinds of test.
const (
	Value    Kind = "value"    // the reduced value compares with the limit
	Ratio    Kind = "ratio"    // the reduced value compares with limit times stable's
	Increase Kind = "increase" // how much a counter grew in the window; a restart at 0 is seen
	Decrease Kind = "decrease" // how much a gauge fell from the first sample to the last
	Present  Kind = "present"  // there is a sample
	Absent   Kind = "absent"   // there is none
)

// Kinds lists the kinds of test.
func Kinds() []Kind { return []Kind{Value, Ratio, Increase, Decrease, Present, Absent} }

// Reduce says how the samples of a window become one number.
type Reduce string

// The reductions.
const (
	Last Reduce = "last"
	Min  Reduce = "min"
	Max  Reduce = "max"
	Mean Reduce = "mean"
	Sum  Reduce = "sum"
)

// Reduces lists the reductions.
func Reduces() []Reduce { return []Reduce{Last, Min, Max, Mean, Sum} }

// Op is a comparison that must hold.
type Op string

// The comparisons.
const (
	AtMost  Op = "at-most"
	Below   Op = "below"
	AtLeast Op = "at-least"
	Above   Op = "above"
	Equal   Op = "equal"
)

// Ops lists the comparisons.
func Ops() []Op { return []Op{AtMost, Below, AtLeast, Above, Equal} }

// words returns the comparison as it is read in a sentence.
func (o Op) words() string {
	switch o {
	case AtMost:
		return "at most"
	case Below:
		return "below"
	case AtLeast:
		return "at least"
	case Above:
		return "above"
	case Equal:
		return "exactly"
	}
	return string(o)
}

// holds is false for every comparison with NaN and for an unknown one.
func (o Op) holds(value, limit float64) bool {
	switch o {
	case AtMost:
		return value <= limit
	case Below:
		return value < limit
	case AtLeast:
		return value >= limit
	case Above:
		return value > limit
	case Equal:
		return value == limit
	}
	return false
}

// Unit is what a value counts.
type Unit string

// The units.
const (
	Count   Unit = "count"
	Share   Unit = "share" // 0 to 1
	Seconds Unit = "seconds"
	Bytes   Unit = "bytes"
)

// Units lists the units.
func Units() []Unit { return []Unit{Count, Share, Seconds, Bytes} }

// Format writes a value in this unit for people.
func (u Unit) Format(v float64) string {
	switch u {
	case Share:
		return strconv.FormatFloat(v*100, 'g', 4, 64) + " %"
	case Seconds:
		if v > -1e9 && v < 1e9 {
			d := time.Duration(v * float64(time.Second))
			return d.Round(roundTo(d)).String()
		}
		return strconv.FormatFloat(v, 'g', 4, 64) + " s"
	case Bytes:
		for _, s := range []struct {
			name string
			size float64
		}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
			if v >= s.size || v <= -s.size {
				return strconv.FormatFloat(v/s.size, 'g', 4, 64) + " " + s.name
			}
		}
		return strconv.FormatFloat(v, 'g', 4, 64) + " bytes"
	case Count:
	}
	return strconv.FormatFloat(v, 'g', 8, 64)
}

// roundTo keeps about three digits.
func roundTo(d time.Duration) time.Duration {
	for unit := time.Second; unit > time.Microsecond; unit /= 10 {
		if d.Abs() >= 100*unit {
			return unit
		}
	}
	return time.Microsecond
}

func (t Test) check(m *mistakes) {
	oneOf(m, "test.kind", t.Kind, Kinds())
	oneOf(m, "test.unit", t.Unit, Units())
	if t.Reduce != "" {
		oneOf(m, "test.reduce", t.Reduce, Reduces())
	}
	if !finite(t.Limit) || !finite(t.Floor) {
		m.add("test.limit and test.floor: want numbers")
	}
	switch t.Kind {
	case Present, Absent:
		if t.Op != "" || t.Limit != 0 || t.Reduce != "" {
			m.add("test: %s compares nothing; leave op, limit and reduce out", t.Kind)
		}
	case Value, Ratio, Increase, Decrease:
		oneOf(m, "test.op", t.Op, Ops())
	}
	if (t.Kind == Increase || t.Kind == Decrease) && t.Reduce != "" {
		m.add("test.reduce: %s looks at the first and the last sample; leave reduce out", t.Kind)
	}
	if t.Floor != 0 && (t.Kind != Ratio || t.Op != AtMost && t.Op != Below) {
		m.add("test.floor: only a ratio that must stay below something has one")
	}
	if t.Kind == Ratio && t.Op == Equal {
		m.add("test.op equal: two measured values are never equal; give a limit")
	}
}

// Sentence says what must hold, for people.
func (t Test) Sentence() string {
	switch t.Kind {
	case Present:
		return "must be there"
	case Absent:
		return "must not be there"
	case Ratio:
		s := fmt.Sprintf("%smust be %s %s times stable's", t.reduced(), t.Op.words(), strconv.FormatFloat(t.Limit, 'g', -1, 64))
		if t.Floor != 0 {
			s += ", or " + t.Op.words() + " " + t.Unit.Format(t.Floor)
		}
		return s
	case Increase:
		return fmt.Sprintf("must grow by %s %s", t.Op.words(), t.Unit.Format(t.Limit))
	case Decrease:
		return fmt.Sprintf("must fall by %s %s", t.Op.words(), t.Unit.Format(t.Limit))
	case Value:
	}
	return fmt.Sprintf("%smust be %s %s", t.reduced(), t.Op.words(), t.Unit.Format(t.Limit))
}

func (t Test) reduced() string {
	if t.Reduce == "" || t.Reduce == Last {
		return ""
	}
	return string(t.Reduce) + " "
}
