package version

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// Kind says why a version exists.
type Kind string

// The kinds of version.
const (
	Compact Kind = "compact" // changes were handled
	Import  Kind = "import"  // reserved for a bulk import without messages
	Reset   Kind = "reset"   // the state of an earlier version again
	Revert  Kind = "revert"  // the writes of one revision undone and derived anew
	Rebuild Kind = "rebuild" // every record derived anew from the mirror
	Fence   Kind = "fence"   // changes nothing; what was planned before it loses
	BaseSet Kind = "base"    // changes nothing; names a new base of this state
)

// Format is the version of the entry format that this code writes and reads.
const Format = 1

// Entry is the meaning of one ledger entry: one version of the whole index.
type Entry struct {
	Format    int    `json:"format"`
	MinReader int    `json:"min_reader"`
	Number    uint64 `json:"version"`
	Kind      Kind   `json:"kind"`
	// Parent is the version whose state this one starts from; 0 is the empty index.
	Parent uint64 `json:"parent"`
	// Base is the newest base known on this state's line, absent before the first.
	Base  *BaseRef  `json:"base,omitempty"`
	Delta *DeltaRef `json:"delta,omitempty"`

	Collections []CollectionState        `json:"collections"`
	Outcomes    map[lockstep.Outcome]int `json:"outcomes,omitempty"`
	Revisions   map[string]int           `json:"revisions,omitempty"` // mutations decided by each, 0 included
	Backlog     []Span                   `json:"backlog,omitempty"`
	Discarded   []Span                   `json:"discarded,omitempty"` // by this entry
	Fenced      []Fenced                 `json:"fenced,omitempty"`
	Trial       *Trial                   `json:"trial,omitempty"`
	Reverts     *Reverted                `json:"reverts,omitempty"` // of a revert
	Cause       Cause                    `json:"cause"`
	At          time.Time                `json:"at"` // for people; nothing is decided by it
	SinceBase   int64                    `json:"since_base"`
	Chain       int                      `json:"chain"` // deltas since the base
}

// BaseRef names one base.
type BaseRef struct {
	Version uint64 `json:"version"`
	Unique  string `json:"unique"`
	Bytes   int64  `json:"bytes"`
}

// DeltaRef says where the delta of an entry is.
type DeltaRef struct {
	Key       string `json:"key,omitempty"` // "" when inline: behind the header, in the entry itself
	Size      int64  `json:"size"`
	Hash      string `json:"hash"` // BLAKE3-256, hex
	Messages  int    `json:"messages"`
	Mutations int    `json:"mutations"`
}

// CollectionState describes one collection as of a version.
type CollectionState struct {
	Name      lockstep.Collection `json:"name"`
	Dimension int                 `json:"dimension,omitempty"`
	Space     string              `json:"space,omitempty"`
	Records   int64               `json:"records"`
	Digest    string              `json:"digest"`
}

// SpanMode says what shall happen to the messages of a span.
type SpanMode string

// The modes: replayed by the next compactor, or kept until a person says so.
const (
	Replay SpanMode = "replay"
	Hold   SpanMode = "hold"
)

// Span names the messages of the versions on the state line from From (exclusive)
// to To (inclusive). Next is the first message of version From+1 not yet replayed.
type Span struct {
	From uint64   `json:"from"`
	To   uint64   `json:"to"`
	Done int      `json:"done,omitempty"` // messages of the span already replayed
	Mode SpanMode `json:"mode,omitempty"`
}

// Reverted says what a revert took back: all that one revision decided, all of one
// version, or one message. Exactly one of the first three is set.
type Reverted struct {
	Revision string `json:"revision,omitempty"`
	Version  uint64 `json:"version,omitempty"`
	Message  string `json:"message,omitempty"`
	// Since is the oldest version whose effect was taken away, and Through the newest that
	// the revert knew.
	Since   uint64 `json:"since"`
	Through uint64 `json:"through"`
	// By is the revision that handled the messages again.
	By string `json:"by"`
}

// Cause says who or what asked for a version.
type Cause struct {
	Command string `json:"command,omitempty"`
	Actor   string `json:"actor,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Target  uint64 `json:"target,omitempty"` // the version a reset returns to
}

// Digests returns the digest of every collection.
func (e *Entry) Digests() map[lockstep.Collection]string {
	out := make(map[lockstep.Collection]string, len(e.Collections))
	for _, c := range e.Collections {
		out[c.Name] = c.Digest
	}
	return out
}

// Collection returns what the entry says about one collection, and whether the
// index has it.
func (e *Entry) Collection(name lockstep.Collection) (CollectionState, bool) {
	for _, c := range e.Collections {
		if c.Name == name {
			return c, true
		}
	}
	return CollectionState{Name: name}, false
}

// IndexDigest is one hash over the published collections and the mirror: what
// people compare. Parked and malformed messages are not part of it, since two
// histories may differ in what went wrong and still agree on the index.
func IndexDigest(digests map[lockstep.Collection]string) string {
	h := blake3.New()
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		if name == lockstep.Parked || name == lockstep.Malformed || digests[name] == EmptyDigest() {
			continue
		}
		fmt.Fprintf(h, "%s=%s\n", name, digests[name])
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// EmptyDigest is the digest of a collection without records.
func EmptyDigest() string {
	var s Sum
	return s.Digest()
}

// EncodeEntry returns the ledger body of e with its inline delta, which may be nil.
func EncodeEntry(e *Entry, inline []byte) ([]byte, error) {
	var head bytes.Buffer
	enc := json.NewEncoder(&head)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode version %d: %w", e.Number, err)
	}
	out := binary.AppendUvarint(make([]byte, 0, head.Len()+len(inline)+4), uint64(head.Len()))
	out = append(out, head.Bytes()...)
	return append(out, inline...), nil
}

// DecodeEntry reads a ledger body. It refuses unknown fields and newer formats:
// an older program must not act on what it does not understand (TRAPS T30).
func DecodeEntry(body []byte) (*Entry, []byte, error) {
	n, k := binary.Uvarint(body)
	if k <= 0 || n > uint64(len(body)-k) {
		return nil, nil, fmt.Errorf("version entry: %w: header cut short", lockstep.ErrCorrupt)
	}
	head, inline := body[k:k+int(n)], body[k+int(n):]
	var probe struct {
		MinReader int `json:"min_reader"`
	}
	if err := json.Unmarshal(head, &probe); err != nil {
		return nil, nil, fmt.Errorf("version entry: %w: %w", lockstep.ErrCorrupt, err)
	}
	if probe.MinReader > Format {
		return nil, nil, lockstep.Hint(
			fmt.Errorf("version entry: %w: it needs a reader of format %d, this program reads %d", lockstep.ErrRefused, probe.MinReader, Format),
			"install the lockstep release that wrote it, or a newer one")
	}
	e := &Entry{}
	dec := json.NewDecoder(bytes.NewReader(head))
	dec.DisallowUnknownFields()
	if err := dec.Decode(e); err != nil {
		return nil, nil, fmt.Errorf("version entry: %w: %w", lockstep.ErrCorrupt, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, nil, fmt.Errorf("version entry: %w: surplus bytes in the header", lockstep.ErrCorrupt)
	}
	return e, inline, e.check(inline)
}

func (e *Entry) check(inline []byte) error {
	switch {
	case e.Format < 1 || e.Number == 0:
		return fmt.Errorf("version entry: %w: format %d, number %d", lockstep.ErrCorrupt, e.Format, e.Number)
	case e.Parent >= e.Number:
		return fmt.Errorf("version %d: %w: its parent is %d", e.Number, lockstep.ErrCorrupt, e.Parent)
	case e.Base != nil && e.Base.Version >= e.Number:
		return fmt.Errorf("version %d: %w: its base is of version %d", e.Number, lockstep.ErrCorrupt, e.Base.Version)
	case (e.Delta == nil || e.Delta.Key != "") && len(inline) > 0:
		return fmt.Errorf("version %d: %w: bytes behind the header that no delta names", e.Number, lockstep.ErrCorrupt)
	case e.Delta != nil && e.Delta.Key != "" && e.Delta.Key != DeltaKey(e.Delta.Hash):
		return fmt.Errorf("version %d: %w: its delta %s is not named by its hash", e.Number, lockstep.ErrCorrupt, e.Delta.Key)
	case e.Delta != nil && e.Delta.Key == "" && (int64(len(inline)) != e.Delta.Size || HashOf(inline) != e.Delta.Hash):
		return fmt.Errorf("version %d: %w: the inline delta is not the one its hash names", e.Number, lockstep.ErrCorrupt)
	}
	return nil
}

// HashOf returns the BLAKE3-256 of b in hex: the name of a delta object.
func HashOf(b []byte) string {
	h := blake3.Sum256(b)
	return fmt.Sprintf("%x", h)
}

// DeltaKey returns the object key of a delta with that hash.
func DeltaKey(hash string) string { return "delta/" + hash }

// Short abbreviates a digest or hash for people.
func Short(hash string) string { return strings.ToLower(hash[:min(12, len(hash))]) }
