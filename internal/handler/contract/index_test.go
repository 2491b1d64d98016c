package contract

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// echo keeps one record per item, with the item's text; "fail" makes it fail. The
// functions, where set, break it.
type echo struct {
	describe func() handler.Description
	plan     func(ctx context.Context, u handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error)
	reads    func([]lockstep.Message, handler.Reads) handler.Reads
}

func (e echo) Describe() handler.Description {
	if e.describe != nil {
		return e.describe()
	}
	return handler.Description{
		Name: "echo", Version: "1", Code: "00",
		Collections: []handler.CollectionSpec{{Name: "texts"}},
		Entities:    []handler.EntityRule{{Entity: "", Partition: "p.*", Sort: "ignored.*"}, {Entity: "TEXT", Partition: "p.*", Sort: ".*"}},
	}
}

func (e echo) Reads(ms []lockstep.Message) handler.Reads {
	var r handler.Reads
	for _, m := range ms {
		if m.Change.Entity == "TEXT" {
			r.Records = append(r.Records, handler.RecordRange{Collection: "texts", ID: m.Change.Key.RecordID()})
			r.Items = append(r.Items, handler.ItemRange{Partition: m.Change.Key.Partition, SortPrefix: m.Change.Key.Sort})
		}
	}
	if e.reads != nil {
		return e.reads(ms, r)
	}
	return r
}

func (e echo) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out []lockstep.Mutation
	for _, it := range u.View.Items {
		m := lockstep.Mutation{Collection: "texts", Op: lockstep.Delete, Record: lockstep.Record{ID: it.ID}, Cause: len(u.Messages) - 1}
		if it.Image != nil {
			text := it.Image.Str("text")
			if text == "fail" {
				return nil, errors.New("told to fail")
			}
			m.Op, m.Record.Document, m.Record.HasDocument = lockstep.Upsert, text, true
			m.Vector = []float32{float32(len(text)), 1}
		}
		out = append(out, m)
	}
	if e.plan != nil {
		return e.plan(ctx, u, out)
	}
	return out, nil
}

func told(partition, sort string, seq int, event lockstep.Event, text string) lockstep.Message {
	c := lockstep.Change{Key: lockstep.ItemKey{Partition: partition, Sort: sort}, Event: event, Seq: lockstep.Sequence(fmt.Sprint(seq))}
	if event != lockstep.Remove {
		c.New = lockstep.Item{"text": {Type: lockstep.AttrS, Text: text}}
	}
	return lockstep.Message{ID: fmt.Sprintf("%s/%s/%d", partition, sort, seq), Group: partition, Change: c}
}

func script() []lockstep.Message {
	return []lockstep.Message{
		told("p1", "a", 1, lockstep.Insert, "one"),
		told("p1", "b", 2, lockstep.Insert, "two"),
		told("p1", "a", 3, lockstep.Modify, "three"),
		told("p2", "a", 4, lockstep.Insert, "four"),
		told("p1", "b", 5, lockstep.Remove, ""),
		told("p1", "b", 6, lockstep.Insert, "six"),
		told("p2", "ignored", 7, lockstep.Insert, "x"),
	}
}

func TestIndexOutcomes(t *testing.T) {
	x := NewIndex(echo{}, nil)
	for i, tt := range []struct {
		m    lockstep.Message
		want lockstep.Outcome
	}{
		{told("p", "a", 10, lockstep.Insert, "x"), lockstep.Applied},
		{told("p", "a", 10, lockstep.Insert, "x"), lockstep.Duplicate},
		{told("p", "a", 11, lockstep.Modify, "x"), lockstep.Unchanged},
		{told("p", "a", 10, lockstep.Insert, "x"), lockstep.Stale},
		{told("p", "a", 9, lockstep.Modify, "y"), lockstep.Stale},
		{told("p", "a", 8, lockstep.Remove, ""), lockstep.Unchanged}, // raises Removed
		{told("p", "a", 7, lockstep.Remove, ""), lockstep.Stale},
		{told("p", "a", 6, lockstep.Insert, "y"), lockstep.Unchanged}, // lowers First
		{told("p", "a", 7, lockstep.Insert, "y"), lockstep.Stale},
		{told("p", "ignored", 12, lockstep.Insert, "y"), lockstep.Ignored},
		{told("q", "a", 13, lockstep.Insert, "y"), lockstep.Ignored},
		{told("p", "a", 14, lockstep.Remove, ""), lockstep.Applied},
		{told("p", "a", 13, lockstep.Modify, "y"), lockstep.Stale},
	} {
		got, err := x.Apply(t.Context(), tt.m)
		if err != nil || got[0] != tt.want {
			t.Errorf("message %d: %v, %v, want %s", i, got, err, tt.want)
		}
	}
	want := lockstep.MirrorItem{ID: "p|a", Key: lockstep.ItemKey{Partition: "p", Sort: "a"}, Entity: "TEXT", Seq: "14", Removed: "14", First: "6"}
	if diff := cmp.Diff(State{Items: map[string]lockstep.MirrorItem{"p|a": want}, Records: map[lockstep.Collection]map[string]Entry{}}, x.State()); diff != "" {
		t.Error(diff)
	}
}

func TestParkedGroupWaitsAndIsRetried(t *testing.T) {
	x := NewIndex(echo{}, nil)
	batch := []lockstep.Message{told("p1", "a", 1, lockstep.Insert, "fail"), told("p2", "a", 2, lockstep.Insert, "x")}
	got, err := x.Apply(t.Context(), batch...)
	if err != nil || got[0] != lockstep.ParkedAway || got[1] != lockstep.Applied {
		t.Fatalf("%v, %v", got, err)
	}
	if got, err := x.Apply(t.Context(), told("p1", "b", 3, lockstep.Insert, "y")); err != nil || got[0] != lockstep.ParkedAway {
		t.Fatalf("a later message of the group: %v, %v", got, err)
	}
	if len(x.Items) != 1 {
		t.Errorf("%d items mirrored, want that of the other group", len(x.Items))
	}
	x.Parked[0].Change.New["text"] = lockstep.Attr{Type: lockstep.AttrS, Text: "mended"}
	if got, err := x.Retry(t.Context()); err != nil || got[0] == lockstep.ParkedAway || len(x.Parked) != 0 || len(x.Records["texts"]) != 3 {
		t.Errorf("%v, %v, %d parked, %d records", got, err, len(x.Parked), len(x.Records["texts"]))
	}
}

func TestAnswerThatNoHandlerMayGiveIsAnError(t *testing.T) {
	x := NewIndex(echo{plan: func(_ context.Context, _ handler.Unit, muts []lockstep.Mutation) ([]lockstep.Mutation, error) {
		return append(muts, muts...), nil
	}}, nil)
	if _, err := x.Apply(t.Context(), script()...); !errors.Is(err, lockstep.ErrInvalid) {
		t.Error(err)
	}
	if s := x.State(); len(s.Items)+len(s.Records) > 0 {
		t.Errorf("it left a trace: %+v", s)
	}
}

func TestCloneGoesItsOwnWay(t *testing.T) {
	x := NewIndex(echo{}, nil)
	if err := fold(t.Context(), x, script(), 3); err != nil {
		t.Fatal(err)
	}
	before := x.State()
	if err := fold(t.Context(), x.Clone(), []lockstep.Message{told("p1", "a", 50, lockstep.Remove, "")}, 1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, x.State()); diff != "" {
		t.Error(diff)
	}
}
