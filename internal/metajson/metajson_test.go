package metajson_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
	"lockstep/internal/metajson"
)

func TestMetadataIsWrittenInItsOneForm(t *testing.T) {
	list := func(vs ...lockstep.Value) lockstep.Value { return lockstep.List(vs) }
	for _, c := range []struct {
		want string
		m    lockstep.Metadata
	}{
		{`{}`, nil},
		{`{"a":1,"b":1.0}`, lockstep.Metadata{{Key: "a", Value: lockstep.Int(1)}, {Key: "b", Value: lockstep.Float(1)}}},
		{`{"a":0.0}`, lockstep.Metadata{{Key: "a", Value: lockstep.Float(math.Copysign(0, -1))}}},
		{`{"a":0.1,"b":1e-07,"c":1e+21,"d":100000000000000000000.0}`, lockstep.Metadata{
			{Key: "a", Value: lockstep.Float(0.1)}, {Key: "b", Value: lockstep.Float(1e-7)}, {Key: "c", Value: lockstep.Float(1e21)}, {Key: "d", Value: lockstep.Float(1e20)},
		}},
		{`{"a":-9223372036854775808,"b":9223372036854775807}`, lockstep.Metadata{{Key: "a", Value: lockstep.Int(math.MinInt64)}, {Key: "b", Value: lockstep.Int(math.MaxInt64)}}},
		{`{"a":[true,false],"b":["x"],"c":[1.0,2.5],"d":[1,2]}`, lockstep.Metadata{
			{Key: "a", Value: list(lockstep.Bool(true), lockstep.Bool(false))},
			{Key: "b", Value: lockstep.Strings("x")},
			{Key: "c", Value: list(lockstep.Float(1), lockstep.Float(2.5))},
			{Key: "d", Value: list(lockstep.Int(1), lockstep.Int(2))},
		}},
		{`{"<&>":"a\"\\\b\f\n\r\t\u0000\u001f/` + "\x7f\u2028é" + `"}`, lockstep.Metadata{{Key: "<&>", Value: lockstep.String("a\"\\\b\f\n\r\t\x00\x1f/\x7f\u2028é")}}},
	} {
		if got := string(metajson.AppendMetadataJSON(nil, c.m)); got != c.want {
			t.Errorf("written %s, want %s", got, c.want)
		}
		if got, err := metajson.ParseMetadataJSON(c.want); err != nil || !got.Equal(c.m) {
			t.Errorf("%s is read as %#v, %v; want %#v", c.want, got, err, c.m)
		}
	}
}

func TestEveryOtherFormIsRefused(t *testing.T) {
	for _, text := range []string{
		``, ` `, `{`, `}`, `[]`, `null`, `{} `, ` {}`, `{}{}`, `{,}`, `{"a":1,}`, `{"a" :1}`, `{"a":1 }`, `{"a"}`, `{a:1}`,
		`{"b":1,"a":2}`, `{"a":1,"a":1}`, `{"":1}`, `{"a":null}`, `{"a":{}}`, `{"a":[]}`, `{"a":[[1]]}`, `{"a":[1,2.0]}`, `{"a":[1,]}`,
		`{"a":01}`, `{"a":-0}`, `{"a":+1}`, `{"a":1-}`, `{"a":9223372036854775808}`, `{"a":-0.0}`, `{"a":1.00}`, `{"a":1.}`, `{"a":.5}`,
		`{"a":1e3}`, `{"a":1E+21}`, `{"a":1e21}`, `{"a":1e999}`, `{"a":1e-999}`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":tru}`, `{"a":truefalse}`,
		`{"a":"\/"}`, `{"a":"\u0041"}`, `{"a":"\u000a"}`, `{"a":"\u001F"}`, `{"a":"\u00"}`, `{"a":"\`, `{"a":"\x"}`, `{"a":"`, "{\"a\":\"\n\"}", "{\"a\":\"\\n\n\"}",
		"{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", "\xef\xbb\xbf{}", "{\"a\":1\x00}",
	} {
		if m, err := metajson.ParseMetadataJSON(text); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%q is read as %#v, %v; want ErrInvalid", text, m, err)
		}
	}
}

func TestWhatCannotBeStoredIsNotReadBack(t *testing.T) {
	for _, v := range []lockstep.Value{
		{},
		lockstep.Float(math.NaN()), lockstep.Float(math.Inf(1)), lockstep.List(nil), lockstep.String("\xff"),
		lockstep.List([]lockstep.Value{lockstep.Int(1), lockstep.Float(1)}),
	} {
		text := string(metajson.AppendMetadataJSON(nil, lockstep.Metadata{{Key: "a", Value: v}}))
		if _, err := metajson.ParseMetadataJSON(text); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%#v: %q: %v, want ErrInvalid", v, text, err)
		}
	}
}

func TestTooManyKeysAreRefused(t *testing.T) {
	m := make(lockstep.Metadata, lockstep.MaxMetadataKeys+1)
	for i := range m {
		m[i] = lockstep.Field{Key: strings.Repeat("k", i+1), Value: lockstep.Int(1)}
	}
	if _, err := metajson.ParseMetadataJSON(string(metajson.AppendMetadataJSON(nil, m[:lockstep.MaxMetadataKeys]))); err != nil {
		t.Error(err)
	}
	if _, err := metajson.ParseMetadataJSON(string(metajson.AppendMetadataJSON(nil, m))); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("%v, want ErrInvalid", err)
	}
}

func TestAParserForgetsWhatItParsedBefore(t *testing.T) {
	var p metajson.Parser
	first, err := p.Parse(`{"a":["x","y"],"b":1}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{`{"a":["z"],"b":2,"c":3}`, `{"a":["z"`, `{}`} {
		_, _ = p.Parse(other) // only its effect on the first counts
	}
	if want := (lockstep.Metadata{{Key: "a", Value: lockstep.Strings("x", "y")}, {Key: "b", Value: lockstep.Int(1)}}); !first.Equal(want) {
		t.Errorf("the first metadata became %#v", first)
	}
}

func scalars() []*rapid.Generator[lockstep.Value] {
	return []*rapid.Generator[lockstep.Value]{
		rapid.Map(rapid.String(), lockstep.String),
		rapid.Map(rapid.Int64(), lockstep.Int),
		rapid.Map(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), lockstep.Float),
		rapid.Map(rapid.Bool(), lockstep.Bool),
	}
}

func anyMetadata(t *rapid.T) lockstep.Metadata {
	kinds := scalars()
	value := rapid.Custom(func(t *rapid.T) lockstep.Value {
		kind := kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")]
		if rapid.Bool().Draw(t, "list") {
			return lockstep.List(rapid.SliceOfN(kind, 1, 4).Draw(t, "elems"))
		}
		return kind.Draw(t, "value")
	})
	return lockstep.MetadataOf(rapid.MapOfN(rapid.StringN(1, 8, -1), value, 0, 6).Draw(t, "metadata"))
}

func TestMetadataSurvivesARoundTripAndIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyMetadata(t)
		text := metajson.AppendMetadataJSON(nil, m)
		back, err := metajson.ParseMetadataJSON(string(text))
		if err != nil || !back.Equal(m) {
			t.Fatalf("%s: %#v, %v; want %#v", text, back, err, m)
		}
		var plain map[string]any
		if err := json.Unmarshal(text, &plain); err != nil || len(plain) != len(m) {
			t.Fatalf("%s: encoding/json: %v, %d keys", text, err, len(plain))
		}
		for _, f := range m {
			if f.Value.Kind() == lockstep.KindString && plain[f.Key] != f.Value.Str() {
				t.Fatalf("%s: encoding/json reads %q as %v", text, f.Key, plain[f.Key])
			}
		}
	})
}

func seeds() []string {
	return []string{
		`{}`, `{"a":1}`, `{"a":1.5,"b":["x","y"],"c":true}`, `{"a":"\u0000\n\"\\é"}`, `{"a":[1e-07,2.0]}`,
		`{"a":-0.0}`, `{"a":null}`, `{"b":1,"a":2}`, `{"a":[[1]]}`, `{"a":"`,
	}
}

// What is read is written as the same bytes, and is what encoding/json sees.
func FuzzParseMetadataJSON(f *testing.F) {
	if len(seeds()) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := metajson.ParseMetadataJSON(text)
		if err != nil {
			if !errors.Is(err, lockstep.ErrInvalid) || m != nil {
				t.Fatalf("%#v, %v", m, err)
			}
			return
		}
		if back := string(metajson.AppendMetadataJSON(nil, m)); back != text {
			t.Fatalf("read %q, written %q", text, back)
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q is not JSON", text)
		}
		for _, field := range m {
			if err := field.Value.Check(); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
		}
	})
}

// Whatever text a record holds is written so that it is read back unchanged.
func FuzzAppendMetadataJSON(f *testing.F) {
	if len(seeds()) == 0 {
		f.Fatal("no seeds")
	}
	for i, s := range seeds() {
		f.Add("key"+s, s, int64(i), float64(i)/3)
	}
	f.Fuzz(func(t *testing.T, key, text string, n int64, x float64) {
		m := lockstep.MetadataOf(map[string]lockstep.Value{
			key: lockstep.Strings(text, key), "int": lockstep.Int(n), "float": lockstep.Float(x), "text": lockstep.String(text),
		})
		if m.Check() != nil || strings.ToValidUTF8(key, "") != key || strings.ToValidUTF8(text, "") != text {
			return
		}
		back, err := metajson.ParseMetadataJSON(string(metajson.AppendMetadataJSON(nil, m)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m.Map(), back.Map()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := `{"confidence":0.98,"image_id":"3f52804b-2fad-4e00-92c8-b593da3a8ed3","label_status":"validated","line_id":12,` +
		`"merchant_name":"Sprouts Farmers Market","place_id":"ChIJN1t_tDeuEmsRUsoyG83frY4","receipt_id":1,"text":"TOTAL","x":0.1234567,"y":0.7654321}`
	var p metajson.Parser
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := p.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
