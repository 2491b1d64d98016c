// Package handler is the contract between Lockstep and the code that turns
// changes into mutations.
//
// A handler is a pure function: it sees messages and the records, items and
// imports it asked for, and answers with mutations. It does no I/O and has no
// clock: the unit carries Now. That is what makes shadowing, replay, blame and
// proof possible. Suite in handlertest checks it.
package handler

import (
	"context"
	"time"

	"lockstep/internal/lockstep"
)

// Handler derives the index from the table.
type Handler interface {
	// Describe says what the handler is. It answers the same for the life of the value.
	Describe() Description
	// Reads says what Plan will need for these messages, which all have one Group.
	// It must not fail and must not depend on anything but its argument.
	Reads(messages []lockstep.Message) Reads
	// Plan answers with the mutations the unit causes, of no other records than Reads asked
	// for: see CheckMutations. An error parks the unit's
	// messages; nothing of it is applied. Plan must not keep or change the unit.
	Plan(ctx context.Context, unit Unit) ([]lockstep.Mutation, error)
}

// Description is a handler's account of itself.
type Description struct {
	Name         string // "receipts"
	Version      string // "2"; Name@Version is how people speak of the revision
	ReadsFormat  string // record schema it can work on, for example "receipts/1"
	WritesFormat string // record schema it leaves behind
	Code         string // hash of the code, hex; part of the revision's identity
	Config       []byte // canonical configuration; part of the revision's identity
	Collections  []CollectionSpec
	Entities     []EntityRule // first match wins; no match is "ignored by rule"
	Key          KeySchema
}

// CollectionSpec is one collection a handler publishes.
type CollectionSpec struct {
	Name      lockstep.Collection
	Dimension int    // components per vector; 0: taken from the first import
	Space     string // "l2" (default), "cosine" or "ip"
}

// KeySchema names the table's key attributes. The zero value means PK and SK.
type KeySchema struct {
	Partition string
	Sort      string // may be "" with Partition set: a table without a sort key
}

// EntityRule classifies an item by its key.
type EntityRule struct {
	Entity    string // what the item is; "" ignores it
	Partition string // regular expression over the whole partition key
	Sort      string // regular expression over the whole sort key
}

// Reads is what a unit needs to see.
type Reads struct {
	Records []RecordRange
	Items   []ItemRange
	Imports []ImportRef
}

// RecordRange asks for one record, or for all whose id begins with ID.
type RecordRange struct {
	Collection lockstep.Collection
	ID         string
	Prefix     bool
}

// ItemRange asks for the mirrored items of one partition whose sort key begins
// with SortPrefix, tombstones included, as they are after the unit's messages.
type ItemRange struct {
	Partition  string
	SortPrefix string
}

// ImportRef names embeddings to import: an object of the configured source.
type ImportRef struct {
	Collection lockstep.Collection
	Location   string // key or prefix, as the change named it
	Message    int    // index of the message that asks for it
}

// Embedding is one imported vector with its document and its embed-time metadata.
type Embedding struct {
	ID          string
	Document    string
	Metadata    lockstep.Metadata
	Vector      []float32
	HasDocument bool
}

// Import is what was found at an ImportRef.
type Import struct {
	Ref        ImportRef
	Embeddings []Embedding // sorted by id, each id once
}

// Unit is the smallest amount of work: all messages of one Group in a batch, in
// order of arrival, with everything Reads asked for.
type Unit struct {
	Messages []lockstep.Message
	View     View
	Now      time.Time
}
