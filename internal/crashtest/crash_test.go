package crashtest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lockstep/internal/adapter/local"
	"lockstep/internal/blob"
	"lockstep/internal/change"
	"lockstep/internal/handler/handlertest"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

var (
	rounds = flag.Int("crash.rounds", 8, "how often the server is killed while it takes changes in")
	seed   = flag.Uint64("crash.seed", 0, "of the moments at which it is killed; 0: by the clock")
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		os.Exit(child(context.Background(), spec))
	}
	if spec := os.Getenv(driverEnv); spec != "" {
		os.Exit(drive(context.Background(), spec))
	}
	code := m.Run()
	if unbuild() != nil && code == 0 {
		code = 1
	}
	os.Exit(code)
}

// index is everything that a store holds at its newest version.
type index struct {
	head  version.Head
	rows  map[lockstep.Collection]map[string][]byte
	items map[string]lockstep.MirrorItem
	// parked are the messages that are set aside, by id, with their reasons.
	parked map[string]string
}

// examine opens what a dead process left below dir, as a new process would, and checks
// all that can be checked without knowing what was sent.
func examine(ctx context.Context, dir, scratch string) (*index, error) {
	blobs, err := local.OpenBlobs(filepath.Join(dir, "store"))
	if err != nil {
		return nil, err
	}
	log := version.NewLog(blobs, ledger.Options{Now: time.Now})
	x := &index{}
	if x.head, err = log.Head(ctx); err != nil {
		return nil, err
	}
	if x.head.Number() > 0 {
		if err := log.Ledger().Verify(ctx, 1, x.head.Number()); err != nil {
			return nil, err
		}
	}
	identity := storeID(ctx, blobs)
	if err := x.readAt(ctx, log, blobs, filepath.Join(scratch, "fresh"), identity); err != nil {
		return nil, fmt.Errorf("a state built anew: %w", err)
	}
	survived := &index{head: x.head}
	if err := survived.readAt(ctx, log, blobs, filepath.Join(dir, "state"), identity); err != nil {
		return nil, fmt.Errorf("the state that survived: %w", err)
	}
	return x, errors.Join(x.same(survived), os.RemoveAll(filepath.Join(scratch, "fresh")))
}

// storeID is the identity of the store, "" for one that a child made.
func storeID(ctx context.Context, s blob.Store) string {
	f, err := blob.OpenFormat(ctx, s)
	if err != nil {
		return ""
	}
	return f.Store
}

// readAt brings the local state in dir to the newest version, which checks its sums, and
// then computes the digests anew from what can be read in it.
func (x *index) readAt(ctx context.Context, log *version.Log, blobs blob.Store, dir, identity string) error {
	st, err := state.Open(dir, identity, state.NewBases(blobs), state.Options{CacheBytes: 1 << 20, MemTableBytes: 4 << 20})
	if err != nil {
		return err
	}
	err = st.MoveTo(ctx, log, x.head.Number())
	if err == nil {
		err = x.read(ctx, st)
	}
	return errors.Join(err, st.Close())
}

func (x *index) read(ctx context.Context, st *state.State) error {
	view, err := st.Read()
	if err != nil {
		return err
	}
	x.rows, x.items, x.parked = map[lockstep.Collection]map[string][]byte{}, map[string]lockstep.MirrorItem{}, map[string]string{}
	for _, c := range view.Collections() {
		x.rows[c] = map[string][]byte{}
		err = errors.Join(err, view.Scan(ctx, c, "", func(row state.Row) error {
			x.rows[c][string(row.ID)] = bytes.Clone(row.Record)
			return x.understand(c, string(row.ID), row.Record)
		}))
	}
	return errors.Join(err, view.Close(), x.digests())
}

func (x *index) understand(c lockstep.Collection, id string, record []byte) error {
	if c != lockstep.Table && c != lockstep.Parked {
		return nil
	}
	rec, err := version.DecodeRecord(id, record)
	if err != nil {
		return err
	}
	if c == lockstep.Parked {
		pk, err := change.ParseParked(rec, change.Schema{})
		x.parked[pk.Message.ID] = pk.Reason
		return err
	}
	x.items[id], err = change.ParseMirror(rec)
	return err
}

// digests compares the digests of the entry with those of the rows.
func (x *index) digests() error {
	if x.head.Entry == nil {
		return nil
	}
	var h version.Hasher
	for _, c := range x.head.Entry.Collections {
		var sum version.Sum
		for id, record := range x.rows[c.Name] {
			h.Add(&sum, id, record)
		}
		if n := len(x.rows[c.Name]); sum.Digest() != c.Digest || int64(n) != c.Records {
			return fmt.Errorf("version %d: %s has %d records with digest %s, its entry says %d with %s",
				x.head.Number(), c.Name, n, version.Short(sum.Digest()), c.Records, version.Short(c.Digest))
		}
	}
	return nil
}

func (x *index) same(y *index) error {
	for c, rows := range x.rows {
		if len(rows) != len(y.rows[c]) {
			return fmt.Errorf("%s: %d records in a state built anew, %d in the one that survived", c, len(rows), len(y.rows[c]))
		}
		for id, want := range rows {
			if !bytes.Equal(want, y.rows[c][id]) {
				return fmt.Errorf("%s %q: a state built anew and the one that survived differ", c, id)
			}
		}
	}
	return nil
}

// has says whether an acknowledged message is accounted for: the mirror holds it or
// something newer of its item, or it is parked.
func (x *index) has(m lockstep.Message) error {
	it, known := x.items[m.Change.Key.RecordID()]
	if !known || it.Seq.Compare(m.Change.Seq) < 0 {
		if _, waits := x.parked[m.ID]; waits {
			return nil
		}
		return fmt.Errorf("message %s of %s, #%s, was acknowledged; the mirror has #%s", m.ID, m.Change.Key, m.Change.Seq, it.Seq)
	}
	if it.Seq == m.Change.Seq && string(change.EncodeItem(it.Image)) != string(change.EncodeItem(m.Change.New)) {
		return fmt.Errorf("message %s of %s, #%s, was acknowledged and the mirror has another image of it", m.ID, m.Change.Key, m.Change.Seq)
	}
	return nil
}

// equals compares the index with the model that was fed with everything once, in order.
func (x *index) equals(m *handlertest.Index) error {
	if len(x.parked) > 0 || len(m.Parked) > 0 {
		return fmt.Errorf("%d messages are parked, %d in the model: %v", len(x.parked), len(m.Parked), x.parked)
	}
	n := 0
	for c, rows := range x.rows {
		if c != lockstep.Malformed {
			n += len(rows)
		}
	}
	for c, records := range m.Records {
		for id, e := range records {
			n--
			if want := version.AppendRecord(nil, &e.Record); !bytes.Equal(want, x.rows[c][id]) {
				return fmt.Errorf("%s %q is not what the messages make of it", c, id)
			}
		}
	}
	for id, it := range m.Items {
		n--
		rec := change.MirrorRecord(it)
		if want := version.AppendRecord(nil, &rec); !bytes.Equal(want, x.rows[lockstep.Table][id]) {
			return fmt.Errorf("item %q is not what the messages make of it", id)
		}
	}
	if n != 0 {
		return fmt.Errorf("there are %+d records more than the messages make", n)
	}
	return nil
}
