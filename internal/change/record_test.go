package change

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
)

func TestARecordBecomesAMessage(t *testing.T) {
	const input = `{"eventID":"ev-17","eventVersion":"1.1", "eventName":"MODIFY","eventSource":"aws:dynamodb","awsRegion":"us-east-1",
	 "dynamodb":{"ApproximateCreationDateTime":1.428537600E9,"SizeBytes":59,
	   "Keys":{"PK":{"S":"IMAGE#1"},"SK":{"S":"RECEIPT#00001"}},
	   "OldImage":{"width":{"N":"10"},"PK":{"S":"IMAGE#1"},"SK":{"S":"RECEIPT#00001"}},
	   "NewImage":{"width":{"N":"11"},"tags":{"SS":["b","a"]}},
	   "SequenceNumber":"000300000000013600002","StreamViewType":"NEW_AND_OLD_IMAGES"}}`
	pk, sk := lockstep.Attr{Type: "S", Text: "IMAGE#1"}, lockstep.Attr{Type: "S", Text: "RECEIPT#00001"}
	want := lockstep.Message{
		ID: "ev-17", Group: "IMAGE#1", Source: "test",
		Change: lockstep.Change{
			Key: lockstep.ItemKey{Partition: "IMAGE#1", Sort: "RECEIPT#00001"}, Event: lockstep.Modify, Seq: "000300000000013600002",
			Old: lockstep.Item{"PK": pk, "SK": sk, "width": {Type: "N", Text: "10"}},
			New: lockstep.Item{"PK": pk, "SK": sk, "width": {Type: "N", Text: "11"}, "tags": {Type: "SS", Set: []string{"a", "b"}}},
			At:  time.Unix(1428537600, 0).UTC(),
		},
		Body: []byte(`{"eventID":"ev-17","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1",` +
			`"dynamodb":{"Keys":{"PK":{"S":"IMAGE#1"},"SK":{"S":"RECEIPT#00001"}},"NewImage":{"width":{"N":"11"},"tags":{"SS":["b","a"]}},` +
			`"OldImage":{"width":{"N":"10"},"PK":{"S":"IMAGE#1"},"SK":{"S":"RECEIPT#00001"}},"SequenceNumber":"000300000000013600002",` +
			`"ApproximateCreationDateTime":1428537600,"SizeBytes":59,"StreamViewType":"NEW_AND_OLD_IMAGES"}}`),
	}
	if diff := cmp.Diff(want, mustMessage(t, input)); diff != "" {
		t.Error(diff)
	}
}

func TestARecordInDoubtIsMalformed(t *testing.T) {
	good := record("a", "MODIFY", "1", "x")
	const keys = `"Keys":{"PK":{"S":"IMAGE#1"},"SK":{"S":"RECEIPT#00001#LABEL#X"}}`
	const image = `{"PK":{"S":"IMAGE#1"},"SK":{"S":"RECEIPT#00001#LABEL#X"},"validation_status":{"S":"x"}}`
	for name, c := range map[string]struct{ old, new, want string }{
		"no keys":               {keys + `,`, ``, `dynamodb.Keys: missing`},
		"keys null":             {keys, `"Keys":null`, `dynamodb.Keys: missing`},
		"no sort key":           {keys, `"Keys":{"PK":{"S":"x"}}`, `dynamodb.Keys.SK: missing`},
		"no partition key":      {keys, `"Keys":{"SK":{"S":"x"}}`, `dynamodb.Keys.PK: missing`},
		"a third key":           {keys, keys[:len(keys)-1] + `,"X":{"S":"x"}}`, `dynamodb.Keys: 3 attributes, but the table's key has 2`},
		"a key of another type": {keys, `"Keys":{"PK":{"BOOL":true},"SK":{"S":"x"}}`, `dynamodb.Keys.PK: a key of type BOOL, want S, N or B`},
		"an empty key":          {keys, `"Keys":{"PK":{"S":""},"SK":{"S":"x"}}`, `dynamodb.Keys.PK: empty`},
		"a long partition key":  {`"PK":{"S":"IMAGE#1"}`, `"PK":{"S":"` + strings.Repeat("|", 300) + `"}`, `dynamodb.Keys: a partition key of 900 bytes, at most 874`},
		"a long key":            {`"SK":{"S":"RECEIPT`, `"SK":{"S":"` + strings.Repeat("x", 1024), `dynamodb.Keys: a key of 1046 bytes, at most 1024`},
		"no sequence number":    {`,"SequenceNumber":"1"`, ``, `dynamodb.SequenceNumber: missing`},
		"sequence no decimal":   {`Number":"1"`, `Number":"1a"`, `dynamodb.SequenceNumber: "1a" is not a decimal number`},
		"sequence no string":    {`Number":"1"`, `Number":1`, `dynamodb.SequenceNumber: want a string, found '1'`},
		"sequence too long":     {`Number":"1"`, `Number":"` + strings.Repeat("1", 65) + `"`, `dynamodb.SequenceNumber: 65 digits, at most 64`},
		"unknown event":         {`"MODIFY"`, `"modify"`, `eventName: "modify", want INSERT, MODIFY or REMOVE`},
		"no event":              {`"eventName":"MODIFY",`, ``, `eventName: "", want INSERT, MODIFY or REMOVE`},
		"no new image":          {`"NewImage":` + image + `,`, ``, `dynamodb.NewImage: missing, but the event is MODIFY`},
		"new image null":        {`"NewImage":` + image, `"NewImage":null`, `dynamodb.NewImage: missing, but the event is MODIFY`},
		"new image empty":       {`"NewImage":` + image, `"NewImage":{}`, `dynamodb.NewImage: empty`},
		"old image empty":       {`"OldImage":` + image, `"OldImage":{}`, `dynamodb.OldImage: empty`},
		"removed and new":       {`"MODIFY"`, `"REMOVE"`, `dynamodb.NewImage: present, but the event is REMOVE`},
		"inserted and old":      {`"MODIFY"`, `"INSERT"`, `dynamodb.OldImage: present, but the event is INSERT`},
		"another key":           {`"NewImage":{"PK":{"S":"IMAGE#1"}`, `"NewImage":{"PK":{"S":"IMAGE#2"}`, `dynamodb.NewImage.PK: contradicts Keys`},
		"a key of its own type": {`"OldImage":{"PK":{"S":"IMAGE#1"}`, `"OldImage":{"PK":{"N":"1"}`, `dynamodb.OldImage.PK: contradicts Keys`},
		"unreadable new image":  {`{"S":"x"}},"OldImage"`, `{"S":["x"]}},"OldImage"`, `dynamodb.NewImage.validation_status.S: want a string, found '['`},
		"unreadable time":       {`"SequenceNumber"`, `"ApproximateCreationDateTime":"soon","SequenceNumber"`, `dynamodb.ApproximateCreationDateTime: "soon" is not an RFC 3339 time`},
		"a time out of range":   {`"SequenceNumber"`, `"ApproximateCreationDateTime":1e30,"SequenceNumber"`, `dynamodb.ApproximateCreationDateTime: 1e30 is not a number of seconds in the years 1 to 9999`},
		"event id no string":    {`"eventID":"a"`, `"eventID":7`, `eventID: want a string, found '7'`},
		"event id too long":     {`"eventID":"a"`, `"eventID":"` + strings.Repeat("a", 129) + `"`, `eventID: an event id of 129 bytes, at most 128`},
		"a name twice":          {`"eventID":"a"`, `"eventID":"a","EventId":"b"`, `EventId: the name appears twice`},
		"an image twice":        {`"SequenceNumber"`, `"newImage":{},"SequenceNumber"`, `dynamodb.newImage: the name appears twice`},
		"a bad unread member":   {`"eventID"`, `"x":{"y":[1,{"z":1,"z":2}]},"eventID"`, `x.y[1].z: the name appears twice`},
		"no dynamodb":           {`"dynamodb"`, `"dynamo"`, `no "dynamodb": neither a stream record nor an event`},
		"dynamodb null":         {good[strings.Index(good, `"dynamodb"`):], `"dynamodb":null}`, `dynamodb: want an object, found 'n'`},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("%s is not in %s", c.old, good)
			}
			got := read(t, strings.Replace(good, c.old, c.new, 1), Options{})
			if diff := cmp.Diff([]string{"!" + c.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestImagesThatAStreamMayLeaveOutAreNotMissed(t *testing.T) {
	remove := record("a", "REMOVE", "1", "x")
	bare := remove[:strings.Index(remove, `,"OldImage"`)] + remove[strings.Index(remove, `,"SequenceNumber"`):]
	modify := record("b", "MODIFY", "1", "x")
	newOnly := modify[:strings.Index(modify, `,"OldImage"`)] + modify[strings.Index(modify, `,"SequenceNumber"`):]
	if diff := cmp.Diff([]string{"a", "b"}, read(t, bare+"\n"+newOnly, Options{})); diff != "" {
		t.Error(diff)
	}
}

func TestKeysMayHaveOtherNamesAndTypes(t *testing.T) {
	const input = `{"eventName":"REMOVE","dynamodb":{"Keys":{%s},"SequenceNumber":"7"}}`
	for _, c := range []struct {
		schema Schema
		keys   string
		want   lockstep.ItemKey
	}{
		{Schema{}, `"PK":{"N":"1.50"},"SK":{"B":"AP8="}`, lockstep.ItemKey{Partition: "1.50", Sort: "AP8="}},
		{Schema{Partition: "id"}, `"id":{"S":"x"}`, lockstep.ItemKey{Partition: "x"}},
		{Schema{Partition: "id", Sort: "at"}, `"at":{"N":"5"},"id":{"S":"x"}`, lockstep.ItemKey{Partition: "x", Sort: "5"}},
	} {
		for d := range Decode(t.Context(), strings.NewReader(strings.Replace(input, "%s", c.keys, 1)), "test", Options{Schema: c.schema}) {
			if d.Bad != nil {
				t.Fatal(d.Bad.Reason)
			}
			if diff := cmp.Diff(c.want, d.Message.Change.Key); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestARecordWithoutEventIDIsNamedByItsKeyAndSequence(t *testing.T) {
	a := mustMessage(t, strings.Replace(record("a", "INSERT", "1", "x"), `"eventID":"a",`, ``, 1))
	b := mustMessage(t, strings.Replace(record("a", "INSERT", "1", "y"), `"eventID":"a",`, `"eventID":"",`, 1))
	c := mustMessage(t, strings.Replace(record("a", "INSERT", "2", "x"), `"eventID":"a",`, ``, 1))
	if a.ID != b.ID || a.ID == c.ID || len(a.ID) != 32 {
		t.Errorf("ids %s, %s, %s", a.ID, b.ID, c.ID)
	}
}

func TestMembersThatNobodyReadsMustBeWellFormed(t *testing.T) {
	good := record("a", "INSERT", "1", "x")
	var many strings.Builder
	for i := range 40 {
		fmt.Fprintf(&many, "\"n%d\":%d.5e-1,", i, i)
	}
	for extra, want := range map[string]string{
		`"x":{` + many.String() + `"n":[true,false,null,"",-0]}`:   "a",
		`"x":{` + many.String() + `"n39":0}`:                       "!x.n39: the name appears twice",
		`"x":{"n1":0,"n1":0}`:                                      "!x.n1: the name appears twice",
		`"x":` + strings.Repeat("[", 99) + strings.Repeat("]", 99): "!x" + strings.Repeat("[0]", 88) + ": nested too deeply",
		`"x":01`:                                `!x: want a number, found '0'`,
		`"x":1.`:                                `!x: want a digit, found ','`,
		`"x":1e`:                                `!x: want a digit, found ','`,
		`"x":-`:                                 `!x: want a number, found '-'`,
		`"x":nul`:                               `!x: want a value, found 'n'`,
		`"x":[1,]`:                              `!x[1]: want a value, found ']'`,
		`"` + strings.Repeat("é", 60) + `":nul`: "![\"" + strings.Repeat("é", 30) + "…\"]: want a value, found 'n'",
	} {
		got := read(t, strings.Replace(good, "{", "{"+extra+",", 1), Options{})
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("%.60s: %s", extra, diff)
		}
	}
}

func TestTimesAreExact(t *testing.T) {
	for text, want := range map[string]string{
		`0`: "1970-01-01T00:00:00Z", `1.5`: "1970-01-01T00:00:01.5Z", `-0.5`: "1969-12-31T23:59:59.5Z", `-1.5`: "1969-12-31T23:59:58.5Z",
		`1765821600.123456`: "2025-12-15T18:00:00.123456Z", `1.428537600E9`: "2015-04-09T00:00:00Z", `1.4285376001234567891e9`: "2015-04-09T00:00:00.123456789Z",
		`253402300799`: "9999-12-31T23:59:59Z", `"2025-12-15T18:00:00+01:00"`: "2025-12-15T17:00:00Z",
	} {
		s := scanner{src: text}
		got, f := s.when()
		if f != nil {
			t.Errorf("%s: %v", text, f)
			continue
		}
		if got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s: got %s, want %s", text, got.Format(time.RFC3339Nano), want)
		}
		again := scanner{src: string(appendEpoch(nil, got))}
		if back, f := again.when(); f != nil || !back.Equal(got) {
			t.Errorf("%s: written as %s, read as %v, %v", text, again.src, back, f)
		}
	}
	for _, text := range []string{`253402300800`, `1e999999999`, `1e64`, `"2025-12-15"`, `true`, `01`, `-62135596801`} {
		s := scanner{src: text}
		got, f := s.when()
		if f == nil {
			f = s.end()
		}
		if f == nil {
			t.Errorf("%s: read as %v", text, got)
		}
	}
}
