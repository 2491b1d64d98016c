package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// touches returns n changes of mirrored items from all over the table; of a small table,
// every item changes several times. Each says of its item what is true of it already, with a
// sequence number of its own: the index gains nothing by them, and a handler is asked for the
// real records of the real index. Items whose changes ask for no record are left out; none,
// when there are no others.
func touches(ctx context.Context, r *state.Reader, good handler.Handler, n int, name string, at time.Time) ([]compact.Input, error) {
	items, err := asking(ctx, r, good, n)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	schema := good.Describe().Key
	var out []compact.Input
	for i := range min(n, maxRounds*len(items)) {
		m, err := touch(ctx, items[i%len(items)], schema, occasion{fmt.Sprintf("%s/%d", name, i), i / len(items), at})
		if err != nil {
			return nil, err
		}
		out = append(out, compact.Input{Message: m})
	}
	return out, nil
}

// asking returns up to n items, spread over the table, of which a change asks for records.
func asking(ctx context.Context, r *state.Reader, good handler.Handler, n int) ([]lockstep.MirrorItem, error) {
	stride := max(1, r.Tally(lockstep.Table).Records/int64(max(n, 1)))
	var out []lockstep.MirrorItem
	row, due := int64(-1), int64(0)
	err := r.Scan(ctx, lockstep.Table, "", func(raw state.Row) error {
		if row++; row < due || len(out) == n {
			return nil
		}
		rec, err := version.DecodeRecord(string(raw.ID), raw.Record)
		if err != nil {
			return err
		}
		it, err := change.ParseMirror(rec)
		if err != nil || it.Image == nil || len(it.Seq)+roundDigits > change.MaxSequenceDigits {
			return err
		}
		m, err := touch(ctx, it, good.Describe().Key, occasion{"asking", 0, time.Unix(0, 0)})
		if err != nil {
			return err
		}
		m.Change.Entity = it.Entity
		if len(good.Reads([]lockstep.Message{m}).Records) > 0 {
			out = append(out, it)
			due = max(row+1, int64(len(out))*stride)
		}
		return nil
	})
	return out, err
}

// occasion tells one change of an item from another.
type occasion struct {
	id    string
	round int // how often the item was touched before
	at    time.Time
}

// touch is one change, as a decoder of its own stream record reads it. The image before has
// nothing but the key, so that a handler that looks at differences finds everything new.
func touch(ctx context.Context, it lockstep.MirrorItem, schema handler.KeySchema, t occasion) (lockstep.Message, error) {
	seq, err := json.Marshal(string(after(it.Seq, t.round)))
	if err != nil {
		return lockstep.Message{}, err
	}
	name, err := json.Marshal(t.id)
	if err != nil {
		return lockstep.Message{}, err
	}
	keys := change.EncodeItem(keyOf(it, schema))
	body := fmt.Appendf(nil, `{"eventID":%s,"eventName":%q,"dynamodb":{"ApproximateCreationDateTime":%s,"Keys":%s,"SequenceNumber":%s,"OldImage":%s,"NewImage":%s}}`,
		name, lockstep.Modify, strconv.FormatInt(t.at.Unix(), 10), keys, seq, keys, change.EncodeItem(it.Image))
	a := version.Archived{ID: t.id, Source: "drill", Body: body}
	return compact.MessageOf(ctx, &a, schema)
}

// keyOf returns the key attributes of an item.
func keyOf(it lockstep.MirrorItem, schema handler.KeySchema) lockstep.Item {
	if schema.Partition == "" {
		schema.Partition = "PK"
		if schema.Sort == "" {
			schema.Sort = "SK"
		}
	}
	out := lockstep.Item{}
	for _, name := range []string{schema.Partition, schema.Sort} {
		if a, ok := it.Image[name]; ok {
			out[name] = a
		}
	}
	return out
}

// The rounds of touches have three digits behind those of the item's own sequence number.
const (
	roundDigits = 3
	maxRounds   = 900
)

// after is a sequence number behind s, and behind that of an earlier round.
func after(s lockstep.Sequence, round int) lockstep.Sequence {
	return lockstep.Sequence(fmt.Sprintf("%s%0*d", s, roundDigits, round+1))
}
