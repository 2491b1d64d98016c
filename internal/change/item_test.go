package change

import (
	"errors"
	"strings"
	"testing"

	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAnItemSurvivesItsEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		it := genItem(3).Draw(t, "item")
		text := EncodeItem(it)
		back, err := DecodeItem(text, Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(string(text), string(EncodeItem(back))); diff != "" {
			t.Fatal(diff)
		}
		loose, err := DecodeItem([]byte(looseItem(it)), Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, looseItem(it))
		}
		if diff := cmp.Diff(back, loose, sameValue); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTheCanonicalItemHasOneSpelling(t *testing.T) {
	it := lockstep.Item{
		"z":  {Type: "S", Text: "<&>\u2028é\"\\\n\x01\x7f"},
		"a":  {Type: "N", Text: "01.50"},
		"b":  {Type: "B", Text: "\x00\xff"},
		"t":  {Type: "BOOL", Truth: true},
		"f":  {Type: "BOOL"},
		"n":  {Type: "NULL"},
		"ss": {Type: "SS", Set: []string{"b", "a", "b"}},
		"bs": {Type: "BS", Set: []string{"\xff", "\x00"}},
		"l":  {Type: "L", List: []lockstep.Attr{{Type: "S", Text: "y"}, {Type: "S", Text: "x"}}},
		"m":  {Type: "M", Map: lockstep.Item{"y": {Type: "L"}, "x": {Type: "M"}}},
		"ns": {Type: "NS", Set: []string{"2", "10"}},
	}
	const want = `{"a":{"N":"01.50"},"b":{"B":"AP8="},"bs":{"BS":["AA==","/w=="]},"f":{"BOOL":false},` +
		`"l":{"L":[{"S":"y"},{"S":"x"}]},"m":{"M":{"x":{"M":{}},"y":{"L":[]}}},"n":{"NULL":true},"ns":{"NS":["10","2"]},` +
		`"ss":{"SS":["a","b"]},"t":{"BOOL":true},"z":{"S":"<&>` + "\u2028é" + `\"\\\n\u0001` + "\x7f" + `"}}`
	if diff := cmp.Diff(want, string(EncodeItem(it))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"b", "a", "b"}, it["ss"].Set); diff != "" {
		t.Error("encoding changed the item", diff)
	}
	if got := string(AppendItem([]byte("x"), nil)); got != "x{}" {
		t.Errorf("got %s", got)
	}
}

func TestAnItemThatIsNotOneIsRefusedWithItsPath(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":{"X":"1"}}`:                                `a: unknown type X`,
		`{"a":{"s":"1"}}`:                                `a: unknown type s`,
		`{"a":{}}`:                                       `a: no type`,
		`{"a":{"S":"x","N":"1"}}`:                        `a: two types in one attribute`,
		`{"a":{"S":"x","S":"x"}}`:                        `a: two types in one attribute`,
		`{"a":"x"}`:                                      `a: want an object, found '"' at byte 5`,
		`{"a":{"S":null}}`:                               `a.S: want a string, found 'n' at byte 10`,
		`{"a":{"N":1}}`:                                  `a.N: want a string, found '1' at byte 10`,
		`{"a":{"N":"0x1"}}`:                              `a.N: "0x1" is not a decimal number`,
		`{"a":{"N":"NaN"}}`:                              `a.N: "NaN" is not a decimal number`,
		`{"a":{"BOOL":"true"}}`:                          `a.BOOL: want true or false, found '"' at byte 13`,
		`{"a":{"NULL":false}}`:                           `a.NULL: want true, found 'f' at byte 13`,
		`{"a":{"B":"A"}}`:                                `a.B: not base64`,
		`{"a":{"B":"AA"}}`:                               `a.B: not base64`,
		`{"a":{"B":"AB=="}}`:                             `a.B: not base64`,
		`{"a":{"B":"AAA\n="}}`:                           `a.B: not base64`,
		`{"a":{"SS":[]}}`:                                `a.SS: an empty set, which DynamoDB does not have`,
		`{"a":{"SS":["x","x"]}}`:                         `a.SS: an element appears twice in the set`,
		`{"a":{"NS":["1","x"]}}`:                         `a.NS[1]: "x" is not a decimal number`,
		`{"a":{"BS":[1]}}`:                               `a.BS[0]: want a string, found '1' at byte 12`,
		`{"a":{"L":[{"M":{"b c":{"L":[{"Q":1}]}}}]}}`:    `a.L[0].M["b c"].L[0]: unknown type Q`,
		`{"a":{"M":{"":{"S":"x"}}}}`:                     `a.M: an empty attribute name`,
		`{"a":{"S":"x"},"a":{"S":"y"}}`:                  `a: the name appears twice`,
		`{"a":{"S":"x"},"\u0061":{"S":"y"}}`:             `a: the name appears twice`,
		`{"a":{"S":"` + "\xff" + `"}}`:                   `a.S: invalid UTF-8 in the string at byte 10`,
		`{"a":{"S":"\n` + "\xff" + `"}}`:                 `a.S: invalid UTF-8 in the string at byte 10`,
		`{"a":{"S":"\ud800"}}`:                           `a.S: half a surrogate pair in a string at byte 11`,
		`{"a":{"S":"\ud800\u0041"}}`:                     `a.S: half a surrogate pair in a string at byte 11`,
		`{"a":{"S":"\u00g0"}}`:                           `a.S: unknown escape in a string at byte 11`,
		`{"a":{"S":"\x"}}`:                               `a.S: unknown escape in a string at byte 11`,
		"{\"a\":{\"S\":\"\n\"}}":                         `a.S: control character 0x0a in a string at byte 11`,
		`{"a":{"S":"x"}} x`:                              `want nothing more, found 'x' at byte 16`,
		`{"a":{"S":"x"},}`:                               `want a string, found '}' at byte 15`,
		`{"a":{"S":"x"}`:                                 `want "," or "}", found the end at byte 14`,
		`{"a" {"S":"x"}}`:                                `want ":", found '{' at byte 5`,
		`[]`:                                             `want an object, found '[' at byte 0`,
		`{"a":{"S":"` + strings.Repeat("x", 999) + `"}}`: `1013 bytes, at most 1000`,
		nested(5):                                        `a.L[0].L[0].L[0].L[0]: nested more than 4 levels deep`,
	} {
		_, err := DecodeItem([]byte(text), Limits{Depth: 4, RecordBytes: 1000})
		if !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := strings.TrimPrefix(err.Error(), "decode item: invalid: ")
		if got != want {
			t.Errorf("%.80s\n got %s\nwant %s", text, got, want)
		}
	}
	if _, err := DecodeItem([]byte(nested(4)), Limits{Depth: 4}); err != nil {
		t.Error(err)
	}
}

// nested returns an item of one attribute that nests to the given depth.
func nested(depth int) string {
	return `{"a":` + strings.Repeat(`{"L":[`, depth-1) + `{"L":[]}` + strings.Repeat(`]}`, depth-1) + `}`
}

func TestNumbersAreThoseOfDynamoDB(t *testing.T) {
	digits := strings.Repeat("1", 38)
	for text, good := range map[string]bool{
		"0": true, "-0": true, "+5": true, "5.": true, ".5": true, "1e5": true, "1E+5": true, "-1.5E-5": true,
		digits: true, digits + "1": false, "0." + digits: true, "000" + digits + "000": true, digits + ".1": false,
		"1E125": true, "1E126": false, "9.99E125": true, "10E125": false, "1E-130": true, "1E-131": false, "0.1E-130": false,
		"0E999999999999999999999": true, "1E999999999999999999999": false,
		"": false, "-": false, ".": false, "1e": false, "1e+": false, " 1": false, "1 ": false, "1.2.3": false,
		"--1": false, "1,5": false, "Infinity": false, "0x10": false, "1_0": false, "１": false,
	} {
		if f := checkNumber(text); (f == nil) != good {
			t.Errorf("%q: %v", text, f)
		}
	}
}
