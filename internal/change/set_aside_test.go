package change

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAMalformedPieceSurvivesItsRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "body")
		if rapid.Bool().Draw(t, "text") {
			body = []byte("x" + rapid.String().Draw(t, "text body"))
		}
		m := Malformed{
			ID: hashOf(body), Body: body, Size: int64(len(body)), Reason: rapid.String().Draw(t, "reason"),
			Source: rapid.String().Draw(t, "source"), At: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "at"), 5).UTC(),
		}
		if rapid.Bool().Draw(t, "known") {
			m.Key = lockstep.ItemKey{Partition: "x" + rapid.String().Draw(t, "pk"), Sort: rapid.String().Draw(t, "sk")}
		}
		if rapid.Bool().Draw(t, "cut") {
			m.Size += 10
		}
		r := MalformedRecord(m)
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		back, err := ParseMalformed(r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, back); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAForeignMalformedRecordIsCorrupt(t *testing.T) {
	body := []byte("\xffx")
	good := MalformedRecord(Malformed{ID: hashOf(body), Body: body, Size: 2, Key: labelKey})
	if _, err := ParseMalformed(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*lockstep.Record){
		"another body":     func(r *lockstep.Record) { r.Document = "AAAA" },
		"no base64":        func(r *lockstep.Record) { r.Document = "?" },
		"another encoding": func(r *lockstep.Record) { r.Metadata = r.Metadata.With("encoding", lockstep.String("hex")) },
		"another id":       func(r *lockstep.Record) { r.ID = strings.Repeat("0", 64) },
		"a short id":       func(r *lockstep.Record) { r.ID = "x"; r.Metadata = r.Metadata.With("size", lockstep.Int(9)) },
		"a small size":     func(r *lockstep.Record) { r.Metadata = r.Metadata.With("size", lockstep.Int(1)) },
		"no time":          func(r *lockstep.Record) { r.Metadata = r.Metadata.With("at", lockstep.String("now")) },
		"no key":           func(r *lockstep.Record) { r.Metadata = r.Metadata.With("key", lockstep.String("x")) },
		"a foreign field":  func(r *lockstep.Record) { r.Metadata = r.Metadata.With("x", lockstep.String("x")) },
		"no reason": func(r *lockstep.Record) {
			r.Metadata = r.Metadata.Without(func(k string) bool { return k == "reason" })
		},
		"without its body":  func(r *lockstep.Record) { r.HasDocument = false },
		"with a vector too": func(r *lockstep.Record) { r.Vector.Dim = 3 },
	} {
		r := good
		spoil(&r)
		if _, err := ParseMalformed(r); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAParkedMessageSurvivesItsRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Parked{
			Message: mustMessage(t, genRecord().Draw(t, "record")),
			Reason:  rapid.String().Draw(t, "reason"), Arrival: rapid.Uint64().Draw(t, "arrival"),
			At:       time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "at"), 7).UTC(),
			Attempts: rapid.IntRange(0, 9).Draw(t, "attempts"), Blocked: rapid.Bool().Draw(t, "blocked"),
		}
		p.Message.Change.Entity = rapid.SampledFrom([]string{"", "RECEIPT_WORD"}).Draw(t, "entity")
		r := ParkedRecord(p)
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(r.ID, ParkedPrefix(p.Message.Group)) {
			t.Fatalf("id %q has not the prefix of its group", r.ID)
		}
		back, err := ParseParked(r, Schema{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, back, sameValue); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTheLongestKeyCanBeParkedAndMirrored(t *testing.T) {
	const input = `{"eventID":%q,"eventName":"REMOVE","dynamodb":{"Keys":{"PK":{"S":%q},"SK":{"S":%q}},"SequenceNumber":"7"}}`
	pk := strings.Repeat("x", MaxPartitionBytes-3) + "|"
	m := mustMessage(t, fmt.Sprintf(input, strings.Repeat("e", MaxEventIDBytes), pk, strings.Repeat("s", MaxKeyBytes-MaxPartitionBytes-1)))
	for _, r := range []lockstep.Record{ParkedRecord(Parked{Message: m}), MirrorRecord(lockstep.MirrorItem{Key: m.Change.Key})} {
		if len(r.ID) != lockstep.MaxIDBytes {
			t.Errorf("id of %d bytes", len(r.ID))
		}
		if err := r.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestParkedMessagesOfAGroupAreAdjacentInOrderOfArrival(t *testing.T) {
	id := func(group string, arrival uint64, message string) string {
		return ParkedRecord(Parked{Message: lockstep.Message{Group: group, ID: message}, Arrival: arrival}).ID
	}
	want := []string{id("a", 2, "z"), id("a", 10, "y"), id("a", 1<<63, "x"), id("a|b", 1, "w"), id("b", 1, "v")}
	got := append([]string(nil), want...)
	sort.Strings(got)
	slicesOfA := 0
	for _, g := range got {
		if strings.HasPrefix(g, ParkedPrefix("a")) {
			slicesOfA++
		}
	}
	if slicesOfA != 3 {
		t.Errorf("%d ids with the prefix of a", slicesOfA)
	}
	var a []string
	for i, g := range got {
		if strings.HasPrefix(g, ParkedPrefix("a")) {
			a = append(a, g)
			if len(a) > 1 && !strings.HasPrefix(got[i-1], ParkedPrefix("a")) {
				t.Error("not adjacent")
			}
		}
	}
	if diff := cmp.Diff(want[:3], a); diff != "" {
		t.Error(diff)
	}
}

func TestAForeignParkedRecordIsCorrupt(t *testing.T) {
	good := ParkedRecord(Parked{Message: mustMessage(t, record("a", "INSERT", "1", "x")), Arrival: 5, Attempts: 1})
	if _, err := ParseParked(good, Schema{}); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseParked(good, Schema{Partition: "id"}); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("another schema: %v", err)
	}
	set := func(key string, v lockstep.Value) func(*lockstep.Record) {
		return func(r *lockstep.Record) { r.Metadata = r.Metadata.With(key, v) }
	}
	for name, spoil := range map[string]func(*lockstep.Record){
		"another document":   func(r *lockstep.Record) { r.Document = "{}" },
		"another message":    func(r *lockstep.Record) { r.Document = record("b", "INSERT", "1", "x") },
		"another group":      func(r *lockstep.Record) { r.ID = "x" + r.ID },
		"a short id":         func(r *lockstep.Record) { r.ID = ParkedPrefix("IMAGE#1") + "5" },
		"no arrival":         func(r *lockstep.Record) { r.ID = ParkedPrefix("IMAGE#1") + strings.Repeat("x", 20) + "|a" },
		"no time":            set("at", lockstep.String("x")),
		"attempts as text":   set("attempts", lockstep.String("1")),
		"blocked as text":    set("blocked", lockstep.String("true")),
		"a foreign field":    set("x", lockstep.Int(1)),
		"another message id": set("message", lockstep.String("b")),
	} {
		r := good
		spoil(&r)
		if _, err := ParseParked(r, Schema{}); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
