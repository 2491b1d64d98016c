package shadow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"lockstep/internal/lockstep"
)

// tallyFormat is the version of the stored form; any other is refused.
const tallyFormat = 1

// maxCount bounds a stored count, so that sums of sums stay numbers.
const maxCount = 1 << 53

// stored is the JSON of a tally: every list sorted, every key once.
type stored struct {
	Format     int          `json:"format"`
	Units      int64        `json:"units"`
	BothFailed int64        `json:"both_failed"`
	Dropped    int64        `json:"dropped"`
	Ignored    int64        `json:"ignored"`
	Timed      int64        `json:"timed"`
	Slower     int64        `json:"slower"`
	Sets       []Set        `json:"sets,omitempty"`
	Rest       *Rest        `json:"rest,omitempty"`
	Classes    []ClassCount `json:"classes,omitempty"`
	Other      *Other       `json:"other,omitempty"`
	Samples    []Sample     `json:"samples,omitempty"`
}

func (t *Tally) stored() stored {
	s := stored{
		Format: tallyFormat, Units: t.units, BothFailed: t.bothFailed, Dropped: t.dropped,
		Ignored: t.ignored, Timed: t.timed, Slower: t.slower, Samples: t.samples,
	}
	for _, key := range slices.Sorted(maps.Keys(t.sets)) {
		s.Sets = append(s.Sets, *t.sets[key])
	}
	for _, c := range slices.SortedFunc(maps.Keys(t.classes), compareClasses) {
		s.Classes = append(s.Classes, *t.classes[c])
	}
	if t.rest != (Rest{}) {
		s.Rest = &t.rest
	}
	if t.other != (Other{}) {
		s.Other = &t.other
	}
	return s
}

// MarshalJSON writes the tally in its stored form, format 1.
// The receiver is a value, so that a tally inside another struct is written too.
func (t Tally) MarshalJSON() ([]byte, error) { return json.Marshal(t.stored()) }

// UnmarshalJSON reads a stored tally. It accepts only what MarshalJSON writes, but for
// white space: lockstep.ErrCorrupt for an unknown field, another format, a list out of
// order, counts that contradict each other, or more than the bounds. t is then unchanged.
func (t *Tally) UnmarshalJSON(body []byte) error {
	var compact bytes.Buffer
	if err := json.Compact(&compact, body); err != nil {
		return fmt.Errorf("tally: %w: %w", lockstep.ErrCorrupt, err)
	}
	d := json.NewDecoder(bytes.NewReader(compact.Bytes()))
	d.DisallowUnknownFields()
	var s stored
	if err := d.Decode(&s); err != nil {
		return fmt.Errorf("tally: %w: %w", lockstep.ErrCorrupt, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("tally: %w: something follows it", lockstep.ErrCorrupt)
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("tally: %w: %w", lockstep.ErrCorrupt, err)
	}
	fresh := s.tally()
	again, err := json.Marshal(fresh)
	if err != nil {
		return fmt.Errorf("tally: %w", err)
	}
	if !bytes.Equal(again, compact.Bytes()) {
		return fmt.Errorf("tally: %w: not as it is written: out of order, repeated, or beyond its bounds", lockstep.ErrCorrupt)
	}
	*t = *fresh
	return nil
}

// tally builds what s says; what is out of order or repeated shows when it is written again.
func (s *stored) tally() *Tally {
	t := &Tally{
		units: s.Units, bothFailed: s.BothFailed, dropped: s.Dropped,
		ignored: s.Ignored, timed: s.Timed, slower: s.Slower, samples: capSamples(slices.Clone(s.Samples)),
	}
	if s.Rest != nil {
		t.rest = *s.Rest
	}
	if s.Other != nil {
		t.other = *s.Other
	}
	for _, set := range s.Sets {
		t.addSet(set)
	}
	for _, c := range s.Classes {
		t.class(c.Class).add(c)
	}
	t.trim()
	return t
}

func (s *stored) check() error {
	if s.Format != tallyFormat {
		return fmt.Errorf("format %d, this program reads %d", s.Format, tallyFormat)
	}
	if len(s.Sets) > MaxSets || len(s.Classes) > MaxClasses || len(s.Samples) > MaxSamples {
		return errors.New("more than its bounds")
	}
	if err := counts(s.Units, s.BothFailed, s.Dropped, s.Ignored, s.Timed, s.Slower); err != nil {
		return err
	}
	if s.Slower > s.Timed || s.Timed > s.Units {
		return fmt.Errorf("%d slower of %d timed of %d units", s.Slower, s.Timed, s.Units)
	}
	units := int64(0)
	for i := range s.Sets {
		if err := s.Sets[i].check(); err != nil {
			return fmt.Errorf("set %d: %w", i, err)
		}
		units += s.Sets[i].Units
	}
	if r := s.Rest; r != nil {
		if err := counts(r.Units, r.Equal, r.Noise, r.Twice, r.Worse, r.Noisier, r.Hard); err != nil {
			return err
		}
		if r.Equal > r.Units || r.Noise > r.Units-r.Equal || r.Twice > r.Units || r.Worse > r.Twice || r.Noisier > r.Twice-r.Worse || r.Hard > r.Twice {
			return fmt.Errorf("rest %+v: want each part within its whole", *r)
		}
		units += r.Units
	}
	if units != s.Units {
		return fmt.Errorf("%d units in sets, %d counted", units, s.Units)
	}
	for i := range s.Classes {
		if err := s.Classes[i].check(s.Units); err != nil {
			return fmt.Errorf("class %d: %w", i, err)
		}
	}
	if o := s.Other; o != nil {
		if err := counts(o.Records, o.Drift); err != nil {
			return err
		}
	}
	for i := range s.Samples {
		if err := s.Samples[i].check(); err != nil {
			return fmt.Errorf("sample %d: %w", i, err)
		}
	}
	return nil
}

func counts(ns ...int64) error {
	for _, n := range ns {
		if n < 0 || n > maxCount {
			return fmt.Errorf("count %d: want 0 to %d", n, int64(maxCount))
		}
	}
	return nil
}

func (s *Set) check() error {
	if err := counts(s.Units); err != nil {
		return err
	}
	if s.Units == 0 || s.Once && len(s.Again) > 0 || s.More && len(s.Candidate) < maxSetClasses {
		return errors.New("it cannot have been seen")
	}
	for _, list := range [][]Class{s.Candidate, s.Again} {
		if len(list) > maxSetClasses {
			return fmt.Errorf("%d classes, at most %d", len(list), maxSetClasses)
		}
		for i, c := range list {
			if err := c.Check(); err != nil {
				return err
			}
			if i > 0 && compareClasses(list[i-1], c) >= 0 {
				return fmt.Errorf("class %q is repeated or out of order", c)
			}
		}
	}
	return nil
}

func (c *ClassCount) check(units int64) error {
	if err := c.Class.Check(); err != nil {
		return err
	}
	if err := counts(c.Units, c.Records, c.Again, c.Drift, c.StableRight, c.CandidateRight, c.NeitherRight); err != nil {
		return err
	}
	if c.Units > units || c.Again > units || c.Records < c.Units || c.StableRight+c.CandidateRight+c.NeitherRight > c.Records {
		return fmt.Errorf("%+v of %d units: want each part within its whole", *c, units)
	}
	return nil
}

func (s *Sample) check() error {
	if err := s.Class.Check(); err != nil {
		return err
	}
	if len(s.Unit) > maxSampleUnit || len(s.Collection) > maxKeyBytes || len(s.ID) > lockstep.MaxIDBytes ||
		max(len(s.Stable), len(s.Candidate), len(s.Derived)) > maxRendered {
		return errors.New("longer than its bounds")
	}
	switch s.Right {
	case RightUnknown, RightStable, RightCandidate, RightNeither:
		return nil
	}
	return fmt.Errorf("right %q", s.Right)
}
