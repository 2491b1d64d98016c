// Package config answers "what does this file say?" for the YAML files people
// write: strictly, and with all mistakes at once.
//
// Every mistake comes with line, column, path, what is wrong and what was
// expected; a misspelt key with the one that was probably meant. What is not
// understood is refused, never ignored, because an ignored key is a setting that
// somebody believes in. The generic half (Parse, Node, Map) serves lockstep.yaml,
// described by Config here, and the mapping of package mapping.
//
// Nothing here looks at the machine: whether a directory exists or a port is free
// is for the part that uses it.
package config

import (
	"maps"
	"path"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Config is what lockstep.yaml says. Every field is set: the file only says what
// differs from Default. Paths are as written; relative ones are relative to the
// working directory of the process.
type Config struct {
	Version     int    // of the file's format: 1
	Data        string // directory that holds store/, state/ and follower/
	Listen      string // host:port of the API; a loopback host unless TokenFile is set
	TokenFile   string // "" for none
	Handler     string // one of Handlers
	Receipts    Receipts
	Mapping     Mapping // set if and only if Handler is HandlerMapping
	Imports     Imports
	Compact     Compact
	Follower    Follower
	Retention   Retention
	Environment string    // which one this is, in the words of releases
	Programs    []Program // further revisions, in the order of the file
	Release     Release
	Guards      Guards
	Checks      Checks
	Rollback    Rollback
	Collections map[lockstep.Collection]Collection // overrides of what the handler says
}

// The handlers that a file may name.
const (
	HandlerReceipts1 = "receipts@1"
	HandlerReceipts2 = "receipts@2"
	HandlerMapping   = "mapping"
)

// Handlers lists the handlers that a file may name.
func Handlers() []string { return []string{HandlerReceipts1, HandlerReceipts2, HandlerMapping} }

// Receipts configures the receipt handlers.
type Receipts struct {
	Labels string // how a word's labels are stored: "array" or "csv"
}

// Mapping says where the mapping handler's description is: in a file of its own
// or inline. Decode Inline with package mapping; its problems carry the places of
// lockstep.yaml.
type Mapping struct {
	File   string
	Inline *Node
}

// Imports says where embeddings to import are looked for.
type Imports struct {
	Directory string // local directory that stands for the bucket
	Bucket    string // name that s3:// locations may carry; "" accepts any
}

// Compact bounds one batch of the compactor.
type Compact struct {
	MaxMessages int
	MaxBytes    int64         // of message bodies
	MaxDelay    time.Duration // the longest a message waits for company
	BaseFactor  float64       // a new base is made when deltas outweigh it by this factor
}

// Follower configures the followers.
type Follower struct {
	Chroma Chroma
}

// Chroma configures the follower that is a ChromaDB directory.
type Chroma struct {
	Directory string        // default: chroma under Data
	Command   []string      // the chroma program, for making an empty directory
	Template  string        // directory to start from instead of asking Command; "" for none
	Every     time.Duration // how often it is brought up to date at most
	Keep      int           // published directories kept, the current one included
	Enabled   string        // "auto" (when Template or Command is there), "on" or "off"
}

// Retention says how long unpinned versions are kept.
type Retention struct {
	Keep time.Duration
}

// Collection overrides what the handler says of one collection.
type Collection struct {
	Dimension int    // components per vector; 0: taken from the first import
	Space     string // "l2", "cosine" or "ip"
}

// Spaces lists the distance functions of Chroma.
func Spaces() []string { return []string{"l2", "cosine", "ip"} }

// FormatVersion is the version of lockstep.yaml that this package reads.
const FormatVersion = 1

// Default returns the configuration of an empty file, which is complete.
func Default() Config {
	const data = "./lockstep-data"
	return Config{
		Version:  FormatVersion,
		Data:     data,
		Listen:   "127.0.0.1:8765",
		Handler:  HandlerReceipts2,
		Receipts: Receipts{Labels: "array"},
		Imports:  Imports{Directory: "./imports"},
		Compact:  Compact{MaxMessages: 2000, MaxBytes: 8 << 20, MaxDelay: 5 * time.Millisecond, BaseFactor: 1},
		Follower: Follower{Chroma: Chroma{
			Directory: chromaUnder(data), Command: []string{"chroma"}, Every: time.Second, Keep: 2, Enabled: "auto",
		}},
		Retention:   Retention{Keep: 7 * 24 * time.Hour},
		Environment: DefaultEnvironment,
		Release:     Release{Watch: time.Second, Budget: 2 * time.Second, ShadowLag: 256},
		Rollback:    Rollback{Data: "auto", Watch: Watch{For: 30 * time.Minute, Every: 10 * time.Second}},
		Collections: map[lockstep.Collection]Collection{},
	}
}

// chromaUnder keeps a leading "./", by which a reader tells a path from a name.
func chromaUnder(data string) string {
	if len(data) > 2 && data[:2] == "./" {
		return "./" + path.Join(data, "chroma")
	}
	return path.Join(data, "chroma")
}

// CollectionNames returns the names in Collections, in order.
func (c Config) CollectionNames() []lockstep.Collection {
	return slices.Sorted(maps.Keys(c.Collections))
}
