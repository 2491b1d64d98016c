package lockstep

import (
	"maps"
	"slices"
	"strings"
)

// AttrType is the type of a DynamoDB attribute value, by its wire name.
type AttrType string

// All attribute types of DynamoDB.
const (
	AttrS    AttrType = "S"
	AttrN    AttrType = "N"
	AttrB    AttrType = "B"
	AttrBool AttrType = "BOOL"
	AttrNull AttrType = "NULL"
	AttrM    AttrType = "M"
	AttrL    AttrType = "L"
	AttrSS   AttrType = "SS"
	AttrNS   AttrType = "NS"
	AttrBS   AttrType = "BS"
)

// Attr is one typed attribute value of a table item.
type Attr struct {
	Map   Item     // M
	Type  AttrType // which of the other fields holds the value
	Text  string   // S; N as the decimal text that was sent; B as raw bytes
	List  []Attr   // L
	Set   []string // SS, NS, and BS as raw bytes, sorted
	Truth bool     // BOOL
}

// Item is one table item, or one image of it: attribute name to value.
type Item map[string]Attr

// Names returns the attribute names in order.
func (it Item) Names() []string { return slices.Sorted(maps.Keys(it)) }

// Str returns the text of a string attribute, and "" when it is absent, NULL or
// of another type.
func (it Item) Str(name string) string {
	if a, ok := it[name]; ok && a.Type == AttrS {
		return a.Text
	}
	return ""
}

// ItemKey is the primary key of a table item: the partition key and, where the
// table has one, the sort key, each as text.
type ItemKey struct {
	Partition string
	Sort      string
}

// itemKeySep separates the two halves of a mirrored item's record id. DynamoDB
// keys may hold any character, so the partition key is escaped.
const itemKeySep = "|"

var (
	keyEscaper   = strings.NewReplacer("%", "%25", itemKeySep, "%7C")
	keyUnescaper = strings.NewReplacer("%25", "%", "%7C", itemKeySep)
)

// RecordID returns the id under which the item is mirrored in the Table
// collection: items of one partition are adjacent, ordered by sort key.
func (k ItemKey) RecordID() string {
	return keyEscaper.Replace(k.Partition) + itemKeySep + k.Sort
}

// ParseItemKey is the reverse of RecordID. ok is false when id has no separator.
func ParseItemKey(id string) (k ItemKey, ok bool) {
	p, s, ok := strings.Cut(id, itemKeySep)
	return ItemKey{keyUnescaper.Replace(p), s}, ok
}

// Sequence is a stream sequence number: decimal digits, compared as an integer
// of any size. "" is before every other.
type Sequence string

// Compare returns -1, 0 or +1. Leading zeros do not count.
func (s Sequence) Compare(t Sequence) int {
	a, b := strings.TrimLeft(string(s), "0"), strings.TrimLeft(string(t), "0")
	if len(a) != len(b) {
		if len(a) < len(b) {
			return -1
		}
		return 1
	}
	if a == b && (s == "") != (t == "") { // "0" is after ""
		if s == "" {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

// Valid says whether s is one or more decimal digits.
func (s Sequence) Valid() bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// MirrorItem is one item of the table as the mirror knows it. A removed item
// stays as a tombstone, so that a late old change cannot resurrect it.
type MirrorItem struct {
	ID      string // Key.RecordID(), kept so that lookups need not build it
	Key     ItemKey
	Entity  string   // what classification called it
	Image   Item     // nil for a tombstone
	Seq     Sequence // of the last change applied
	Removed Sequence // of the latest removal ever seen, even when a newer insert was seen before it
	// First is the smallest sequence number of an Insert ever seen of this item, ""
	// when none was: a register that only falls, as Seq and Removed only rise, so that
	// any order of arrival ends in the same item. Only an Insert lowers it (or sets it).
	// An Insert that is stale for the image and lowers First has an effect all the same:
	// it is kept and goes on to the handler, as a late removal does for Removed, because
	// what an item announces once, such as an import, must take place also when a newer
	// change of the item overtook the announcement. One that does not lower it is a
	// duplicate or stale as before. Change.Merge keeps it; the mirror record has it under
	// the metadata key "first", absent when "".
	First Sequence
}
