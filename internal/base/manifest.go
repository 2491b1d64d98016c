package base

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// Format is the version of the base format that this code writes and reads.
const Format = 1

// Manifest describes one base: docs/format/base.md. It is the object whose
// presence makes the base exist.
type Manifest struct {
	Format    int    `json:"format"`
	MinReader int    `json:"min_reader"` // the lowest Format a program must know to read it
	Version   uint64 `json:"version"`
	Unique    string `json:"unique"`
	Head      Head   `json:"head"`
	// Collections are in order of name, each with at least its digest.
	Collections []Contents `json:"collections"`
}

// Head ties a base to the log entry whose state it is.
type Head struct {
	Hash string    `json:"hash"` // of the entry of the version, 64 lower-case hex digits
	At   time.Time `json:"at"`   // of the entry, UTC; for people
}

// Contents describes one collection of a base.
type Contents struct {
	Name    lockstep.Collection `json:"name"`
	Rows    int64               `json:"rows"`
	Digest  string              `json:"digest"` // BLAKE3-256 of Sum, hex: what the log entry states too
	Sum     []byte              `json:"sum"`    // LtHash state, SumBytes long
	Records []Part              `json:"records"`
	Vectors []Part              `json:"vectors"`
}

// SumBytes is the length of a Contents.Sum.
const SumBytes = 2048

// Part describes one Parquet file of a base.
type Part struct {
	Name  string `json:"name"` // last segment of its key
	Size  int64  `json:"size"` // bytes
	Rows  int64  `json:"rows"`
	Hash  string `json:"hash"` // BLAKE3-256 of the file, 64 lower-case hex digits
	First string `json:"first"`
	Last  string `json:"last"`
}

// Limits of what is read. Objects beyond them are ErrCorrupt before they are read.
const (
	maxManifestBytes = 64 << 20
	maxPartBytes     = 256 << 20
	maxPartRows      = 1 << 20
)

// ID returns the name of the base.
func (m *Manifest) ID() ID { return ID{Version: m.Version, Unique: m.Unique} }

// Bytes returns the size of all parts.
func (m *Manifest) Bytes() int64 {
	var n int64
	for i := range m.Collections {
		for _, parts := range [][]Part{m.Collections[i].Records, m.Collections[i].Vectors} {
			for _, p := range parts {
				n += p.Size
			}
		}
	}
	return n
}

// Collection returns what the base has of one collection, and whether it knows it.
func (m *Manifest) Collection(c lockstep.Collection) (Contents, bool) {
	for _, have := range m.Collections {
		if have.Name == c {
			return have, true
		}
	}
	return Contents{}, false
}

// Keys returns the keys of all objects of the base, the manifest's last: the order
// in which they are created, and the reverse of the order in which to delete them.
func (m *Manifest) Keys() []string {
	var keys []string
	for i := range m.Collections {
		for _, parts := range [][]Part{m.Collections[i].Records, m.Collections[i].Vectors} {
			for _, p := range parts {
				keys = append(keys, m.ID().key(p.Name))
			}
		}
	}
	return append(keys, m.ID().ManifestKey())
}

// EncodeManifest returns the one text of m, or ErrInvalid when m contradicts itself.
func EncodeManifest(m *Manifest) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w manifest of %s: %w", lockstep.ErrInvalid, m.ID(), err)
	}
	return m.text()
}

func (m *Manifest) text() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode manifest of %s: %w", m.ID(), err)
	}
	return out.Bytes(), nil
}

// DecodeManifest reads a manifest. ErrRefused: it needs a newer program.
// ErrCorrupt: it is damaged or contradicts itself. A manifest of this Format must
// be exactly the text that EncodeManifest makes of it; one of a newer format that
// says older programs may read it may have fields which those do not know.
func DecodeManifest(body []byte) (Manifest, error) {
	var m Manifest
	if len(body) > maxManifestBytes {
		return m, fmt.Errorf("manifest: %w: %d bytes, at most %d", lockstep.ErrCorrupt, len(body), maxManifestBytes)
	}
	var probe struct {
		Format    int `json:"format"`
		MinReader int `json:"min_reader"`
	}
	if err := json.Unmarshal(body, &probe); err != nil {
		return m, fmt.Errorf("manifest: %w: %w", lockstep.ErrCorrupt, err)
	}
	if probe.Format < 1 || probe.MinReader < 1 || probe.MinReader > probe.Format {
		return m, fmt.Errorf("manifest: %w: format %d, min_reader %d", lockstep.ErrCorrupt, probe.Format, probe.MinReader)
	}
	if probe.MinReader > Format {
		return m, lockstep.Hint(
			fmt.Errorf("manifest: %w: it needs a reader of format %d, this program reads %d", lockstep.ErrRefused, probe.MinReader, Format),
			"install the lockstep release that wrote it, or a newer one")
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w: %w", lockstep.ErrCorrupt, err)
	}
	err := m.check()
	if err == nil && m.Format == Format {
		// One comparison refuses surplus, repeated and misspelt fields at once.
		if text, encodeErr := m.text(); encodeErr != nil || !bytes.Equal(text, body) {
			err = errors.New("not in the form in which it is written")
		}
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w: %w", lockstep.ErrCorrupt, err)
	}
	return m, nil
}

// check returns what m says that cannot be so. The caller chooses the class.
func (m *Manifest) check() error {
	if m.ID().Check() != nil {
		return fmt.Errorf("names the base %.100q", m.ID())
	}
	if !isHash(m.Head.Hash) || m.Head.At.Location() != time.UTC {
		return fmt.Errorf("head %.100q at %v", m.Head.Hash, m.Head.At)
	}
	for i := range m.Collections {
		c := &m.Collections[i]
		if c.Name.Check() != nil || i > 0 && m.Collections[i-1].Name >= c.Name {
			return fmt.Errorf("collection %.150q: not a name, repeated or out of order", string(c.Name))
		}
		if err := c.check(); err != nil {
			return fmt.Errorf("collection %s: %w", c.Name, err)
		}
	}
	return nil
}

func (c *Contents) check() error {
	if sum := blake3.Sum256(c.Sum); len(c.Sum) != SumBytes || hex.EncodeToString(sum[:]) != c.Digest {
		return fmt.Errorf("digest %.100q is not that of a sum of %d bytes", c.Digest, len(c.Sum))
	}
	records, err := checkParts(c.Name, recordParts, c.Records)
	if err != nil {
		return err
	}
	vectors, err := checkParts(c.Name, vectorParts, c.Vectors)
	if err != nil {
		return err
	}
	if c.Rows != records || vectors > records {
		return fmt.Errorf("%d rows, but parts with %d records and %d vectors", c.Rows, records, vectors)
	}
	return nil
}

// The two sorts of part, as they are named.
const (
	recordParts = "records"
	vectorParts = "vectors"
)

func partName(c lockstep.Collection, sort string, n int) string {
	return fmt.Sprintf("%s.%s-%05d.parquet", c, sort, n)
}

// checkParts returns how many rows the parts have together.
func checkParts(c lockstep.Collection, sort string, parts []Part) (int64, error) {
	var rows int64
	if parts == nil {
		return 0, fmt.Errorf("no list of %s", sort)
	}
	for i, p := range parts {
		switch {
		case p.Name != partName(c, sort, i):
			return 0, fmt.Errorf("part %d of the %s is named %.200q", i, sort, p.Name)
		case p.Size < 1 || p.Size > maxPartBytes || p.Rows < 1 || p.Rows > maxPartRows || !isHash(p.Hash):
			return 0, fmt.Errorf("%s: %d bytes, %d rows, hash %.100q", p.Name, p.Size, p.Rows, p.Hash)
		case p.First == "" || len(p.Last) > lockstep.MaxIDBytes || p.First > p.Last || (p.First == p.Last) != (p.Rows == 1):
			return 0, fmt.Errorf("%s: %d rows from %.100q to %.100q", p.Name, p.Rows, p.First, p.Last)
		case i > 0 && parts[i-1].Last >= p.First:
			return 0, fmt.Errorf("%s begins before the part before it ends", p.Name)
		}
		if rows > math.MaxInt64-p.Rows {
			return 0, fmt.Errorf("%s: too many rows", p.Name)
		}
		rows += p.Rows
	}
	return rows, nil
}

func isHash(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
