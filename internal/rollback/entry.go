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

// maxEntry bounds an entry. What a plan, its looks and its targets may fill is bounded so
// that it is never reached: an entry that cannot be written would end the journal.
const maxEntry = 16 << 20

// Entry is one entry of the ledger of a plan: what happened, and the complete state after
// it. The format is docs/format/plan.md.
type Entry struct {
	Format    int    `json:"format"`
	MinReader int    `json:"min_reader"`
	Number    uint64 `json:"number"`
	What      string `json:"what"`           // why the entry is there: "planned", "step index done"
	Actor     string `json:"actor"`          // who wrote it
	State     State  `json:"state"`          // complete
	Step      string `json:"step,omitempty"` // that it is about
}

// Encode returns the body of the entry. Text that is no UTF-8 is written as what reads back.
// lockstep.ErrInvalid: it cannot be encoded.
func (e *Entry) Encode() ([]byte, error) {
	body, err := e.encode()
	if err != nil || !bytes.Contains(body, []byte(`\ufffd`)) {
		return body, err
	}
	// The encoder writes what is no UTF-8 in another way than the character that it reads
	// back as; a second pass settles it.
	var again Entry
	if err := json.Unmarshal(body, &again); err != nil {
		return nil, fmt.Errorf("encode entry %d of plan %s: %w: %w", e.Number, e.State.Plan.ID, lockstep.ErrInvalid, err)
	}
	return again.encode()
}

func (e *Entry) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode entry %d of plan %s: %w: %w", e.Number, e.State.Plan.ID, lockstep.ErrInvalid, err)
	}
	return b.Bytes(), nil
}

// DecodeEntry reads a body. It refuses unknown fields and newer formats
// (lockstep.ErrRefused): an older program must not act on what it does not understand.
// What it accepts encodes to the same bytes; all else is lockstep.ErrCorrupt.
func DecodeEntry(body []byte) (*Entry, error) {
	if len(body) > maxEntry {
		return nil, corrupt("%d bytes, at most %d", len(body), maxEntry)
	}
	var probe struct {
		MinReader int `json:"min_reader"`
	}
	if err := json.Unmarshal(body, &probe); err != nil {
		return nil, corrupt("%w", err)
	}
	if probe.MinReader > Format {
		return nil, lockstep.Hint(fmt.Errorf("plan entry: %w: it needs a reader of format %d, this program reads %d", lockstep.ErrRefused, probe.MinReader, Format),
			"install the lockstep release that wrote it, or a newer one")
	}
	e := &Entry{}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(e); err != nil {
		return nil, corrupt("%w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, corrupt("surplus bytes")
	}
	if e.Format < 1 || e.MinReader < 1 || e.Number == 0 || e.What == "" {
		return nil, corrupt("format %d, least reader %d, number %d, %q", e.Format, e.MinReader, e.Number, e.What)
	}
	if err := e.State.check(); err != nil {
		return nil, corrupt("entry %d: %w", e.Number, err)
	}
	if again, err := e.Encode(); err != nil || !bytes.Equal(again, body) {
		return nil, corrupt("entry %d is not written as it would be", e.Number)
	}
	return e, nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("plan entry: %w: "+format, append([]any{lockstep.ErrCorrupt}, args...)...)
}

// check finds states that no walk leads to. It is no proof of the opposite.
func (s *State) check() error {
	if err := s.Plan.Check(); err != nil {
		return err
	}
	if len(s.Steps) != len(s.Plan.Steps) {
		return fmt.Errorf("%w: %d states of %d steps", lockstep.ErrInvalid, len(s.Steps), len(s.Plan.Steps))
	}
	doing := 0
	for i := range s.Steps {
		x, id := &s.Steps[i], s.Plan.Steps[i].ID
		switch x.Progress {
		case Waiting, Blocked, Done, Failed, Third, Skipped:
		case Doing:
			doing++
		default:
			return fmt.Errorf("step %s: %w progress %.80q", id, lockstep.ErrInvalid, x.Progress)
		}
		if x.Tries < 0 || x.Progress == Doing && (x.Tries == 0 || x.Began.IsZero()) {
			return fmt.Errorf("step %s: %w: it is %s, begun %d times", id, lockstep.ErrInvalid, x.Progress, x.Tries)
		}
		if len(x.Kept) > MaxKept {
			return fmt.Errorf("step %s: %w: it keeps %d bytes, at most %d", id, lockstep.ErrInvalid, len(x.Kept), MaxKept)
		}
	}
	if doing > 1 {
		return fmt.Errorf("%w: %d steps are being done at once", lockstep.ErrInvalid, doing)
	}
	return nil
}
