package bench

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
)

// seed of all invented receipts: two runs measure the same index.
const seed = 1

// dimension of the vectors. They are not on the path of any figure but the time to
// load, so they are short.
const dimension = 8

// table is the receipt table whose changes are sent. It keeps the keys and not the
// receipts, so that it does not weigh in the memory of the process that is measured.
type table struct {
	keys []receiptKey
	last []uint64 // by receipt: the stamp of the newest place, 0: as created; one user per receipt
	next atomic.Uint64
}

type receiptKey struct {
	partition, sort string
	run             string // id of the run that embedded it
}

func generator(receipts int) *synth.Generator {
	return synth.New(seed, synth.Options{Receipts: receipts, Dimension: dimension, Labels: -1})
}

// newTable returns the table of the first receipts of the generator. Stamps go up
// with now, so that a later process sends later changes.
func newTable(gen *synth.Generator, receipts int, now time.Time) *table {
	t := &table{keys: make([]receiptKey, receipts), last: make([]uint64, receipts)}
	for i := range t.keys {
		r := gen.Receipt(i)
		t.keys[i] = receiptKey{partition: r.Partition(), sort: r.Sort(), run: r.RunID}
	}
	t.next.Store(uint64(now.UnixNano()))
	return t
}

// created returns the two messages that bring a receipt into being: its place, and
// the run whose embeddings are imported. The table's other items are not sent:
// receipts@2 needs a word's own item only when it is removed.
func (t *table) created(i int) []lockstep.Message {
	k := &t.keys[i]
	run := lockstep.Item{
		"PK": text(k.partition), "SK": text(k.sort + "#COMPACTION_RUN#" + k.run), "TYPE": text("COMPACTION_RUN"), "run_id": text(k.run),
		"lines_delta_prefix": text("lines/delta/" + k.run + "/"), "words_delta_prefix": text("words/delta/" + k.run + "/"),
	}
	return []lockstep.Message{
		t.message(lockstep.Insert, nil, t.place(i, 0)),
		t.message(lockstep.Insert, nil, run),
	}
}

// renamed returns a change of the place of receipt i: five keys of all its records.
// One goroutine at a time may ask about one receipt.
func (t *table) renamed(i int) synth.Event {
	stamp := t.next.Add(1)
	before, after := t.place(i, t.last[i]), t.place(i, stamp)
	t.last[i] = stamp
	return event(stamp, lockstep.Modify, before, after)
}

// labelled returns a change of a label of the first word of receipt i: one record.
func (t *table) labelled(i int) synth.Event {
	stamp := t.next.Add(1)
	k := &t.keys[i]
	return event(stamp, lockstep.Modify, nil, lockstep.Item{
		"PK": text(k.partition), "SK": text(k.sort + "#LINE#00001#WORD#00001#LABEL#TAX"), "TYPE": text("RECEIPT_WORD_LABEL"),
		"reasoning": text("looks like TAX"), "timestamp_added": text("2026-01-05T09:00:00"), "validation_status": text("PENDING"),
		"label_proposed_by": text("model-" + strconv.FormatUint(stamp, 10)),
	})
}

// place is the item that holds the merchant. Two stamps never make the same one.
func (t *table) place(i int, stamp uint64) lockstep.Item {
	k := &t.keys[i]
	names := [...]string{"Quillfern Provisions", "Marrowby Hardware", "Oddlake Bakehouse", "Brindlecote Grocers", "Hushmere Teahouse"}
	categories := [...]string{"grocery", "hardware", "bakery"}
	return lockstep.Item{
		"PK": text(k.partition), "SK": text(k.sort + "#PLACE"), "TYPE": text("RECEIPT_PLACE"),
		"place_id": text(fmt.Sprintf("place-%016x", stamp)), "merchant_name": text(names[stamp%5]), "merchant_category": text(categories[stamp%3]),
		"formatted_address": text(fmt.Sprintf("%d Old Tannery Lane", 1+stamp%200)), "phone_number": text(fmt.Sprintf("555-01%02d", stamp%100)),
		"validation_status": text("MATCHED"), "timestamp": text("2026-01-05T09:00:00"),
	}
}

func (t *table) message(kind lockstep.Event, before, after lockstep.Item) lockstep.Message {
	return event(t.next.Add(1), kind, before, after).Message()
}

func event(stamp uint64, kind lockstep.Event, before, after lockstep.Item) synth.Event {
	return synth.Event{ID: "bench-" + strconv.FormatUint(stamp, 10), Change: lockstep.Change{
		Key: lockstep.ItemKey{Partition: after.Str("PK"), Sort: after.Str("SK")}, Event: kind,
		Seq: lockstep.Sequence(fmt.Sprintf("2%023d", stamp)), Old: before, New: after, At: time.Unix(0, int64(stamp)).UTC(),
	}}
}

func text(s string) lockstep.Attr { return lockstep.Attr{Type: lockstep.AttrS, Text: s} }
