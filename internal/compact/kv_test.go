package compact

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// kv is the smallest honest handler: the item (group, key) with attribute v is the
// record group/key of "things", and a removed item has no record. v = "fail" fails.
type kv struct{ failing string }

func (kv) Describe() handler.Description {
	return handler.Description{
		Name: "kv", Version: "1", ReadsFormat: "kv/1", WritesFormat: "kv/1", Code: "test",
		Collections: []handler.CollectionSpec{{Name: "things", Dimension: 2}},
		Entities:    []handler.EntityRule{{Entity: "THING", Partition: "G.*", Sort: "K.*"}},
	}
}

func (kv) Reads(ms []lockstep.Message) handler.Reads {
	var r handler.Reads
	for _, m := range ms {
		r.Records = append(r.Records, handler.RecordRange{Collection: "things", ID: m.Change.Key.Partition + "/" + m.Change.Key.Sort})
	}
	return r
}

var errHandler = errors.New("the handler does not like it")

func (h kv) Plan(_ context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	last := map[string]int{}
	for i, m := range u.Messages {
		last[m.Change.Key.Sort] = i
	}
	var out []lockstep.Mutation
	for i, m := range u.Messages {
		if m.Change.New.Str("v") == "fail" && h.failing != "never" {
			return nil, errHandler
		}
		if last[m.Change.Key.Sort] != i {
			continue
		}
		it, _ := u.View.Item(m.Change.Key)
		id := m.Change.Key.Partition + "/" + m.Change.Key.Sort
		mu := lockstep.Mutation{Collection: "things", Op: lockstep.Delete, Record: lockstep.Record{ID: id}, Cause: i}
		if it.Image != nil {
			v := it.Image.Str("v")
			mu.Op = lockstep.Upsert
			mu.Record.HasDocument, mu.Record.Document = true, v
			mu.Record.Metadata = lockstep.Metadata{{Key: "v", Value: lockstep.String(v)}}
			mu.Vector = []float32{float32(len(v)), 1}
		}
		out = append(out, mu)
	}
	return out, nil
}

type noImports struct{}

func (noImports) Import(context.Context, handler.ImportRef) (handler.Import, error) {
	return handler.Import{}, lockstep.ErrNotFound
}

// set makes the stream record of one change of item (g, k); v == "" removes it.
func set(g, k, v string, seq int) string {
	ev, img := "MODIFY", fmt.Sprintf(`,"NewImage":{"PK":{"S":%q},"SK":{"S":%q},"v":{"S":%q}},"OldImage":{"PK":{"S":%q},"SK":{"S":%q}}`, g, k, v, g, k)
	if v == "" {
		ev, img = "REMOVE", fmt.Sprintf(`,"OldImage":{"PK":{"S":%q},"SK":{"S":%q}}`, g, k)
	}
	return fmt.Sprintf(`{"eventID":"e%d","eventName":%q,"dynamodb":{"Keys":{"PK":{"S":%q},"SK":{"S":%q}},"SequenceNumber":"%d"%s}}`, seq, ev, g, k, seq, img)
}

func inputs(t testing.TB, records ...string) []Input {
	t.Helper()
	var out []Input
	for d, err := range change.Decode(t.Context(), strings.NewReader(strings.Join(records, "\n")), "test", change.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Input{Message: d.Message, Bad: d.Bad})
	}
	return out
}

// rig is one compactor on a store of its own.
type rig struct {
	*Compactor
	t     testing.TB
	store *blob.Mem
	vlog  *version.Log
}

func newRig(t testing.TB, store *blob.Mem, h handler.Handler) *rig {
	t.Helper()
	now := time.Unix(1700000000, 0)
	clock := func() time.Time { return now }
	if store == nil {
		store = &blob.Mem{Now: clock}
	}
	st, err := state.Open(t.TempDir(), "store", nil, state.Options{MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	vlog := version.NewLog(store, ledger.Options{Now: clock})
	c, err := New(vlog, st, Only(handler.NewRevision(h)), noImports{}, Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{c, t, store, vlog}
}

func (r *rig) commit(records ...string) Result {
	r.t.Helper()
	res, err := r.Commit(r.t.Context(), inputs(r.t, records...))
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

// things returns the published records as "id=v" in order.
func (r *rig) things() string {
	r.t.Helper()
	rd, err := r.state.Read()
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = rd.Close() }()
	var out []string
	err = rd.Scan(r.t.Context(), "things", "", func(row state.Row) error {
		rec, err := version.DecodeRecord(string(row.ID), row.Record)
		out = append(out, rec.ID+"="+rec.Document)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.Join(out, " ")
}
