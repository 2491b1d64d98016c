package retention

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

// documented returns an example of docs/format/gc.md.
func documented(t testing.TB, kind string) []byte {
	t.Helper()
	page, err := os.ReadFile("../../docs/format/gc.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```json " + kind + "\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatalf("docs/format/gc.md has no example of a %s", kind)
	}
	return m[1]
}

func TestTheDocumentedObjectsParseAndAreWhatWeWrite(t *testing.T) {
	same := func(kind string, v any) {
		var want, got bytes.Buffer
		body, err := json.Marshal(v)
		if err != nil || json.Compact(&want, documented(t, kind)) != nil || json.Compact(&got, body) != nil {
			t.Fatal(err)
		}
		if want.String() != got.String() {
			t.Errorf("%s: documented\n%s\nwritten\n%s", kind, &want, &got)
		}
	}
	pin, err := decodePin("known-good", documented(t, "pin"))
	if err != nil {
		t.Fatal(err)
	}
	same("pin", pin)
	plan, err := DecodePlan(documented(t, "plan"))
	if err != nil {
		t.Fatal(err)
	}
	if plan.Policy.Keep != 7*day || plan.Policy.Wait != 24*time.Hour {
		t.Errorf("policy %+v", plan.Policy)
	}
	same("plan", plan)
}

func TestWhatIsNotAPlanOrAPinIsRefused(t *testing.T) {
	plan := func(key string) []byte {
		return []byte(`{"format":1,"n":1,"policy":{"keep_ns":1,"orphans_ns":1,"wait_ns":1,"bases":1},"items":[{"key":"` + key + `","size":1,"reason":"x"}]}`)
	}
	if _, err := DecodePlan(plan("delta/x")); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{
		"deletes FORMAT":    plan("FORMAT"),
		"deletes a release": plan("release/00000000000000000001"),
		"deletes low marks": plan("log-low/00000000000000000001"),
		"deletes a hint":    plan("hint/log/head"),
		"climbs":            plan("delta/../FORMAT"),
		"no format":         []byte(`{}`),
		"unknown field":     []byte(`{"format":1,"x":1}`),
		"surplus":           []byte(`{"format":1} {}`),
		"negative keep":     []byte(`{"format":1,"policy":{"keep_ns":-1}}`),
		"not JSON":          []byte(`x`),
	} {
		if _, err := DecodePlan(body); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
	if _, err := DecodePlan([]byte(`{"format":2,"new":true}`)); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("newer format: %v, want ErrRefused", err)
	}
	for name, body := range map[string]string{
		"another name": `{"format":1,"name":"b","version":1,"holder":"h","at":"2026-05-04T03:02:01Z"}`,
		"version 0":    `{"format":1,"name":"a","version":0,"holder":"h","at":"2026-05-04T03:02:01Z"}`,
		"no holder":    `{"format":1,"name":"a","version":1,"at":"2026-05-04T03:02:01Z"}`,
		"bad base":     `{"format":1,"name":"a","version":1,"base":"../x","holder":"h","at":"2026-05-04T03:02:01Z"}`,
	} {
		if _, err := decodePin("a", []byte(body)); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
}

func classed(err error) bool {
	return errors.Is(err, lockstep.ErrCorrupt) || errors.Is(err, lockstep.ErrRefused)
}

func FuzzDecodePlan(f *testing.F) {
	seeds := [][]byte{documented(f, "plan"), []byte(`{"format":2}`), []byte(`{"format":1}`), nil}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := DecodePlan(body)
		if err != nil {
			if !classed(err) {
				t.Errorf("error %v has no class", err)
			}
			return
		}
		once, err := json.Marshal(p)
		if err != nil {
			t.Skip(err) // a year that JSON has no form for
		}
		again, err := DecodePlan(once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice, err := json.Marshal(again); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s became %s, %v", once, twice, err)
		}
	})
}

func FuzzDecodePin(f *testing.F) {
	seeds := [][]byte{documented(f, "pin"), []byte("null"), nil, []byte(`{"format":1,"name":"known-good","removed":true}`)}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := decodePin("known-good", body)
		if err != nil {
			if !classed(err) {
				t.Errorf("error %v has no class", err)
			}
			return
		}
		if !b.Removed && (b.Version == 0 || b.Holder == "") {
			t.Errorf("accepted %+v", b)
		}
	})
}
