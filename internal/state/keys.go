package state

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"lockstep/internal/lockstep"
)

// Keys are one letter for the space, the collection, a zero byte and the id.
const (
	keyMeta   = 'm'
	keyRecord = 'r' // author and canonical record
	keyVector = 'v' // components; absent while the vector is still only in the base
)

func appendKey(dst []byte, space byte, c lockstep.Collection, id string) []byte {
	dst = append(dst, space)
	dst = append(dst, c...)
	dst = append(dst, 0)
	return append(dst, id...)
}

// prefixEnd returns the first key after all keys that begin with prefix.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

func appendRow(dst []byte, a *lockstep.Author, record []byte) []byte {
	dst = binary.AppendUvarint(dst, a.Version)
	dst = binary.AppendUvarint(dst, uint64(len(a.Message)))
	dst = append(dst, a.Message...)
	dst = binary.AppendUvarint(dst, uint64(len(a.Revision)))
	dst = append(dst, a.Revision...)
	return append(dst, record...)
}

// Row is one stored record: who wrote it and its canonical bytes. Its slices are
// valid until the next row is read; Author copies.
type Row struct {
	ID       []byte
	Record   []byte
	version  uint64
	message  []byte
	revision []byte
}

// Author returns who wrote the record.
func (r *Row) Author() lockstep.Author {
	return lockstep.Author{Version: r.version, Message: string(r.message), Revision: string(r.revision)}
}

// AuthorLike is Author, sharing the strings of like where they are the same.
func (r *Row) AuthorLike(like lockstep.Author) lockstep.Author {
	if like.Message != string(r.message) {
		like.Message = string(r.message)
	}
	if like.Revision != string(r.revision) {
		like.Revision = string(r.revision)
	}
	like.Version = r.version
	return like
}

func parseRow(key []byte, idAt int, value []byte) (Row, error) {
	row := Row{ID: key[idAt:]}
	v, n := binary.Uvarint(value)
	if n <= 0 {
		return row, fmt.Errorf("local state: %w: row %q", lockstep.ErrCorrupt, key)
	}
	row.version = v
	value = value[n:]
	for _, part := range []*[]byte{&row.message, &row.revision} {
		l, n := binary.Uvarint(value)
		if n <= 0 || l > uint64(len(value)-n) {
			return row, fmt.Errorf("local state: %w: row %q", lockstep.ErrCorrupt, key)
		}
		*part, value = value[n:n+int(l)], value[n+int(l):]
	}
	row.Record = value
	return row, nil
}
