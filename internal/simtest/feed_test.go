package simtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/receipt/synth"
)

// message is one thing that the stream delivers, and what is known of its fate.
type message struct {
	lockstep.Message
	bad   *change.Malformed // then Message is empty
	acked bool
}

func (m *message) name() string {
	if m.bad != nil {
		return "malformed " + m.bad.ID[:8]
	}
	return fmt.Sprintf("%s (%s #%s)", m.ID, m.Change.Key, m.Change.Seq)
}

// feed is the stream: everything that will ever be delivered, in the order in which it
// happened, which is not the order in which it comes.
type feed struct {
	w       *world
	all     []*message
	byID    map[string]*message // by message id, or by the id of a malformed piece
	next    int                 // the oldest that was not delivered yet
	sent    []bool
	synth   *synth.Generator // set when the seed is about receipts
	ignored map[string]bool  // by message id, once somebody asked
}

func newFeed(w *world) *feed {
	f := &feed{w: w, byID: map[string]*message{}, ignored: map[string]bool{}}
	switch {
	case w.reverting:
		f.rings()
	case w.rng.IntN(8) == 0:
		f.receipts()
	default:
		f.joins()
	}
	f.sent = make([]bool, len(f.all))
	return f
}

func (f *feed) handler(picky bool) handler.Handler {
	switch {
	case f.synth != nil:
		return receipt.V2(receipt.V2Config{})
	case f.w.reverting:
		return ring{}
	}
	return join{picky: picky}
}

// add decodes one piece of the stream as it would come over the wire.
func (f *feed) add(text []byte) {
	for d, err := range change.Decode(f.w.ctx, bytes.NewReader(text), "stream", change.Options{Received: f.w.now}) {
		if err != nil {
			panic(err) // a reader in memory does not fail
		}
		m := &message{Message: d.Message, bad: d.Bad}
		id := m.ID
		if m.bad != nil {
			id = m.bad.ID
		}
		if f.byID[id] == nil {
			f.byID[id] = m
			f.all = append(f.all, m)
		}
	}
}

// joins is the life of a few items, as the handler join wants them.
func (f *feed) joins() {
	w := f.w
	groups, keys, n := 2+w.rng.IntN(4), 2+w.rng.IntN(3), 20+w.rng.IntN(50)
	alive := map[lockstep.ItemKey]bool{}
	large := w.rng.IntN(12) == 0
	fails := 12 // one message of so many
	if w.crowded {
		groups, keys, fails = 1+w.rng.IntN(2), 2, 4
	}
	for i := range n {
		key := lockstep.ItemKey{Partition: fmt.Sprintf("G%d", w.rng.IntN(groups)), Sort: fmt.Sprintf("K%d", w.rng.IntN(keys))}
		switch p := w.rng.IntN(100); {
		case p < 12:
			key.Partition = shared
		case p < 15:
			key.Partition = "IGNORED"
		case p < 18:
			f.add(fmt.Appendf(nil, `{"eventID":"broken %d`, i))
			continue
		}
		v := fmt.Sprintf("v%d", i)
		if w.rng.IntN(fails) == 0 {
			v = fmt.Sprintf("fail%d", i)
		}
		if large && w.rng.IntN(4) == 0 {
			v += f.noise(70 << 10) // the delta becomes an object of its own
		}
		event := lockstep.Modify
		switch {
		case !alive[key]:
			event = lockstep.Insert
		case w.rng.IntN(5) == 0:
			event = lockstep.Remove
		}
		alive[key] = event != lockstep.Remove
		f.add(record(event, key, v, i+1))
	}
}

// noise does not compress to less than n bytes.
func (f *feed) noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(f.w.rng.Uint32())
	}
	return base64.StdEncoding.EncodeToString(b)
}

func record(event lockstep.Event, key lockstep.ItemKey, v string, seq int) []byte {
	keys := map[string]any{"PK": map[string]string{"S": key.Partition}, "SK": map[string]string{"S": key.Sort}}
	image := map[string]any{"PK": keys["PK"], "SK": keys["SK"], "v": map[string]string{"S": v}}
	stream := map[string]any{"Keys": keys, "SequenceNumber": fmt.Sprint(1000 + seq)}
	if event != lockstep.Remove {
		stream["NewImage"] = image
	}
	if event != lockstep.Insert {
		stream["OldImage"] = image
	}
	b, err := json.Marshal(map[string]any{"eventID": fmt.Sprintf("e%d", seq), "eventName": event, "dynamodb": stream})
	if err != nil {
		panic(err) // plain data
	}
	return b
}

// receipts is a small table of receipts and a busy day.
func (f *feed) receipts() {
	f.synth = synth.New(f.w.seed, synth.Options{
		Receipts: 2, Lines: synth.Range{Min: 1, Max: 2}, Words: synth.Range{Min: 1, Max: 2}, Dimension: 3, Labels: 60,
	})
	for e := range f.synth.Events() {
		f.add(e.AppendJSON(nil))
	}
	for _, edit := range f.synth.Edits(15) {
		for _, e := range edit.Events {
			f.add(e.AppendJSON(nil))
		}
	}
}

// source finds the embeddings of a run; missing says whether they are late.
func (f *feed) source(ref handler.ImportRef) (handler.Import, error) { return f.synth.Import(ref) }

func (f *feed) missing(ref handler.ImportRef) bool {
	return ref.Collection == receipt.Words && strings.ContainsAny(ref.Location[len(ref.Location)-4:], "13")
}

// deliver puts what has come into the queue: mostly in order, some of it early, some of
// it twice. In calm weather all of it comes.
func (f *feed) deliver() {
	w := f.w
	if f.next < len(f.all) && w.chance(25) {
		i := f.next
		if w.chance(30) {
			i = min(len(f.all)-1, f.next+w.rng.IntN(12))
		}
		if !f.sent[i] {
			f.sent[i] = true
			w.queue = append(w.queue, f.all[i])
			if w.crowded && w.chance(30) {
				w.queue = append(w.queue, f.all[i])
				w.count.again++
			}
		}
		for f.next < len(f.all) && f.sent[f.next] {
			f.next++
		}
	}
	again, far := 3.0, 0
	if w.crowded {
		again, far = 15, max(0, f.next-4)
	}
	if !w.calm && f.next > 0 && w.chance(again) {
		m := f.all[far+w.rng.IntN(min(len(f.all), f.next+12)-far)]
		w.queue = append(w.queue, m)
		w.count.again++
	}
}
