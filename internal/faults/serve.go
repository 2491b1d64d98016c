package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/metajson"
)

// Process is what a program has of its surroundings.
type Process struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Serve is receipts@2 as a program (docs/format/exec.md), with the fault of that name. It
// returns when its input ends, or earlier and with an error when the fault says so.
func Serve(ctx context.Context, mode string, p Process) error {
	if mode == modeCrash {
		return errors.New("ModuleNotFoundError: No module named 'processor'")
	}
	s := server{mode: mode, h: good(mode), Process: p}
	lines := bufio.NewReaderSize(p.Stdin, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.answer(ctx, line)
		}
		if err != nil {
			return err
		}
	}
}

type server struct {
	Process
	mode string
	h    handler.Handler
	kept [][]byte
}

// object is one JSON object of an answer.
type object map[string]any

func (s *server) answer(ctx context.Context, line []byte) error {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	a := object{"id": r.ID}
	switch r.Request {
	case "describe":
		a["protocol"], a["describe"] = r.Protocol, descriptionOf(s.h.Describe())
	case "reads":
		messages, err := r.messages()
		if err != nil {
			return err
		}
		a["reads"] = readsOf(s.h.Reads(messages))
	case "plan":
		u, err := r.unit()
		if err != nil {
			return err
		}
		if done, err := s.misbehave(&u); done || err != nil {
			return err
		}
		if muts, err := s.h.Plan(ctx, u); err != nil {
			a["error"] = object{"message": err.Error(), "class": "invalid"}
		} else {
			a["mutations"] = mutationsOf(muts)
		}
	default:
		return fmt.Errorf("request %q: %w", r.Request, lockstep.ErrInvalid)
	}
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = s.Stdout.Write(append(b, '\n'))
	return err
}

const (
	leakBytes  = 64 << 20
	floodBytes = 256 << 10
)

// misbehave does what the fault does with a unit, and says whether it has answered.
func (s *server) misbehave(u *handler.Unit) (answered bool, err error) {
	switch s.mode {
	case modeLeak:
		s.kept = append(s.kept, make([]byte, leakBytes))
	case modeStderr:
		_, err = s.Stderr.Write(append(bytes.Repeat([]byte("DEBUG planning a unit\n"), floodBytes/22), '\n'))
	case modeGarbage:
		if one(10, u.Messages[0].ID) {
			_, err = io.WriteString(s.Stdout, "planning "+u.Messages[0].ID+"\n")
			return true, err
		}
	}
	return false, err
}

// The requests, as far as receipts@2 looks at them.
type (
	request struct {
		ID       uint64
		Request  string
		Protocol string
		Messages []message
		View     struct {
			Records map[lockstep.Collection][]record
			Items   []item
			Imports []imports
		}
		Now time.Time
	}
	message struct {
		ID, Group, Source, Entity, Event, Partition, Sort, Seq string

		At       time.Time
		Old, New json.RawMessage
	}
	record struct {
		ID       string
		Document *string
		Metadata json.RawMessage
		Vector   json.RawMessage
	}
	item struct {
		Partition, Sort, Entity, Seq, Removed, First string

		Image json.RawMessage
	}
	imports struct {
		Collection lockstep.Collection
		Location   string
		Message    int
		Embeddings []record
	}
)

func (r *request) messages() ([]lockstep.Message, error) {
	var out []lockstep.Message
	for _, m := range r.Messages {
		old, err := image(m.Old)
		if err != nil {
			return nil, err
		}
		next, err := image(m.New)
		if err != nil {
			return nil, err
		}
		out = append(out, lockstep.Message{ID: m.ID, Group: m.Group, Source: m.Source, Change: lockstep.Change{
			Key: lockstep.ItemKey{Partition: m.Partition, Sort: m.Sort}, Event: lockstep.Event(m.Event), Entity: m.Entity,
			Seq: lockstep.Sequence(m.Seq), Old: old, New: next, At: m.At,
		}})
	}
	return out, nil
}

func image(text json.RawMessage) (lockstep.Item, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	return change.DecodeItem(text, change.Limits{Depth: change.MaxDepth})
}

func (r *request) unit() (handler.Unit, error) {
	u := handler.Unit{Now: r.Now, View: handler.View{Records: map[lockstep.Collection][]lockstep.Record{}}}
	var err error
	if u.Messages, err = r.messages(); err != nil {
		return u, err
	}
	for c, records := range r.View.Records {
		for i := range records {
			rec, err := records[i].record()
			if err != nil {
				return u, err
			}
			u.View.Records[c] = append(u.View.Records[c], rec)
		}
	}
	for _, w := range r.View.Items {
		key := lockstep.ItemKey{Partition: w.Partition, Sort: w.Sort}
		it := lockstep.MirrorItem{
			ID: key.RecordID(), Key: key, Entity: w.Entity, Seq: lockstep.Sequence(w.Seq),
			Removed: lockstep.Sequence(w.Removed), First: lockstep.Sequence(w.First),
		}
		if it.Image, err = image(w.Image); err != nil {
			return u, err
		}
		u.View.Items = append(u.View.Items, it)
	}
	for _, w := range r.View.Imports {
		im := handler.Import{Ref: handler.ImportRef{Collection: w.Collection, Location: w.Location, Message: w.Message}}
		for i := range w.Embeddings {
			e, err := w.Embeddings[i].embedding()
			if err != nil {
				return u, err
			}
			im.Embeddings = append(im.Embeddings, e)
		}
		u.View.Imports = append(u.View.Imports, im)
	}
	return u, nil
}

func (w *record) record() (rec lockstep.Record, err error) {
	rec.ID = w.ID
	if w.Document != nil {
		rec.Document, rec.HasDocument = *w.Document, true
	}
	if rec.Metadata, err = metajson.ParseMetadataJSON(string(w.Metadata)); err != nil {
		return rec, err
	}
	var ref *struct {
		Dim  uint32
		Hash string
	}
	if err := json.Unmarshal(w.Vector, &ref); err != nil || ref == nil {
		return rec, err
	}
	rec.Vector.Dim = ref.Dim
	n, err := hex.Decode(rec.Vector.Hash[:], []byte(ref.Hash))
	if err == nil && n != len(rec.Vector.Hash) {
		err = fmt.Errorf("vector hash of %d bytes: %w", n, lockstep.ErrInvalid)
	}
	return rec, err
}

func (w *record) embedding() (e handler.Embedding, err error) {
	e.ID = w.ID
	if w.Document != nil {
		e.Document, e.HasDocument = *w.Document, true
	}
	if e.Metadata, err = metajson.ParseMetadataJSON(string(w.Metadata)); err != nil {
		return e, err
	}
	var text string
	if err := json.Unmarshal(w.Vector, &text); err != nil {
		return e, err
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	for ; len(raw) >= 4; raw = raw[4:] {
		e.Vector = append(e.Vector, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return e, err
}

func descriptionOf(d handler.Description) object {
	collections, entities := []object{}, []object{}
	for _, c := range d.Collections {
		collections = append(collections, object{"name": c.Name, "dimension": c.Dimension, "space": c.Space})
	}
	for _, e := range d.Entities {
		entities = append(entities, object{"entity": e.Entity, "partition": e.Partition, "sort": e.Sort})
	}
	return object{
		"name": d.Name, "version": d.Version, "reads_format": d.ReadsFormat, "writes_format": d.WritesFormat, "config": string(d.Config),
		"collections": collections, "entities": entities,
	}
}

func readsOf(r handler.Reads) object {
	records, items, wanted := []object{}, []object{}, []object{}
	for _, x := range r.Records {
		records = append(records, object{"collection": x.Collection, "id": x.ID, "prefix": x.Prefix})
	}
	for _, x := range r.Items {
		items = append(items, object{"partition": x.Partition, "sort_prefix": x.SortPrefix})
	}
	for _, x := range r.Imports {
		wanted = append(wanted, object{"collection": x.Collection, "location": x.Location, "message": x.Message})
	}
	return object{"records": records, "items": items, "imports": wanted}
}

func mutationsOf(muts []lockstep.Mutation) []object {
	out := []object{}
	for i := range muts {
		m := &muts[i]
		o := object{"collection": m.Collection, "op": m.Op.String(), "id": m.Record.ID, "cause": m.Cause}
		if m.Op == lockstep.Upsert {
			o["metadata"] = json.RawMessage(metajson.AppendMetadataJSON(nil, m.Record.Metadata))
			if m.Record.HasDocument {
				o["document"] = m.Record.Document
			}
			if m.Vector != nil {
				o["vector"] = m.Vector
			}
		}
		out = append(out, o)
	}
	return out
}
