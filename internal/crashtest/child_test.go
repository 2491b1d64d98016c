package crashtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"lockstep/internal/adapter/local"
	"lockstep/internal/blob"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// childEnv makes this test binary an ingesting process: the spec as JSON.
const childEnv = "LOCKSTEP_CRASHTEST_CHILD"

// spec tells a child what to do and where to die.
type spec struct {
	Dir   string
	From  int    // the first message
	To    int    // the last, exclusive
	Point string // one of points, "" for none
	After bool   // die after the call and not before it
	Nth   int    // at which call, from 1
}

// acks is the file in which a child writes down what it acknowledged, one id per line.
func (s spec) acks() string { return filepath.Join(s.Dir, "acks") }

// survived is the exit status of a child that was to die and did not.
const survived = 7

// child commits messages from s.From to s.To, and builds bases, until it dies.
func child(ctx context.Context, text string) int {
	var s spec
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		err = s.ingest(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if s.Point != "" {
		return survived
	}
	return 0
}

func (s spec) ingest(ctx context.Context) error {
	acks, err := os.OpenFile(s.acks(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	blobs, err := local.OpenBlobs(filepath.Join(s.Dir, "store"))
	if err != nil {
		return err
	}
	k := &killer{spec: s}
	store := &deadly{blobs, k}
	log := version.NewLog(store, ledger.Options{Now: time.Now})
	for part := range slices.Chunk(messages(s.From, s.To), 12) {
		if err := s.session(ctx, log, part, acks, k); err != nil {
			return err
		}
	}
	return acks.Close()
}

// session is one life of a compactor: open, a few commits, a base, close.
func (s spec) session(ctx context.Context, log *version.Log, part []lockstep.Message, acks io.Writer, k *killer) (err error) {
	disk := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(k.disk))
	st, err := state.Open(filepath.Join(s.Dir, "state"), "", state.NewBases(log.Store()), state.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20, FS: disk})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	c, err := compact.New(log, st, compact.Only(handler.NewRevision(notes{})), nil, compact.Options{Now: time.Now})
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(part, 3) {
		inputs := make([]compact.Input, len(batch))
		for i := range batch {
			inputs[i].Message = batch[i]
		}
		if _, err := c.Commit(ctx, inputs); err != nil {
			return err
		}
		k.at("ack", false)
		for _, m := range batch {
			if _, err := fmt.Fprintln(acks, m.ID); err != nil {
				return err
			}
		}
		k.at("ack", true)
	}
	return rebased(ctx, log, st, c)
}

func rebased(ctx context.Context, log *version.Log, st *state.State, c *compact.Compactor) (err error) {
	view, err := st.Read()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	ref, err := compact.BuildBase(ctx, log, view, compact.BaseJob{Unique: fmt.Sprintf("p%d", os.Getpid())})
	if err != nil {
		return err
	}
	return c.AdoptBase(ctx, ref)
}

// killer ends this process at the call that the spec names.
type killer struct {
	spec

	mu    sync.Mutex // guards everything below
	calls int
}

// at is told of every call, before (or after) it happens.
func (k *killer) at(point string, after bool) {
	if point != k.Point || after != k.After {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.calls++; k.calls < k.Nth {
		return
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
	select {} // until it arrives
}

// disk is told of every operation of Pebble before it happens.
func (k *killer) disk(op errorfs.Op) error {
	switch op.Kind { //nolint:exhaustive // the others change nothing
	case errorfs.OpCreate:
		k.at("state create", false)
	case errorfs.OpFileWrite:
		k.at("state write", false)
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		k.at("state sync", false)
	case errorfs.OpRename:
		k.at("state rename", false)
	case errorfs.OpRemove:
		k.at("state remove", false)
	default:
	}
	return nil
}

// deadly is a store between whose calls the process dies.
type deadly struct {
	blob.Store
	k *killer
}

func (d *deadly) Create(ctx context.Context, key string, body []byte) error {
	point := pointOf(key)
	d.k.at(point, false)
	err := d.Store.Create(ctx, key, body)
	d.k.at(point, true)
	return err
}

func (d *deadly) Hint(ctx context.Context, key string, body []byte) error {
	d.k.at("hint", false)
	err := d.Store.Hint(ctx, key, body)
	d.k.at("hint", true)
	return err
}

func (d *deadly) Get(ctx context.Context, key string) (io.ReadCloser, blob.Meta, error) {
	d.k.at("get", false)
	rc, meta, err := d.Store.Get(ctx, key)
	d.k.at("get", true)
	return rc, meta, err
}

// pointOf names the creation of an object by what it is.
func pointOf(key string) string {
	switch {
	case strings.HasPrefix(key, "log/"):
		return "entry"
	case strings.HasPrefix(key, "delta/"):
		return "delta"
	case strings.HasSuffix(key, "/manifest.json"):
		return "manifest"
	case strings.HasPrefix(key, "base/"):
		return "part"
	}
	return "other"
}

// message is the i-th change of a table of 20 notes. Every seventh is so large that the
// delta becomes an object of its own.
func message(i int) lockstep.Message {
	key := lockstep.ItemKey{Partition: fmt.Sprintf("N%d", i%5), Sort: fmt.Sprintf("K%d", i%4)}
	text := fmt.Sprintf("note %d", i)
	if i%7 == 0 {
		rng := rand.New(rand.NewPCG(uint64(i), 0))
		b := make([]byte, 100<<10)
		for j := range b {
			b[j] = byte('!' + rng.IntN(90))
		}
		text += string(b)
	}
	image := lockstep.Item{
		"PK": {Type: lockstep.AttrS, Text: key.Partition}, "SK": {Type: lockstep.AttrS, Text: key.Sort},
		"text": {Type: lockstep.AttrS, Text: text},
	}
	c := lockstep.Change{Key: key, Event: lockstep.Modify, Seq: lockstep.Sequence(fmt.Sprint(1 + i)), New: image}
	if i >= 20 && i%11 == 0 {
		c.Event, c.New, c.Old = lockstep.Remove, nil, image
	}
	return lockstep.Message{ID: fmt.Sprintf("m%d", i), Group: key.Partition, Source: "crashtest", Change: c, Body: body(c, i)}
}

func messages(from, to int) []lockstep.Message {
	out := make([]lockstep.Message, 0, to-from)
	for i := from; i < to; i++ {
		out = append(out, message(i))
	}
	return out
}
