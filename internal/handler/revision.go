package handler

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/zeebo/blake3"
)

// Revision is an immutable build of a handler with its configuration. Two
// revisions are the same exactly when their hashes are: a name is what somebody
// typed, the hash is what runs (TRAPS T23).
type Revision struct {
	Name    string
	Version string
	Hash    string // 64 hex digits: BLAKE3-256 over everything Describe says
	Handler Handler
}

// revisionDomain separates revision hashes from all other uses of BLAKE3 here.
const revisionDomain = "lockstep/revision/1"

// Digits of the hash that people and ledgers see.
const (
	shortHash = 8
	idHash    = 12
)

// NewRevision identifies h by what it says about itself. It does not judge the
// description; NewRegistry and Description.Check do.
func NewRevision(h Handler) Revision {
	d := h.Describe()
	return Revision{Name: d.Name, Version: d.Version, Hash: d.hash(), Handler: h}
}

// Label is how people name the revision: "receipts@2".
func (r Revision) Label() string { return r.Name + "@" + r.Version }

// String is the label with the beginning of the hash: "receipts@2 (3fa9c1d2)".
func (r Revision) String() string { return r.Label() + " (" + head(r.Hash, shortHash) + ")" }

// ID is how ledgers name the revision: "receipts@2+3fa9c1d2e4f5".
func (r Revision) ID() string { return r.Label() + "+" + head(r.Hash, idHash) }

func head(s string, n int) string { return s[:min(n, len(s))] }

// hash covers every field, each with its length, lists with their count, so that
// no two different descriptions are the same bytes.
func (d Description) hash() string {
	var b []byte
	text := func(s string) {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	number := func(n int) { b = binary.LittleEndian.AppendUint64(b, uint64(n)) }
	for _, s := range []string{revisionDomain, d.Name, d.Version, d.ReadsFormat, d.WritesFormat, d.Code, string(d.Config)} {
		text(s)
	}
	number(len(d.Collections))
	for _, c := range d.Collections {
		text(string(c.Name))
		number(c.Dimension)
		text(c.Space)
	}
	number(len(d.Entities))
	for _, e := range d.Entities {
		text(e.Entity)
		text(e.Partition)
		text(e.Sort)
	}
	text(d.Key.Partition)
	text(d.Key.Sort)
	sum := blake3.Sum256(b)
	return hex.EncodeToString(sum[:])
}
