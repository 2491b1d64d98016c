package blob_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/lockstep"
)

var created = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func random(seed byte) *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{seed}, 32)) }

func TestInitMakesAStoreOnce(t *testing.T) {
	s := new(blob.Mem)
	first, err := blob.Init(t.Context(), s, created, random(1))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(first.Store) {
		t.Errorf("store identity %q is not a version 4 UUID", first.Store)
	}
	if first.Format != blob.FormatNumber || !first.Created.Equal(created) || !first.Verdict.Passed {
		t.Errorf("made %+v", first)
	}
	second, err := blob.Init(t.Context(), s, created.Add(time.Hour), random(2))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := blob.OpenFormat(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]blob.Format{"second Init": second, "OpenFormat": opened} {
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("%s (-first +got):\n%s", name, diff)
		}
	}
}

func TestInitRefusesABadBackendAndNamesTheChecks(t *testing.T) {
	inner := new(blob.Mem)
	_, err := blob.Init(t.Context(), blobtest.NewFaulty(inner, onCreate(blobtest.IgnoreCondition)), created, random(1))
	if !errors.Is(err, lockstep.ErrRefused) || !strings.Contains(err.Error(), "second create is refused") || lockstep.HintOf(err) == "" {
		t.Errorf("Init = %v with hint %q", err, lockstep.HintOf(err))
	}
	if _, err := blob.OpenFormat(t.Context(), inner); !errors.Is(err, lockstep.ErrNotFound) {
		t.Errorf("a refused backend was made a store: %v", err)
	}
}

func TestInitSettlesALostAnswer(t *testing.T) {
	for _, fault := range []blobtest.Fault{blobtest.LoseAnswer, blobtest.SendTwice} {
		s := blobtest.NewFaulty(new(blob.Mem), func(op, key string) blobtest.Fault {
			if op == "create" && key == blob.FormatKey {
				return fault
			}
			return blobtest.None
		})
		if f, err := blob.Init(t.Context(), s, created, random(1)); err != nil || !f.Created.Equal(created) {
			t.Errorf("fault %d: Init = %+v, %v", fault, f, err)
		}
	}
}

func TestInitReportsAStoreThatDoesNotAnswer(t *testing.T) {
	s := blobtest.NewFaulty(new(blob.Mem), func(op, key string) blobtest.Fault {
		if op == "create" && key == blob.FormatKey {
			return blobtest.FailBefore
		}
		return blobtest.None
	})
	if _, err := blob.Init(t.Context(), s, created, random(1)); !errors.Is(err, lockstep.ErrUnavailable) {
		t.Errorf("Init = %v, want ErrUnavailable", err)
	}
	if _, err := blob.Init(t.Context(), new(blob.Mem), created, bytes.NewReader(nil)); err == nil {
		t.Error("Init without randomness made a store")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := blob.Init(ctx, new(blob.Mem), created, random(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Init with a cancelled context = %v", err)
	}
}

func TestOpenFormatRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       error
	}{
		{"newer format", `{"format":2,"store":{"anything":"else"}}`, lockstep.ErrRefused},
		{"no number", `{"store":"x"}`, lockstep.ErrCorrupt},
		{"unknown field", `{"format":1,"store":"x","colour":"red"}`, lockstep.ErrCorrupt},
		{"no identity", `{"format":1}`, lockstep.ErrCorrupt},
		{"not JSON", `FORMAT 1`, lockstep.ErrCorrupt},
		{"two documents", `{"format":1,"store":"x"}{}`, lockstep.ErrCorrupt},
		{"too large", `{"format":1,"store":"` + strings.Repeat("x", 65<<10) + `"}`, lockstep.ErrCorrupt},
	} {
		s := new(blob.Mem)
		if err := s.Create(t.Context(), blob.FormatKey, []byte(c.body)); err != nil {
			t.Fatal(err)
		}
		if _, err := blob.OpenFormat(t.Context(), s); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if _, err := blob.Init(t.Context(), s, created, random(1)); !errors.Is(err, c.want) {
			t.Errorf("%s: Init = %v, want %v", c.name, err, c.want)
		}
	}
}

func TestTheDocumentedFormatObjectParses(t *testing.T) {
	page, err := os.ReadFile("../../docs/format/store.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatal("docs/format/store.md has no JSON example")
	}
	f, err := blob.DecodeFormat(m[1])
	if err != nil || !f.Verdict.Passed || len(f.Verdict.Checks) != 4 {
		t.Errorf("documented example: %+v, %v", f, err)
	}
}

func FuzzDecodeFormat(f *testing.F) {
	for _, seed := range []string{
		`{"format":1,"store":"x","created":"2026-01-01T00:00:00Z","verdict":{"passed":true,"checks":[]}}`,
		`{"format":2}`, `{}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := blob.DecodeFormat(body)
		if err == nil && (got.Format != blob.FormatNumber || got.Store == "") {
			t.Errorf("accepted %+v", got)
		}
		if err != nil && !errors.Is(err, lockstep.ErrCorrupt) && !errors.Is(err, lockstep.ErrRefused) {
			t.Errorf("error %v has no class", err)
		}
	})
}
