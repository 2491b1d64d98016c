package change

import "lockstep/internal/lockstep"

// Limits bound what Decode and DecodeItem accept. A zero field means the default,
// a field above its ceiling means the ceiling.
type Limits struct {
	RecordBytes  int // bytes of one stream record, as received and as kept
	EventRecords int // records of one event or one array
	Depth        int // nesting of attribute values; an attribute of an item has depth 1
	LineBytes    int // bytes of one line, or of one document that spans several lines
}

// The defaults and ceilings of Limits, and the limits that no option changes.
const (
	// DefaultRecordBytes is twice the largest item of DynamoDB (400 KiB) and room for
	// its envelope.
	DefaultRecordBytes  = 1 << 20
	DefaultEventRecords = 10_000
	// DefaultDepth is above the 32 levels that DynamoDB itself allows.
	DefaultDepth = 40
	// DefaultLineBytes holds the largest event that Lambda hands over (6 MB) several times.
	DefaultLineBytes = 32 << 20

	// MaxRecordBytes leaves room for an image to become the document of a record.
	MaxRecordBytes = lockstep.MaxDocumentBytes / 2
	// MaxDepth bounds recursion.
	MaxDepth = 256

	// MaxEventIDBytes bounds the event id of a record, which becomes Message.ID.
	MaxEventIDBytes = 128
	// MaxPartitionBytes bounds the partition key, with "%" and "|" escaped, so that
	// the id of a parked message fits into a record id.
	MaxPartitionBytes = lockstep.MaxIDBytes - arrivalDigits - 2 - MaxEventIDBytes
	// MaxKeyBytes bounds ItemKey.RecordID, under which the item is mirrored.
	MaxKeyBytes = lockstep.MaxIDBytes
	// MaxSequenceDigits bounds a sequence number; DynamoDB uses 21 to 40 digits.
	MaxSequenceDigits = 64
	// MaxMalformedBytes is what Malformed.Body keeps of the input.
	MaxMalformedBytes = 1 << 20
	// MaxReasonBytes is what a reason keeps of its text.
	MaxReasonBytes = 4 << 10
)

// DefaultLimits returns the limits that the documentation states (docs/limits.md).
func DefaultLimits() Limits { return Limits{}.resolved() }

// stored is for what Lockstep wrote itself: limits that were tightened later must
// not make it unreadable.
func stored() Limits {
	return Limits{RecordBytes: MaxRecordBytes, Depth: MaxDepth}.resolved()
}

func (l Limits) resolved() Limits {
	pick := func(v, fallback, ceiling int) int {
		if v <= 0 {
			return fallback
		}
		return min(v, ceiling)
	}
	const unbounded = int(^uint(0) >> 1)
	return Limits{
		RecordBytes:  pick(l.RecordBytes, DefaultRecordBytes, MaxRecordBytes),
		EventRecords: pick(l.EventRecords, DefaultEventRecords, unbounded),
		Depth:        pick(l.Depth, DefaultDepth, MaxDepth),
		LineBytes:    pick(l.LineBytes, DefaultLineBytes, unbounded),
	}
}
