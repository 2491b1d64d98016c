package guard

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Recording is a named piece of history to try a guard on. The guard looks at the time
// of every sample and at the times in Looks, and sees what was there by then.
type Recording struct {
	Format int         `json:"format"` // RecordingFormat
	Name   string      `json:"name"`   // lower case words joined by hyphens
	Guard  string      `json:"guard"`  // whose question it answers
	About  string      `json:"about,omitempty"`
	Looks  []time.Time `json:"looks,omitempty"` // further ones, for what is not there
	Series
}

// Recording limits.
const (
	RecordingFormat   = 1
	MaxRecordingBytes = 1 << 20
	MaxRecorded       = 1000 // samples and looks of one recording
)

// ParseRecording reads one recording. ErrInvalid when it is too large, has members that
// are not known or breaks a limit; ErrRefused when its format is newer than this program.
func ParseRecording(b []byte) (Recording, error) {
	if len(b) > MaxRecordingBytes {
		return Recording{}, fmt.Errorf("%w recording: %d bytes, at most %d", lockstep.ErrInvalid, len(b), MaxRecordingBytes)
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &version); err == nil && version.Format > RecordingFormat {
		return Recording{}, fmt.Errorf("recording of format %d: %w: this program reads %d", version.Format, lockstep.ErrRefused, RecordingFormat)
	}
	var r Recording
	if err := strict(b, &r); err != nil {
		return Recording{}, fmt.Errorf("recording: %w", err)
	}
	if err := r.Check(); err != nil {
		return Recording{}, err
	}
	for i, at := range r.Looks {
		r.Looks[i] = at.UTC()
	}
	return r, nil
}

// Check returns every mistake of the recording at once, as one ErrInvalid.
func (r Recording) Check() error {
	var m mistakes
	if r.Format != RecordingFormat {
		m.add("format %d: want %d", r.Format, RecordingFormat)
	}
	if !validName(r.Name) || !validName(r.Guard) {
		m.add("name %.80q, guard %.80q: want lower case letters, digits and hyphens", r.Name, r.Guard)
	}
	n := len(r.Samples) + len(r.Looks)
	if n == 0 || n > MaxRecorded || len(r.Stable) > MaxRecorded || len(r.Warnings) > MaxLabels {
		m.add("%d samples and looks, %d of stable, %d warnings: want 1 to %d, at most %d and at most %d",
			n, len(r.Stable), len(r.Warnings), MaxRecorded, MaxRecorded, MaxLabels)
	}
	if len(r.About) > MaxText || len(r.Err) > MaxText {
		m.add("about and err: at most %d bytes", MaxText)
	}
	if slices.ContainsFunc(r.Looks, func(t time.Time) bool { return !dated(t) }) {
		m.add("looks: want dates")
	}
	if len(m.list) == 0 {
		return nil
	}
	return fmt.Errorf("recording %.80q: %w", r.Name, m.err(""))
}

// Encode writes the recording as ParseRecording reads it, indented, with a line break
// at the end. It refuses with ErrInvalid what does not check.
func (r Recording) Encode() ([]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode recording %s: %w", r.Name, err)
	}
	return append(b, '\n'), nil
}

// times returns when the guard looks, in order and each once.
func (r Recording) times() []time.Time {
	out := slices.Clone(r.Looks)
	for _, s := range r.Samples {
		if !s.At.IsZero() {
			out = append(out, s.At)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return slices.CompactFunc(out, time.Time.Equal)
}

// until returns what was there at time now.
func (r Recording) until(now time.Time) Series {
	after := func(s Sample) bool { return s.At.After(now) }
	s := r.Series
	s.Samples = slices.DeleteFunc(slices.Clone(s.Samples), after)
	s.Stable = slices.DeleteFunc(slices.Clone(s.Stable), after)
	return s
}

//go:embed recordings/*.json
var recorded embed.FS

// Recordings returns the recordings that come with the product, by name.
func Recordings() ([]Recording, error) {
	files, err := recorded.ReadDir("recordings")
	if err != nil {
		return nil, fmt.Errorf("read the recordings: %w", err)
	}
	out := make([]Recording, 0, len(files))
	for _, f := range files {
		b, err := recorded.ReadFile(path.Join("recordings", f.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the recordings: %w", err)
		}
		r, err := ParseRecording(b)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		out = append(out, r)
	}
	return out, nil
}
