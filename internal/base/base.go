// Package base answers: how is the whole index at one version kept so that a
// reader need not replay its history, and so that people can look at it with
// tools that know nothing of Lockstep?
//
// A base is a set of Parquet files in the object store, records and vectors
// apart, and a manifest that is created last: without it there is no base, only
// orphans that retention removes. A base is a cache of a version and decides
// nothing (TRAPS T15): any number may exist of one version, and losing one costs
// time, never data.
//
// The package promises that every byte it hands out had the hash its manifest
// states, that records come in order of id, that its memory depends on the size
// of a part and not of the index, and that anything else is ErrCorrupt with the
// name of the object. It computes no digest of records: who publishes a base
// reads it back first, with Verify and by summing what Rows yields (TRAPS T32).
package base

import (
	"fmt"
	"strconv"
	"strings"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// Prefix begins the keys of all objects of all bases.
const Prefix = "base/"

const manifestName = "manifest.json"

// ID names one base: the version it is an image of, and a suffix that tells it
// from other bases of that version. Unique is 1 to 64 of a-z, 0-9 and dash.
type ID struct {
	Version uint64
	Unique  string
}

const maxUniqueBytes = 64

// Check returns ErrInvalid unless id can name a base.
func (id ID) Check() error {
	if id.Version == 0 {
		return fmt.Errorf("%w base: version 0 is the empty index and has no base", lockstep.ErrInvalid)
	}
	if id.Unique == "" || len(id.Unique) > maxUniqueBytes {
		return fmt.Errorf("%w base: suffix %.80q, want 1 to %d of a-z 0-9 -", lockstep.ErrInvalid, id.Unique, maxUniqueBytes)
	}
	for i := range len(id.Unique) {
		if c := id.Unique[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return fmt.Errorf("%w base: suffix %q: byte %q", lockstep.ErrInvalid, id.Unique, c)
		}
	}
	return nil
}

// String returns the prefix of the base's keys without the slash at its end.
func (id ID) String() string { return versionPrefix(id.Version) + id.Unique }

// ManifestKey returns the key of the object that makes the base exist.
func (id ID) ManifestKey() string { return id.key(manifestName) }

func (id ID) key(name string) string { return id.String() + "/" + name }

func versionPrefix(version uint64) string { return fmt.Sprintf("%s%020d/", Prefix, version) }

// ParseKey says which base an object belongs to, and its name there. ok is false
// for a key that no base has.
func ParseKey(key string) (id ID, name string, ok bool) {
	rest, found := strings.CutPrefix(key, Prefix)
	parts := strings.Split(rest, "/")
	if !found || len(parts) != 3 || len(parts[0]) != 20 || parts[2] == "" {
		return ID{}, "", false
	}
	n, err := strconv.ParseUint(parts[0], 10, 64)
	id = ID{Version: n, Unique: parts[1]}
	if err != nil || id.Check() != nil || blob.CheckKey(key) != nil {
		return ID{}, "", false
	}
	return id, parts[2], true
}

// Row is one record of a base, its vector by reference, and who wrote it last.
type Row struct {
	Collection lockstep.Collection
	Record     lockstep.Record
	Author     lockstep.Author
}

// VectorRow is the vector of one record.
type VectorRow struct {
	ID     string
	Vector []float32
}
