package blob

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

const (
	// FormatKey is the key of the object that makes a store a store.
	FormatKey = "FORMAT"
	// FormatNumber is the layout this binary reads and writes; see
	// docs/format/store.md.
	FormatNumber   = 1
	maxFormatBytes = 64 << 10
)

// Format describes a store: who it is and what it was found to be capable of.
type Format struct {
	Store   string    `json:"store"`   // identity, a random UUID
	Format  int       `json:"format"`  // layout of the store, FormatNumber
	Created time.Time `json:"created"` // by the clock of who made it; information only
	Verdict Verdict   `json:"verdict"` // of the probe before it was made
}

// Init makes s a store, or finds it made and returns what is there. Before it
// makes one it probes s and refuses, with ErrRefused and the names of the failing
// checks, a backend that breaks the promise of Create. Random takes 32 bytes.
// After an error Init may be called again: at worst the store is made already.
func Init(ctx context.Context, s Store, now time.Time, random io.Reader) (Format, error) {
	found, err := OpenFormat(ctx, s)
	if !errors.Is(err, lockstep.ErrNotFound) {
		return found, err
	}
	var seed [32]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return Format{}, fmt.Errorf("init store: read randomness: %w", err)
	}
	verdict, err := Probe(ctx, s, hex.EncodeToString(seed[16:]))
	if err != nil {
		return Format{}, fmt.Errorf("init store: %w", err)
	}
	if !verdict.Passed {
		return Format{}, refuseBackend(verdict)
	}
	f := Format{Store: uuid([16]byte(seed[:16])), Format: FormatNumber, Created: now.UTC(), Verdict: verdict}
	body, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return Format{}, fmt.Errorf("init store: %w", err)
	}
	// Whatever Create answers, what is there decides: ours, or that of another who
	// was first. Only when nothing is there does the answer matter.
	created := s.Create(ctx, FormatKey, append(body, '\n'))
	found, err = OpenFormat(ctx, s)
	if errors.Is(err, lockstep.ErrNotFound) && created != nil {
		return Format{}, fmt.Errorf("init store: %w", created)
	}
	return found, err
}

// OpenFormat reads what Init made. ErrNotFound: s is not a store yet. ErrRefused:
// it has a format that this binary does not know. ErrCorrupt: it cannot be read.
func OpenFormat(ctx context.Context, s Store) (Format, error) {
	body, err := ReadAll(ctx, s, FormatKey, maxFormatBytes)
	if errors.Is(err, lockstep.ErrNotFound) {
		return Format{}, lockstep.Hint(fmt.Errorf("open store: %w", err), "initialise the store, or check that its location is the right one")
	}
	if err != nil {
		return Format{}, fmt.Errorf("open store: %w", err)
	}
	f, err := DecodeFormat(body)
	if err != nil {
		return Format{}, fmt.Errorf("open store: object %s: %w", FormatKey, err)
	}
	return f, nil
}

// DecodeFormat parses the body of the FORMAT object. The number is looked at
// before anything else: a newer format may differ in all other fields.
func DecodeFormat(body []byte) (Format, error) {
	var number struct {
		Format *int `json:"format"`
	}
	if err := json.Unmarshal(body, &number); err != nil {
		return Format{}, fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	if number.Format == nil {
		return Format{}, fmt.Errorf("%w: it has no field \"format\"", lockstep.ErrCorrupt)
	}
	if *number.Format != FormatNumber {
		return Format{}, lockstep.Hint(
			fmt.Errorf("%w: format %d, this binary knows format %d", lockstep.ErrRefused, *number.Format, FormatNumber),
			"use the release of lockstep that wrote this store, or a newer one")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	var f Format
	if err := dec.Decode(&f); err != nil {
		return Format{}, fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	if f.Store == "" {
		return Format{}, fmt.Errorf("%w: it has no store identity", lockstep.ErrCorrupt)
	}
	return f, nil
}

func refuseBackend(v Verdict) error {
	var b strings.Builder
	for _, c := range v.Checks {
		if !c.Passed {
			fmt.Fprintf(&b, "; %s: %s", c.Name, c.Detail)
		}
	}
	return lockstep.Hint(fmt.Errorf("init store: %w: the backend does not keep create-if-absent%s", lockstep.ErrRefused, b.String()),
		"use a local directory, or an object store that honours If-None-Match, without a caching or rewriting proxy in between")
}

// uuid formats 16 random bytes as a version 4 UUID (RFC 9562, section 5.4).
func uuid(b [16]byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
