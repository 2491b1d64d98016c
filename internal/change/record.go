package change

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"strings"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"

	"github.com/zeebo/blake3"
)

// Schema names the table's key attributes. The zero value means PK and SK.
type Schema = handler.KeySchema

// resolve fills in the names that a Schema leaves out.
func resolve(s Schema) Schema {
	if s.Partition == "" {
		s.Partition = "PK"
		if s.Sort == "" {
			s.Sort = "SK"
		}
	}
	return s
}

// reader turns the text of one stream record into a message.
type reader struct {
	schema Schema
	limits Limits
}

// envelope is a stream record before it is judged: what was present, and the text
// of what Message.Body keeps as it came.
type envelope struct {
	id, event string
	rest      []extra // members of the record that are not read, in their order
	stream    streamRecord
	hasStream bool
}

// streamRecord is the member "dynamodb" of a record.
type streamRecord struct {
	keys, before, after             lockstep.Item // nil when absent
	keysText, beforeText, afterText string
	seq                             string
	at                              time.Time
	rest                            []extra
}

type extra struct{ name, text string }

// isEvent is the fault of a record that turns out to be a whole event.
var isEvent = &fault{reason: "an event where a record is wanted"}

// record reads text, which must be one stream record and nothing else.
func (r reader) record(text string) (lockstep.Message, *fault) {
	if len(text) > r.limits.RecordBytes {
		return lockstep.Message{}, faultf("a record of %d bytes, at most %d", len(text), r.limits.RecordBytes)
	}
	s := &scanner{src: text, depth: r.limits.Depth}
	env, f := s.envelope()
	if f == nil {
		f = s.end()
	}
	if f != nil {
		return lockstep.Message{}, f
	}
	return r.message(env)
}

func (s *scanner) envelope() (env envelope, f *fault) {
	var seen names
	more, f := s.open('{', '}')
	for more && f == nil {
		var name string
		if name, f = s.name(); f != nil {
			return env, f
		}
		known := fieldName(name)
		if !seen.add(known) {
			return env, faultf("the name appears twice").in(segment(name))
		}
		switch known {
		case "eventid":
			env.id, f = s.optionalText()
		case "eventname":
			env.event, f = s.text()
		case "dynamodb":
			env.hasStream = true
			f = s.stream(&env.stream)
		case "records":
			return env, isEvent
		default:
			env.rest, f = s.extra(env.rest, name)
		}
		if f != nil {
			return env, f.in(segment(name))
		}
		more, f = s.more('}')
	}
	return env, f
}

func (s *scanner) stream(r *streamRecord) *fault {
	var seen names
	more, f := s.open('{', '}')
	for more && f == nil {
		var name string
		if name, f = s.name(); f != nil {
			return f
		}
		known := fieldName(name)
		if !seen.add(known) {
			return faultf("the name appears twice").in(segment(name))
		}
		switch known {
		case "keys":
			r.keys, r.keysText, f = s.image()
		case "newimage":
			r.after, r.afterText, f = s.image()
		case "oldimage":
			r.before, r.beforeText, f = s.image()
		case "sequencenumber":
			r.seq, f = s.text()
		case "approximatecreationdatetime":
			if !s.word("null") {
				r.at, f = s.when()
			}
		default:
			r.rest, f = s.extra(r.rest, name)
		}
		if f != nil {
			return f.in(segment(name))
		}
		more, f = s.more('}')
	}
	return f
}

// fieldName folds the spellings of a member of the envelope: the API says
// Dynamodb and EventName, Lambda says dynamodb and eventName. Attribute names are
// never folded.
func fieldName(name string) string {
	switch name { // the common spellings need no new string
	case "eventID":
		return "eventid"
	case "eventName":
		return "eventname"
	case "dynamodb":
		return name
	case "Keys":
		return "keys"
	case "NewImage":
		return "newimage"
	case "OldImage":
		return "oldimage"
	case "SequenceNumber":
		return "sequencenumber"
	case "ApproximateCreationDateTime":
		return "approximatecreationdatetime"
	}
	return strings.ToLower(name)
}

func (s *scanner) optionalText() (string, *fault) {
	if s.word("null") {
		return "", nil
	}
	return s.text()
}

// image reads an item together with its text. null is how some SDKs write "absent".
func (s *scanner) image() (lockstep.Item, string, *fault) {
	if s.word("null") {
		return nil, "", nil
	}
	start := s.pos // word has skipped the blanks
	it, f := s.item(1)
	return it, s.src[start:s.pos], f
}

func (s *scanner) extra(rest []extra, name string) ([]extra, *fault) {
	text, f := s.skip(2*s.depth + 8) // an attribute value is two levels of JSON
	if f != nil {
		return nil, f
	}
	return append(rest, extra{name, text}), nil
}

// message judges an envelope. A record is a message only when nothing about it is
// in doubt: a doubtful one could erase what is right.
func (r reader) message(env envelope) (m lockstep.Message, f *fault) {
	if !env.hasStream {
		return m, faultf(`no "dynamodb": neither a stream record nor an event`)
	}
	if len(env.id) > MaxEventIDBytes {
		return m, faultf("an event id of %d bytes, at most %d", len(env.id), MaxEventIDBytes).in("eventID")
	}
	st := env.stream
	key, f := r.key(st.keys)
	if f != nil {
		return m, f.in("dynamodb")
	}
	if f := checkSequence(st.seq); f != nil {
		return m, f.in("dynamodb")
	}
	event := lockstep.Event(env.event)
	if f := checkImages(event, st); f != nil {
		return m, f
	}
	before, f := complete(st.before, st.keys)
	if f != nil {
		return m, f.in("OldImage").in("dynamodb")
	}
	after, f := complete(st.after, st.keys)
	if f != nil {
		return m, f.in("NewImage").in("dynamodb")
	}
	m = lockstep.Message{
		ID:    env.id,
		Group: key.Partition,
		Change: lockstep.Change{
			Key: key, Event: event, Seq: lockstep.Sequence(st.seq),
			Old: before, New: after, At: st.at,
		},
		Body: appendRecord(nil, env),
	}
	if m.ID == "" {
		m.ID = derivedID(key, m.Change.Seq)
	}
	if len(m.Body) > r.limits.RecordBytes { // a time in exponent form grows
		return m, faultf("a record of %d bytes, at most %d", len(m.Body), r.limits.RecordBytes)
	}
	return m, nil
}

// key reads the item's key out of the member Keys.
func (r reader) key(keys lockstep.Item) (key lockstep.ItemKey, f *fault) {
	if keys == nil {
		return key, faultf("missing").in("Keys")
	}
	if key.Partition, f = keyText(keys, r.schema.Partition); f != nil {
		return lockstep.ItemKey{}, f.in("Keys")
	}
	want := 1
	if r.schema.Sort != "" {
		want = 2
		if key.Sort, f = keyText(keys, r.schema.Sort); f != nil {
			return lockstep.ItemKey{}, f.in("Keys")
		}
	}
	if len(keys) != want {
		return lockstep.ItemKey{}, faultf("%d attributes, but the table's key has %d", len(keys), want).in("Keys")
	}
	if n := len(ParkedPrefix(key.Partition)) - 1; n > MaxPartitionBytes {
		return lockstep.ItemKey{}, faultf("a partition key of %d bytes, at most %d", n, MaxPartitionBytes).in("Keys")
	}
	if n := len(key.RecordID()); n > MaxKeyBytes {
		return lockstep.ItemKey{}, faultf("a key of %d bytes, at most %d", n, MaxKeyBytes).in("Keys")
	}
	return key, nil
}

// keyText returns a key attribute as text: S and N as they are, B in base64.
func keyText(keys lockstep.Item, name string) (string, *fault) {
	a, ok := keys[name]
	if !ok {
		return "", faultf("missing").in(segment(name))
	}
	if a.Type != lockstep.AttrS && a.Type != lockstep.AttrN && a.Type != lockstep.AttrB {
		return "", faultf("a key of type %s, want S, N or B", a.Type).in(segment(name))
	}
	if a.Text == "" {
		return "", faultf("empty").in(segment(name))
	}
	if a.Type == lockstep.AttrB {
		return base64.StdEncoding.EncodeToString([]byte(a.Text)), nil
	}
	return a.Text, nil
}

func checkSequence(seq string) *fault {
	switch {
	case seq == "":
		return faultf("missing").in("SequenceNumber")
	case !lockstep.Sequence(seq).Valid():
		return faultf("%q is not a decimal number", clip(seq, 64)).in("SequenceNumber")
	case len(seq) > MaxSequenceDigits:
		return faultf("%d digits, at most %d", len(seq), MaxSequenceDigits).in("SequenceNumber")
	}
	return nil
}

// checkImages refuses an event whose images do not fit it. A missing old image is
// allowed: the stream may be of the view type NEW_IMAGE or KEYS_ONLY.
func checkImages(event lockstep.Event, st streamRecord) *fault {
	switch event {
	case lockstep.Insert, lockstep.Modify:
		if st.after == nil {
			return faultf("missing, but the event is %s", event).in("NewImage").in("dynamodb")
		}
		if event == lockstep.Insert && st.before != nil {
			return faultf("present, but the event is INSERT").in("OldImage").in("dynamodb")
		}
	case lockstep.Remove:
		if st.after != nil {
			return faultf("present, but the event is REMOVE").in("NewImage").in("dynamodb")
		}
	default:
		return faultf("%q, want INSERT, MODIFY or REMOVE", clip(string(event), 64)).in("eventName")
	}
	return nil
}

// complete returns the image with the key attributes in it, and refuses one that
// contradicts them or is empty.
func complete(image, keys lockstep.Item) (lockstep.Item, *fault) {
	if image == nil {
		return nil, nil
	}
	if len(image) == 0 {
		return nil, faultf("empty")
	}
	for name, want := range keys {
		got, ok := image[name]
		if ok && (got.Type != want.Type || got.Text != want.Text) {
			return nil, faultf("contradicts Keys").in(segment(name))
		}
	}
	maps.Copy(image, keys)
	return image, nil
}

// derivedID names a record that came without an event id, the same on every delivery.
func derivedID(key lockstep.ItemKey, seq lockstep.Sequence) string {
	sum := blake3.Sum256([]byte(key.RecordID() + "@" + string(seq)))
	return hex.EncodeToString(sum[:16])
}

// appendRecord writes the record in its canonical shape: the names and the order
// of Lambda, no blanks, the time as a number, images and unread members as they came.
func appendRecord(dst []byte, env envelope) []byte {
	st := env.stream
	if dst == nil {
		dst = make([]byte, 0, 256+len(st.keysText)+len(st.beforeText)+len(st.afterText))
	}
	dst = append(dst, '{')
	if env.id != "" {
		dst = append(appendText(append(dst, `"eventID":`...), env.id), ',')
	}
	dst = appendText(append(dst, `"eventName":`...), env.event)
	dst = appendExtras(dst, env.rest)
	dst = append(dst, `,"dynamodb":{"Keys":`...)
	dst = appendCompact(dst, st.keysText)
	if st.after != nil {
		dst = appendCompact(append(dst, `,"NewImage":`...), st.afterText)
	}
	if st.before != nil {
		dst = appendCompact(append(dst, `,"OldImage":`...), st.beforeText)
	}
	dst = appendText(append(dst, `,"SequenceNumber":`...), st.seq)
	if !st.at.IsZero() {
		dst = appendEpoch(append(dst, `,"ApproximateCreationDateTime":`...), st.at)
	}
	dst = appendExtras(dst, st.rest)
	return append(dst, '}', '}')
}

func appendExtras(dst []byte, rest []extra) []byte {
	for _, e := range rest {
		dst = append(appendText(append(dst, ','), e.name), ':')
		dst = appendCompact(dst, e.text)
	}
	return dst
}

// appendCompact appends JSON text without the blanks between its tokens.
func appendCompact(dst []byte, text string) []byte {
	inString := false
	start := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			i++
		case !inString && (c == ' ' || c == '\n' || c == '\t' || c == '\r'):
			dst = append(dst, text[start:i]...)
			start = i + 1
		}
	}
	return append(dst, text[start:]...)
}
