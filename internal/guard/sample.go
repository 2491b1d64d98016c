package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Sample is one measured value.
type Sample struct {
	At     time.Time         // when it was true, by the clock of the source
	Value  float64           // in the unit of the test; NaN and infinities are gaps
	Labels map[string]string // which of several series it belongs to; nil for the only one
	Note   string            // what a person wants to see beside the number
	Err    string            // why there is no value; Value then says nothing
}

// Series is what a question was answered with, in any order.
type Series struct {
	Samples []Sample `json:"samples,omitempty"`
	// Stable is what the same question says about stable at the same time. Only Collect
	// fills it, for guards that compare.
	Stable []Sample `json:"stable,omitempty"`
	// Warnings mean that the answer may be partial: it can fail a guard, not pass it.
	Warnings []string `json:"warnings,omitempty"`
	// Err is why the question could not be asked at all. Only Collect fills it.
	Err string `json:"err,omitempty"`
}

// Limits of samples that come from outside.
const (
	MaxSamples = 50_000 // of one series
	MaxLabels  = 64     // of one sample
	MaxText    = 1024   // bytes of a note, an error, or a label's name or value
)

// number is a float64 whose JSON may also say "NaN", "+Inf" or "-Inf", as Prometheus does.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	switch f := float64(n); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"+Inf"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Inf"`), nil
	default:
		return json.Marshal(f)
	}
}

func (n *number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*n = number(math.NaN())
		return nil
	case `"+Inf"`:
		*n = number(math.Inf(1))
		return nil
	case `"-Inf"`:
		*n = number(math.Inf(-1))
		return nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsInf(f, 0) {
		return fmt.Errorf(`%w value %.40q: want a number, "NaN", "+Inf" or "-Inf"`, lockstep.ErrInvalid, b)
	}
	*n = number(f)
	return nil
}

// wireSample is the JSON of a sample: it has a value or an error.
type wireSample struct {
	At     time.Time         `json:"at"`
	Value  *number           `json:"value,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Note   string            `json:"note,omitempty"`
	Err    string            `json:"err,omitempty"`
}

// MarshalJSON writes a sample as docs/guards.md says; values that are no number are
// written as text.
func (s Sample) MarshalJSON() ([]byte, error) {
	w := wireSample{At: s.At.UTC(), Labels: s.Labels, Note: s.Note, Err: s.Err}
	if s.Err == "" {
		v := number(s.Value)
		w.Value = &v
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON writes and refuses everything else with
// ErrInvalid: unknown members, neither or both of value and error, and text or labels
// beyond the limits. s is then unchanged.
func (s *Sample) UnmarshalJSON(b []byte) error {
	var w wireSample
	if err := strict(b, &w); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	if !dated(w.At) || (w.Value == nil) == (w.Err == "") {
		return fmt.Errorf(`%w sample: want "at", and one of "value" and "err"`, lockstep.ErrInvalid)
	}
	out := Sample{At: w.At.UTC(), Labels: w.Labels, Note: w.Note, Err: w.Err}
	if w.Value != nil {
		out.Value = float64(*w.Value)
	}
	if err := out.check(); err != nil {
		return err
	}
	*s = out
	return nil
}

// dated says whether t is a date that can be written in UTC.
func dated(t time.Time) bool { return !t.IsZero() && t.UTC().Year() >= 0 && t.UTC().Year() <= 9999 }

func (s Sample) check() error {
	if len(s.Labels) > MaxLabels {
		return fmt.Errorf("%w sample: %d labels, at most %d", lockstep.ErrInvalid, len(s.Labels), MaxLabels)
	}
	long := len(s.Note) > MaxText || len(s.Err) > MaxText
	for k, v := range s.Labels {
		long = long || len(k) > MaxText || len(v) > MaxText
	}
	if long {
		return fmt.Errorf("%w sample: a text is longer than %d bytes", lockstep.ErrInvalid, MaxText)
	}
	return nil
}

// ParseSamples reads samples as JSON, one a line; blank lines do not count. ErrInvalid
// names the first line that is not a sample.
func ParseSamples(lines []byte) ([]Sample, error) {
	var out []Sample
	n := 0
	for line := range bytes.Lines(lines) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if len(out) == MaxSamples {
			return nil, fmt.Errorf("%w samples: more than %d", lockstep.ErrInvalid, MaxSamples)
		}
		var s Sample
		if err := s.UnmarshalJSON(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// strict decodes one JSON value and refuses unknown members and anything after it.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		// Of an error with a class of its own, the words: what is malformed is invalid.
		return fmt.Errorf("%w JSON: %s", lockstep.ErrInvalid, err.Error())
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w JSON: something follows the value", lockstep.ErrInvalid)
	}
	return nil
}

// labelKey returns the labels as text that is equal when they are.
func labelKey(labels map[string]string) string {
	if len(labels) == 0 {
		return ""
	}
	parts := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, k+"="+strconv.Quote(labels[k]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}
