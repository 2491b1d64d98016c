package rollback

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"lockstep/internal/lockstep"
)

// Format is the version of the entry format that this code writes and reads.
const Format = 1

// maxEntry bounds an entry: the state of a plan is in it, and what every step keeps.
const maxEntry = 4 << 20

// Entry is one entry of the ledger of a plan.
type Entry struct {
	Format    int    `json:"format"`
	MinReader int    `json:"min_reader"`
	Number    uint64 `json:"number"`
	What      string `json:"what"`           // why the entry is there: "planned", "step index done"
	Actor     string `json:"actor"`          // who wrote it
	State     State  `json:"state"`          // complete
	Step      string `json:"step,omitempty"` // that it is about
}

// Encode returns the body of the entry.
func (e *Entry) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode entry %d of plan %s: %w", e.Number, e.State.Plan.ID, err)
	}
	return b.Bytes(), nil
}

// DecodeEntry reads a body. lockstep.ErrRefused: it needs a newer reader.
// lockstep.ErrCorrupt: anything else that is not an entry.
func DecodeEntry(body []byte) (*Entry, error) {
	var probe struct {
		MinReader int `json:"min_reader"`
	}
	if len(body) > maxEntry {
		return nil, fmt.Errorf("plan entry: %w: %d bytes", lockstep.ErrCorrupt, len(body))
	}
	if err := json.Unmarshal(body, &probe); err != nil {
		return nil, fmt.Errorf("plan entry: %w: %w", lockstep.ErrCorrupt, err)
	}
	if probe.MinReader > Format {
		return nil, lockstep.Hint(fmt.Errorf("plan entry: %w: it needs a reader of format %d, this program reads %d", lockstep.ErrRefused, probe.MinReader, Format), "install a newer lockstep")
	}
	e := &Entry{}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(e); err != nil {
		return nil, fmt.Errorf("plan entry: %w: %w", lockstep.ErrCorrupt, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("plan entry: %w: surplus bytes", lockstep.ErrCorrupt)
	}
	if e.Format < 1 || len(e.State.Steps) != len(e.State.Plan.Steps) {
		return nil, fmt.Errorf("plan entry: %w: format %d, %d states of %d steps", lockstep.ErrCorrupt, e.Format, len(e.State.Steps), len(e.State.Plan.Steps))
	}
	if err := e.State.Plan.Check(); err != nil {
		return nil, fmt.Errorf("plan entry: %w: %w", lockstep.ErrCorrupt, err)
	}
	return e, nil
}
