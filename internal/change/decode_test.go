package change

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var position = regexp.MustCompile(` (in the line )?at byte [0-9]+`)

// read returns what Decode yields, as ids of messages and "!reason" of the rest.
func read(t testing.TB, input string, opts Options) []string {
	t.Helper()
	var out []string
	for d, err := range Decode(t.Context(), strings.NewReader(input), "test", opts) {
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		if d.Bad != nil {
			out = append(out, "!"+position.ReplaceAllString(d.Bad.Reason, ""))
			continue
		}
		out = append(out, d.Message.ID)
	}
	return out
}

func TestEveryShapeIsFoundOut(t *testing.T) {
	a, b := record("a", "INSERT", "1", "x"), record("b", "MODIFY", "2", "y")
	pretty := strings.ReplaceAll(a, ",", ",\n  ")
	api := strings.NewReplacer(`"eventID"`, `"EventID"`, `"eventName"`, `"EventName"`, `"dynamodb"`, `"Dynamodb"`).Replace(a)
	for name, c := range map[string]struct {
		input string
		want  []string
	}{
		"nothing":                        {"", nil},
		"blank lines":                    {"\n \r\n\t\n", nil},
		"one record":                     {a, []string{"a"}},
		"one record, pretty":             {pretty, []string{"a"}},
		"pretty records in a row":        {pretty + "\n" + strings.ReplaceAll(b, ",", ",\n") + "\n", []string{"a", "b"}},
		"byte order mark":                {"\uFEFF" + a, []string{"a"}},
		"event":                          {`{"Records":[` + a + `,` + b + `]}`, []string{"a", "b"}},
		"event without records":          {`{"Records":[]}`, nil},
		"event over several lines":       {"{\"Records\":[\n" + a + ",\n" + b + "\n]}\n", []string{"a", "b"}},
		"event of one over three lines":  {"{\"Records\":[\n" + a + "\n]}\n", []string{"a"}},
		"event with commas in front":     {"{\"Records\":[\n" + a + "\n," + b + "]}\n", []string{"a", "b"}},
		"answer of GetRecords":           {`{"NextShardIterator":"it","MillisBehindLatest":5,"Records":[` + api + `]}`, []string{"a"}},
		"array":                          {`[` + a + ` , ` + b + `]`, []string{"a", "b"}},
		"empty array":                    {`[ ]`, nil},
		"array over several lines":       {"[\n" + a + ",\n" + b + "\n]", []string{"a", "b"}},
		"lines":                          {a + "\n\n" + b + "\r\n", []string{"a", "b"}},
		"lines of either":                {a + "\n{\"Records\":[" + b + "]}\n[" + a + "]", []string{"a", "b", "a"}},
		"names of the API, in one line":  {api, []string{"a"}},
		"absent image written as null":   {strings.Replace(a, `"NewImage"`, `"OldImage":null,"NewImage"`, 1), []string{"a"}},
		"a record in blanks":             {"  " + a + "  \n", []string{"a"}},
		"members that nobody reads stay": {strings.Replace(a, `{"eventID"`, `{"userIdentity":{"type":"Service"},"eventID"`, 1), []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, read(t, c.input, Options{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOneBadPieceDoesNotHideTheOthers(t *testing.T) {
	a, b := record("a", "INSERT", "1", "x"), record("b", "MODIFY", "2", "y")
	bad := strings.Replace(b, `{"S":"y"}`, `{"S":7}`, 1)
	torn := a[:strings.Index(a, `"eventName"`)] // ends after a comma
	const path = `dynamodb.NewImage.validation_status.S: want a string, found '7'`
	for name, c := range map[string]struct {
		input string
		want  []string
	}{
		"a bad record in an event":       {`{"Records":[` + bad + `,` + a + `]}`, []string{"![0]." + path, "a"}},
		"a record that is no object":     {`[1,"x",` + a + `]`, []string{"![0]: want an object, found '1'", "![1]: want an object, found '\"'", "a"}},
		"a bad line":                     {bad + "\n" + a, []string{"!" + path, "a"}},
		"a line of garbage":              {"hello\n" + a + "\n\x00\xff\n" + b, []string{"!want an object or an array", "a", "!want an object or an array", "b"}},
		"a line torn inside a string":    {a[:25] + "\n" + a, []string{"!the string does not end", "a"}},
		"the first line torn":            {torn + "\n" + a + "\n" + b, []string{"!the line ends in the middle of a value", "a", "b"}},
		"the first of two lines torn":    {torn + "\n" + a, []string{"!the line ends in the middle of a value", "a"}},
		"a later line torn":              {a + "\n" + torn + "\n" + b, []string{"a", "!want a string, found the end", "b"}},
		"the last line torn":             {a + "\n" + b[:40], []string{"a", "!the string does not end"}},
		"a record after a record":        {a + a + "\n" + b, []string{"!want nothing more, found '{'", "b"}},
		"an event inside an array":       {`[{"Records":[` + a + `]},` + b + `]`, []string{"![0]: an event where a record is wanted", "b"}},
		"a document that ends":           {"[\n" + a + ",\n", []string{"!the document ends in the middle of a value"}},
		"a document that breaks":         {"[\n" + a + ",\n}\n" + b + "\n", []string{"!the document is broken"}},
		"a document without commas":      {"[\n" + a + "\n" + b + "\n]", []string{`![1]: want "," or "]"`}},
		"an event that is no array":      {`{"Records":{}}`, []string{"!Records: want an array"}},
		"an event with two Records":      {`{"Records":[],"records":[]}`, []string{"!records: the name appears twice"}},
		"an event with a broken member":  {`{"Records":[` + a + `],"x":01}`, []string{"!x: want a number, found '0'"}},
		"an event that is also a record": {`{"Records":[` + a + `],"dynamodb":{}}`, []string{"!both a record and an event"}},
		"neither record nor event":       {`{"hello":1}`, []string{`!no "dynamodb": neither a stream record nor an event`}},
		"more after an array":            {`[` + a + `] x`, []string{"!the array is broken, or more follows it"}},
		"more after an event":            {`{"Records":[]} x`, []string{"!want \",\" or \"}\""}},
		"deeply nested":                  {strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "\n", []string{"![0]: want an object, found '['"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, read(t, c.input, Options{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLimitsAreKept(t *testing.T) {
	a := record("a", "INSERT", "1", "x")
	big := record("b", "INSERT", "1", strings.Repeat("x", 2000))
	opts := Options{Limits: Limits{RecordBytes: 1000, EventRecords: 2, LineBytes: 3000}}
	long := strings.Repeat("y", 200_000)
	for name, c := range map[string]struct {
		input string
		want  []string
	}{
		"a long record":         {big, []string{"!a record of 2233 bytes, at most 1000"}},
		"a long record of many": {`[` + big + `,` + a + `]`, []string{"![0]: a record of 2233 bytes, at most 1000", "a"}},
		"an event of many":      {`[` + a + `,` + a + `,` + a + `]`, []string{"!more than 2 records in one event: send them in several, or one per line"}},
		"a long line":           {long + "\n" + a, []string{"!a line of 200000 bytes, at most 3000", "a"}},
		"a long last line":      {a + "\n" + long, []string{"a", "!a line of 200000 bytes, at most 3000"}},
		"a long short line":     {strings.Repeat("y", 3001) + "\n" + a, []string{"!a line of 3001 bytes, at most 3000", "a"}},
		"a long document":       {"[\n" + strings.Repeat("[],\n", 1000) + a, []string{"!a document of more than 3000 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, read(t, c.input, opts)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAMalformedPieceKeepsWhatIsNeededToRepairIt(t *testing.T) {
	received := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	bad := strings.Replace(record("b", "MODIFY", "2", "y"), `{"S":"y"}`, `{"S":7}`, 1)
	for d, err := range Decode(t.Context(), strings.NewReader(bad+"\n"), "shard-1", Options{Received: received}) {
		if err != nil || d.Bad == nil {
			t.Fatalf("got %+v, %v", d, err)
		}
		want := &Malformed{
			ID: hashOf([]byte(bad)), Key: lockstep.ItemKey{Partition: "IMAGE#1", Sort: "RECEIPT#00001#LABEL#X"},
			Reason: d.Bad.Reason, Body: []byte(bad), Size: int64(len(bad)), Source: "shard-1", At: received,
		}
		if diff := cmp.Diff(want, d.Bad); diff != "" {
			t.Error(diff)
		}
	}
}

func TestALongMalformedPieceIsCutAndStillToldApart(t *testing.T) {
	ids := map[string]bool{}
	for _, end := range []string{"a", "b"} {
		for _, opts := range []Options{{}, {Limits: Limits{LineBytes: 1000}}} {
			// Two bytes per character, so that the cut would fall inside one.
			line := "x" + strings.Repeat("é", MaxMalformedBytes) + end
			for d, err := range Decode(t.Context(), strings.NewReader(line), "test", opts) {
				if err != nil || d.Bad == nil {
					t.Fatalf("got %+v, %v", d.Message.ID, err)
				}
				if len(d.Bad.Body) != MaxMalformedBytes-1 || d.Bad.Size != int64(len(line)) {
					t.Errorf("body of %d bytes, size %d", len(d.Bad.Body), d.Bad.Size)
				}
				ids[d.Bad.ID] = true
			}
		}
	}
	if len(ids) != 2 {
		t.Errorf("%d ids for two pieces", len(ids))
	}
}

func TestAnUnreadableStreamIsAnError(t *testing.T) {
	broken := errors.New("broken pipe")
	in := io.MultiReader(strings.NewReader(record("a", "INSERT", "1", "x")+"\n{"), iotest.ErrReader(broken))
	next, stop := iter.Pull2(Decode(t.Context(), in, "pipe", Options{}))
	defer stop()
	if d, err, _ := next(); err != nil || d.Message.ID != "a" {
		t.Fatalf("first: %v, %v", d.Message.ID, err)
	}
	if _, err, _ := next(); !errors.Is(err, broken) || !strings.Contains(err.Error(), "pipe") {
		t.Errorf("second: %v", err)
	}
	if _, _, more := next(); more {
		t.Error("something after the error")
	}
}

func TestACancelledContextEndsTheReading(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := record("a", "INSERT", "1", "x")
	n := 0
	for _, err := range Decode(ctx, strings.NewReader(`[`+a+`,`+a+`]`), "test", Options{}) {
		n++
		if n == 1 {
			cancel()
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	if n != 2 {
		t.Errorf("%d values", n)
	}
	for _, err := range Decode(ctx, strings.NewReader(a), "test", Options{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAConsumerMayStopAnywhere(t *testing.T) {
	a := record("a", "INSERT", "1", "x")
	for _, input := range []string{a + "\n" + a, `[` + a + `,` + a + `]`, "x\ny", "[\n1"} {
		n := 0
		for range Decode(t.Context(), strings.NewReader(input), "test", Options{}) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%q: %d values", input, n)
		}
	}
}

func TestWhatIsAcceptedIsAcceptedAgainFromTheBody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		input := genRecord().Draw(t, "record")
		first := mustMessage(t, input)
		again := mustMessage(t, string(first.Body))
		if diff := cmp.Diff(first, again, sameValue); diff != "" {
			t.Fatal(diff)
		}
	})
}

// genRecord draws a stream record with any images, written loosely.
func genRecord() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		keys := lockstep.Item{
			"PK": {Type: "S", Text: rapid.StringN(1, 20, 100).Draw(t, "pk")},
			"SK": rapid.SampledFrom([]lockstep.Attr{{Type: "S", Text: "x|y"}, {Type: "N", Text: "1.50"}, {Type: "B", Text: "\x00\xff"}}).Draw(t, "sk"),
		}
		image := func(label string) string {
			it := genItem(2).Draw(t, label)
			it["PK"] = keys["PK"]
			delete(it, "SK")
			if rapid.Bool().Draw(t, "with SK") {
				it["SK"] = keys["SK"]
			}
			return looseItem(it)
		}
		event := rapid.SampledFrom([]lockstep.Event{lockstep.Insert, lockstep.Modify, lockstep.Remove}).Draw(t, "event")
		var parts []string
		if event != lockstep.Remove {
			parts = append(parts, `"NewImage": `+image("new"))
		}
		if event != lockstep.Insert && rapid.Bool().Draw(t, "with old") {
			parts = append(parts, `"oldImage": `+image("old"))
		}
		parts = append(parts, `"Keys": `+looseItem(keys))
		parts = append(parts, fmt.Sprintf(`"SequenceNumber": "%d"`, rapid.Uint64().Draw(t, "seq")))
		if at := rapid.SampledFrom([]string{"", "1.428537600E9", "1428537600", "1428537600.123456789", "-0.5", `"2025-12-15T18:00:00.25+01:00"`, `"2025-12-15 18:00:00+00:00"`, "null"}).Draw(t, "at"); at != "" {
			parts = append(parts, `"ApproximateCreationDateTime": `+at)
		}
		parts = append(parts, `"SizeBytes": 12 , "x y": [1, {"a": " b "}]`)
		parts = rapid.Permutation(parts).Draw(t, "order")
		id := rapid.SampledFrom([]string{``, `"eventID": "e\u0041\"",`, `"EventId": null,`, `"eventID": "",`}).Draw(t, "id")
		return fmt.Sprintf("{%s \"awsRegion\" : \"eu\",\n\"eventName\": %q, \"Dynamodb\" : {%s}}", id, event, strings.Join(parts, ", "))
	})
}

func mustMessage(t interface{ Fatalf(string, ...any) }, input string) lockstep.Message {
	var out []lockstep.Message
	for d, err := range Decode(context.Background(), strings.NewReader(input), "test", Options{}) {
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		if d.Bad != nil {
			t.Fatalf("malformed: %s\n%s", d.Bad.Reason, input)
		}
		out = append(out, d.Message)
	}
	if len(out) != 1 {
		t.Fatalf("%d messages", len(out))
	}
	return out[0]
}
