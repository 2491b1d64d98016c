package shadow

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

func TestTallyRoundTrips(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		tally := genTally(r, "a")
		body, err := json.Marshal(struct{ T Tally }{*tally})
		if err != nil {
			r.Fatal(err)
		}
		var back struct{ T Tally }
		if err := json.Unmarshal(body, &back); err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(tally.stored(), back.T.stored()); diff != "" {
			r.Fatal(diff)
		}
	})
}

const small = `{"format":1,"units":3,"both_failed":0,"dropped":1,"ignored":0,"timed":2,"slower":1,` +
	`"sets":[{"units":1},{"candidate":["lines/document/value"],"units":2}],` +
	`"classes":[{"class":"lines/document/value","units":2,"records":2,"again":0,"drift":0,"stable_right":1,"candidate_right":0,"neither_right":0}],` +
	`"samples":[{"class":"lines/document/value","unit":"u","collection":"lines","id":"a","stable":"\"s\""}]}`

func TestStoredTallyIsReadStrictly(t *testing.T) {
	var good Tally
	if err := json.Unmarshal([]byte(small), &good); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(small, ",", ",\n ")), &good); err != nil {
		t.Errorf("with white space: %v", err)
	}
	before := good.stored()
	for name, change := range map[string][2]string{
		"format":            {`"format":1`, `"format":2`},
		"unknown field":     {`"dropped":1`, `"dropped":1,"lost":1`},
		"another case":      {`"dropped":1`, `"Dropped":1`},
		"repeated field":    {`"dropped":1`, `"dropped":1,"dropped":1`},
		"missing field":     {`"dropped":1,`, ``},
		"negative":          {`"dropped":1`, `"dropped":-1`},
		"huge":              {`"dropped":1`, `"dropped":9007199254740993`},
		"slower than timed": {`"slower":1`, `"slower":3`},
		"units":             {`"units":3`, `"units":4`},
		"unknown class":     {`["lines/document/value"]`, `["lines/document/odd"]`},
		"repeated class":    {`["lines/document/value"]`, `["lines/document/value","lines/document/value"]`},
		"repeated set":      {`{"units":1},`, `{"candidate":["lines/document/value"],"units":1},`},
		"empty set":         {`{"units":1}`, `{"units":0}`},
		"class counts":      {`"records":2`, `"records":1`},
		"more right":        {`"neither_right":0`, `"neither_right":2`},
		"right":             {`"stable":"\"s\""`, `"stable":"\"s\"","right":"me"`},
		"long sample":       {`"unit":"u"`, `"unit":"` + strings.Repeat("u", 201) + `"`},
		"escape":            {`"unit":"u"`, `"unit":"\u0075"`},
		"order":             {`[{"units":1},{"candidate":["lines/document/value"],"units":2}]`, `[{"candidate":["lines/document/value"],"units":2},{"units":1}]`},
		"empty list":        {`"samples":[`, `"other":{"records":0,"drift":0},"samples":[`},
		"rest":              {`"classes"`, `"rest":{"units":0,"equal":0,"noise":0,"twice":1,"worse":0,"noisier":0,"hard":0},"classes"`},
	} {
		body := strings.Replace(small, change[0], change[1], 1)
		if body == small {
			t.Fatalf("%s changes nothing", name)
		}
		if err := good.UnmarshalJSON([]byte(body)); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := good.UnmarshalJSON([]byte(small + "{}")); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("a second value: %v", err)
	}
	if diff := cmp.Diff(before, good.stored()); diff != "" {
		t.Errorf("a refused body changed the tally:\n%s", diff)
	}
}

// What is read is written again as it was, and can be merged and reported.
func FuzzTally(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(`{"format":1,"units":0,"both_failed":0,"dropped":0,"ignored":0,"timed":0,"slower":0}`))
	var full Tally
	for i, c := range manyClasses(300) {
		p := pair([]Class{c, gone}, []Class{text}[:i%2])
		full.Add(p, nil)
	}
	body, err := full.MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		var tally Tally
		if err := json.Unmarshal(body, &tally); err != nil {
			return
		}
		again, err := json.Marshal(tally)
		if err != nil {
			t.Fatal(err)
		}
		var back Tally
		if err := json.Unmarshal(again, &back); err != nil {
			t.Fatalf("%v: %s", err, again)
		}
		c := merged(&tally, &back).Counts(nil, noon)
		if c.Units != c.Equal+c.Expected+c.Noise+c.Unexpected || c.Units != 2*tally.units {
			t.Errorf("%+v", c)
		}
		_ = tally.Report(nil, noon).Text()
	})
}
