package analysis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"lockstep/internal/lockstep"
)

// decodeStrict reads one JSON value and nothing else into v; an unknown field is an
// error, because state from a newer binary must not be half understood.
func decodeStrict(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the value", lockstep.ErrCorrupt)
	}
	return nil
}
