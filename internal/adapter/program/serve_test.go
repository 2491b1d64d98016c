package program

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/metajson"
)

// The other side of the protocol, for a handler in Go: it reads with encoding/json
// what encode.go writes by hand, so that the two are two opinions.

type wireRequest struct {
	ID       uint64
	Request  string
	Protocol string
	Messages []wireMessage
	View     wireView
	Now      time.Time
}

type wireMessage struct {
	ID, Group, Source, Entity, Event, Partition, Sort, Seq string

	At       time.Time
	Old, New json.RawMessage
	Body     string
}

type wireView struct {
	Records map[string][]wireRecord
	Items   []wireItem
	Imports []wireImport
}

type wireRecord struct {
	ID       string
	Document *string
	Metadata json.RawMessage
	Vector   json.RawMessage
}

type wireItem struct {
	Partition, Sort, Entity, Seq, Removed, First string

	Image json.RawMessage
}

type wireImport struct {
	Collection, Location string

	Message    int
	Embeddings []wireRecord
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func parseRequest(line []byte) wireRequest {
	var r wireRequest
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		panic(fmt.Errorf("%w in %s", err, line))
	}
	return r
}

func (r wireRequest) messages() []lockstep.Message {
	var out []lockstep.Message
	for _, m := range r.Messages {
		out = append(out, lockstep.Message{
			ID: m.ID, Group: m.Group, Source: m.Source, Body: []byte(m.Body),
			Change: lockstep.Change{
				Key: lockstep.ItemKey{Partition: m.Partition, Sort: m.Sort}, Event: lockstep.Event(m.Event), Entity: m.Entity,
				Seq: lockstep.Sequence(m.Seq), Old: parseImage(m.Old), New: parseImage(m.New), At: m.At,
			},
		})
	}
	return out
}

func parseImage(text json.RawMessage) lockstep.Item {
	if string(text) == "null" {
		return nil
	}
	return must(change.DecodeItem(text, change.Limits{Depth: change.MaxDepth}))
}

func (r wireRequest) unit() handler.Unit {
	v := handler.View{Records: map[lockstep.Collection][]lockstep.Record{}}
	for c, records := range r.View.Records {
		v.Records[lockstep.Collection(c)] = []lockstep.Record{}
		for _, w := range records {
			rec := lockstep.Record{ID: w.ID, Metadata: must(metajson.ParseMetadataJSON(string(w.Metadata)))}
			if w.Document != nil {
				rec.Document, rec.HasDocument = *w.Document, true
			}
			var ref *struct {
				Dim  uint32
				Hash string
			}
			if err := json.Unmarshal(w.Vector, &ref); err != nil {
				panic(err)
			}
			if ref != nil {
				rec.Vector = lockstep.VectorRef{Hash: [32]byte(must(hex.DecodeString(ref.Hash))), Dim: ref.Dim}
			}
			v.Records[lockstep.Collection(c)] = append(v.Records[lockstep.Collection(c)], rec)
		}
	}
	for _, w := range r.View.Items {
		key := lockstep.ItemKey{Partition: w.Partition, Sort: w.Sort}
		v.Items = append(v.Items, lockstep.MirrorItem{
			ID: key.RecordID(), Key: key, Entity: w.Entity, Image: parseImage(w.Image), Seq: lockstep.Sequence(w.Seq),
			Removed: lockstep.Sequence(w.Removed), First: lockstep.Sequence(w.First),
		})
	}
	for _, w := range r.View.Imports {
		im := handler.Import{Ref: handler.ImportRef{Collection: lockstep.Collection(w.Collection), Location: w.Location, Message: w.Message}}
		for _, e := range w.Embeddings {
			emb := handler.Embedding{ID: e.ID, Metadata: must(metajson.ParseMetadataJSON(string(e.Metadata)))}
			if e.Document != nil {
				emb.Document, emb.HasDocument = *e.Document, true
			}
			var text string
			if err := json.Unmarshal(e.Vector, &text); err != nil {
				panic(err)
			}
			raw := must(base64.StdEncoding.DecodeString(text))
			for i := 0; i < len(raw); i += 4 {
				emb.Vector = append(emb.Vector, math.Float32frombits(binary.LittleEndian.Uint32(raw[i:])))
			}
			im.Embeddings = append(im.Embeddings, emb)
		}
		v.Imports = append(v.Imports, im)
	}
	return handler.Unit{Messages: r.messages(), View: v, Now: r.Now}
}

// object is one JSON object of an answer.
type object map[string]any

func writeDescription(d handler.Description) object {
	out := object{
		"name": d.Name, "version": d.Version, "reads_format": d.ReadsFormat, "writes_format": d.WritesFormat, "config": string(d.Config),
		"key": object{"partition": d.Key.Partition, "sort": d.Key.Sort},
	}
	var collections, entities []object
	for _, c := range d.Collections {
		collections = append(collections, object{"name": c.Name, "dimension": c.Dimension, "space": c.Space})
	}
	for _, e := range d.Entities {
		entities = append(entities, object{"entity": e.Entity, "partition": e.Partition, "sort": e.Sort})
	}
	out["collections"], out["entities"] = append([]object{}, collections...), append([]object{}, entities...)
	return out
}

func writeReads(r handler.Reads) object {
	records, items, imports := []object{}, []object{}, []object{}
	for _, x := range r.Records {
		records = append(records, object{"collection": x.Collection, "id": x.ID, "prefix": x.Prefix})
	}
	for _, x := range r.Items {
		items = append(items, object{"partition": x.Partition, "sort_prefix": x.SortPrefix})
	}
	for _, x := range r.Imports {
		imports = append(imports, object{"collection": x.Collection, "location": x.Location, "message": x.Message})
	}
	return object{"records": records, "items": items, "imports": imports}
}

// writeMutations uses arrays for the vectors of odd mutations and base64 for the others.
func writeMutations(muts []lockstep.Mutation) []object {
	out := []object{}
	for i, m := range muts {
		o := object{"collection": m.Collection, "op": m.Op.String(), "id": m.Record.ID, "cause": m.Cause}
		out = append(out, o)
		if m.Op == lockstep.Delete {
			continue
		}
		o["metadata"] = json.RawMessage(metajson.AppendMetadataJSON(nil, m.Record.Metadata))
		if m.Record.HasDocument {
			o["document"] = m.Record.Document
		}
		switch {
		case m.Vector == nil:
		case i%2 == 1:
			o["vector"] = m.Vector
		default:
			o["vector"] = string(appendVector(nil, m.Vector))
		}
	}
	return out
}

// serve answers for h until in ends. before sees every request first and may answer
// it itself, by returning false, or not return at all.
func serve(h handler.Handler, in io.Reader, out io.Writer, before func(r wireRequest) bool) {
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		r := parseRequest(line)
		if before != nil && !before(r) {
			continue
		}
		a := object{"id": r.ID}
		switch r.Request {
		case "describe":
			a["protocol"], a["describe"] = "lockstep-exec/1", writeDescription(h.Describe())
		case "reads":
			a["reads"] = writeReads(h.Reads(r.messages()))
		case "plan":
			muts, err := h.Plan(context.Background(), r.unit())
			if err != nil {
				a["error"] = object{"message": err.Error(), "class": "refused"}
			} else {
				a["mutations"] = writeMutations(muts)
			}
		}
		fmt.Fprintf(out, "%s\n", must(json.Marshal(a)))
	}
}

// notes keeps one record for each item, with the item's text.
type notes struct{ version string }

func (n notes) Describe() handler.Description {
	return handler.Description{
		Name: "notes", Version: n.version, Collections: []handler.CollectionSpec{{Name: "notes", Dimension: 2}},
		Entities: []handler.EntityRule{{Entity: "NOTE", Partition: "N#.*", Sort: ".*"}},
	}
}

func (notes) Reads(ms []lockstep.Message) (r handler.Reads) {
	for _, m := range ms {
		if m.Change.Entity == "NOTE" {
			r.Records = append(r.Records, handler.RecordRange{Collection: "notes", ID: m.Change.Key.RecordID()})
			r.Items = append(r.Items, handler.ItemRange{Partition: m.Change.Key.Partition, SortPrefix: m.Change.Key.Sort})
		}
	}
	return r
}

func (notes) Plan(_ context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	var out []lockstep.Mutation
	for _, it := range u.View.Items {
		m := lockstep.Mutation{Collection: "notes", Op: lockstep.Delete, Record: lockstep.Record{ID: it.ID}, Cause: len(u.Messages) - 1}
		if it.Image != nil {
			text := it.Image.Str("text")
			if strings.HasPrefix(text, "refuse") {
				return nil, fmt.Errorf("%s", text)
			}
			m.Op, m.Record.Document, m.Record.HasDocument = lockstep.Upsert, text, true
			m.Vector = []float32{float32(len(text)), 1}
		}
		out = append(out, m)
	}
	return out, nil
}
