package change

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// sameValue compares decoded values; a nil list and an empty one are the same.
var sameValue = cmp.Options{cmpopts.EquateEmpty()}

func genText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", "a", "\"\\/\b\f\n\r\t\x00\x1f", "<&>", "\u2028é😀", "IMAGE#x|y%7C"}),
	)
}

func genNumber() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) string { return strconv.FormatInt(rapid.Int64().Draw(t, "int"), 10) }),
		rapid.StringMatching(`-?[0-9]{1,18}(\.[0-9]{1,20})?(E[+-]?[0-9]{1,2})?`),
	)
}

func genAttr(depth int) *rapid.Generator[lockstep.Attr] {
	return rapid.Custom(func(t *rapid.T) lockstep.Attr {
		types := []lockstep.AttrType{"S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "M", "L"}
		if depth <= 0 {
			types = types[:8]
		}
		a := lockstep.Attr{Type: rapid.SampledFrom(types).Draw(t, "type")}
		switch a.Type {
		case "S":
			a.Text = genText().Draw(t, "s")
		case "N":
			a.Text = genNumber().Draw(t, "n")
		case "B":
			a.Text = string(rapid.SliceOf(rapid.Byte()).Draw(t, "b"))
		case "NULL":
		case "BOOL":
			a.Truth = rapid.Bool().Draw(t, "bool")
		case "SS":
			a.Set = rapid.SliceOfNDistinct(genText(), 1, 5, rapid.ID).Draw(t, "ss")
		case "NS":
			a.Set = rapid.SliceOfNDistinct(genNumber(), 1, 5, rapid.ID).Draw(t, "ns")
		case "BS":
			a.Set = rapid.SliceOfNDistinct(genText(), 1, 5, rapid.ID).Draw(t, "bs")
		case "M":
			a.Map = genItem(depth-1).Draw(t, "m")
		case "L":
			a.List = rapid.SliceOfN(genAttr(depth-1), 0, 4).Draw(t, "l")
		}
		return a
	})
}

func genItem(depth int) *rapid.Generator[lockstep.Item] {
	name := genText().Filter(func(s string) bool { return s != "" })
	return rapid.Custom(func(t *rapid.T) lockstep.Item {
		return lockstep.Item(rapid.MapOfN(name, genAttr(depth), 0, 5).Draw(t, "item"))
	})
}

// looseItem writes an item the way others might: blanks, any order, every
// character escaped that may be.
func looseItem(it lockstep.Item) string {
	out := map[string]any{}
	for n, a := range it {
		out[n] = looseAttr(a)
	}
	text, err := json.MarshalIndent(out, "", "\t")
	if err != nil {
		panic(err)
	}
	return string(text)
}

func looseAttr(a lockstep.Attr) map[string]any {
	enc := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	var v any
	switch a.Type {
	case "S", "N":
		v = a.Text
	case "B":
		v = enc(a.Text)
	case "BOOL":
		v = a.Truth
	case "NULL":
		v = true
	case "SS", "NS":
		v = a.Set
	case "BS":
		var set []string
		for _, e := range a.Set {
			set = append(set, enc(e))
		}
		v = set
	case "M":
		v = json.RawMessage(looseItem(a.Map))
	case "L":
		list := []any{}
		for _, e := range a.List {
			list = append(list, looseAttr(e))
		}
		v = list
	}
	return map[string]any{string(a.Type): v}
}

// record writes a stream record of a word label.
func record(id, event, seq, status string) string {
	image := fmt.Sprintf(`{"PK":{"S":"IMAGE#1"},"SK":{"S":"RECEIPT#00001#LABEL#X"},"validation_status":{"S":%q}}`, status)
	images := `,"NewImage":` + image
	switch event {
	case "REMOVE":
		images = `,"OldImage":` + image
	case "MODIFY":
		images += `,"OldImage":` + image
	}
	return fmt.Sprintf(`{"eventID":%q,"eventName":%q,"dynamodb":{"Keys":{"PK":{"S":"IMAGE#1"},"SK":{"S":"RECEIPT#00001#LABEL#X"}}%s,"SequenceNumber":%q}}`,
		id, event, images, seq)
}
