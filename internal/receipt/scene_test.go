package receipt

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/handler"
	"lockstep/internal/handler/handlertest"
	"lockstep/internal/lockstep"
)

const (
	scenePK = "IMAGE#3f8f2a10-5b0d-4c77-9a57-2f6f0f7a1c01"
	lineSK  = "RECEIPT#00002#LINE#00007"
	wordSK  = lineSK + "#WORD#00003"
	lineID  = scenePK + "#" + lineSK
	wordID  = scenePK + "#" + wordSK
)

// scene is a table with one line and one word, told change by change.
type scene struct {
	t       *testing.T
	x       *handlertest.Index
	seq     int
	table   map[string]lockstep.Item
	imports map[string][]handler.Embedding
	told    []lockstep.Message
}

func newScene(t *testing.T, h handler.Handler) *scene {
	s := &scene{t: t, table: map[string]lockstep.Item{}, imports: map[string][]handler.Embedding{}}
	s.x = handlertest.NewIndex(h, func(ref handler.ImportRef) (handler.Import, error) {
		es, ok := s.imports[ref.Location]
		if !ok {
			return handler.Import{}, lockstep.ErrNotFound
		}
		return handler.Import{Ref: ref, Embeddings: es}, nil
	})
	s.x.Now = time.Date(2025, 12, 15, 18, 0, 0, 0, time.UTC)
	return s
}

const sceneNow = "2025-12-15T18:00:00+00:00"

// put writes an item, nil removes it; the message is applied.
func (s *scene) put(sort string, image lockstep.Item) []lockstep.Outcome {
	s.t.Helper()
	outcomes, err := s.x.Apply(s.t.Context(), s.tell(sort, image))
	if err != nil {
		s.t.Fatal(err)
	}
	return outcomes
}

// tell writes an item and returns the message without applying it.
func (s *scene) tell(sort string, image lockstep.Item) lockstep.Message {
	s.seq++
	c := lockstep.Change{
		Key: lockstep.ItemKey{Partition: scenePK, Sort: sort}, Event: lockstep.Modify,
		Seq: lockstep.Sequence(fmt.Sprint(s.seq)), Old: s.table[sort], New: image,
	}
	if c.Old == nil {
		c.Event = lockstep.Insert
	}
	if image == nil {
		c.Event = lockstep.Remove
	}
	s.table[sort] = image
	if image == nil {
		delete(s.table, sort)
	}
	m := lockstep.Message{ID: fmt.Sprintf("ev-%d", s.seq), Group: scenePK, Change: c}
	s.told = append(s.told, m)
	return m
}

// embed writes line and word and a run whose import holds both with the metadata.
func (s *scene) embed(meta map[string]lockstep.Value) {
	s.t.Helper()
	s.put(lineSK, item("text", "TOTAL 9.99"))
	s.put(wordSK, item("text", "9.99"))
	s.run("run-1", meta)
}

func (s *scene) run(id string, meta map[string]lockstep.Value) {
	s.t.Helper()
	s.put(s.offer(id, meta))
}

// offer makes the import of a run and returns the run's item.
func (s *scene) offer(id string, meta map[string]lockstep.Value) (sort string, image lockstep.Item) {
	m := lockstep.MetadataOf(meta).With("text", lockstep.String(id))
	vector := []float32{float32(len(s.imports)), 1}
	s.imports["l/"+id] = []handler.Embedding{{ID: lineID, Document: id, HasDocument: true, Metadata: m, Vector: vector}}
	s.imports["w/"+id] = []handler.Embedding{{ID: wordID, Document: id, HasDocument: true, Metadata: m, Vector: vector}}
	return "RECEIPT#00002#COMPACTION_RUN#" + id, item(attrLinesPrefix, "l/"+id, attrWordsPrefix, "w/"+id)
}

func (s *scene) label(name, status string, pairs ...string) {
	s.t.Helper()
	if status == "" {
		s.put(wordSK+"#LABEL#"+name, nil)
		return
	}
	s.put(wordSK+"#LABEL#"+name, labelItem(status, pairs...))
}

func labelItem(status string, pairs ...string) lockstep.Item {
	it := item(append([]string{"reasoning", "because", "timestamp_added", "2025-12-15T10:00:00", "validation_status", status}, pairs...)...)
	return it
}

// metadataItem is an item that the legacy parser accepts.
func metadataItem(pairs ...string) lockstep.Item {
	return item(append([]string{"place_id", "p1", "merchant_name", "Acme", "timestamp", "t", "validated_by", "INFERENCE"}, pairs...)...)
}

// item makes an item of string attributes; the value "NULL" makes a NULL. Later pairs win.
func item(pairs ...string) lockstep.Item {
	it := lockstep.Item{}
	for p := range slices.Chunk(pairs, 2) {
		it[p[0]] = lockstep.Attr{Type: lockstep.AttrS, Text: p[1]}
		if p[1] == "NULL" {
			it[p[0]] = lockstep.Attr{Type: lockstep.AttrNull}
		}
	}
	return it
}

// word and line are the metadata of the two records as plain values; nil: no record.
func (s *scene) word() map[string]any { return s.record(Words, wordID) }
func (s *scene) line() map[string]any { return s.record(Lines, lineID) }

func (s *scene) record(c lockstep.Collection, id string) map[string]any {
	e, ok := s.x.Records[c][id]
	if !ok {
		return nil
	}
	m := e.Record.Metadata.Map()
	delete(m, ImportSeqKey)
	return m
}

func expect(t *testing.T, got, want map[string]any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

type (
	values = map[string]lockstep.Value
	plain  = map[string]any
)
