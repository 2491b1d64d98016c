package synth

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// edge stands for a neighbour that is not there (DOMAIN 5).
const edge = "<EDGE>"

// run is what one re-embedding embedded: the receipt as it was then.
type run struct {
	receipt *Receipt
}

// Embeddings returns what the latest run of r embedded, for the collection lines or
// words: sorted by id, with unit vectors that follow from seed, id and edition.
func (g *Generator) Embeddings(r *Receipt, c lockstep.Collection) []handler.Embedding {
	var out []handler.Embedding
	for i := range r.Lines {
		if c == "lines" {
			out = append(out, g.lineEmbedding(r, i))
			continue
		}
		for j := range r.Lines[i].Words {
			out = append(out, g.wordEmbedding(r, &r.Lines[i], j))
		}
	}
	slices.SortFunc(out, func(a, b handler.Embedding) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func (g *Generator) lineEmbedding(r *Receipt, i int) handler.Embedding {
	l := &r.Lines[i]
	prev, next := edge, edge
	if i > 0 {
		prev = r.Lines[i-1].Text
	}
	if i+1 < len(r.Lines) {
		next = r.Lines[i+1].Text
	}
	fields := r.common(l.ID, l.Text, l.Box)
	fields["avg_word_confidence"] = lockstep.Float(l.Box.Confidence)
	fields["prev_line"], fields["next_line"] = lockstep.String(prev), lockstep.String(next)
	return g.embedding(r, r.LineSort(l.ID), l.Text, fields)
}

func (g *Generator) wordEmbedding(r *Receipt, l *Line, j int) handler.Embedding {
	w := &l.Words[j]
	left, right := edge, edge
	if j > 0 {
		left = l.Words[j-1].Text
	}
	if j+1 < len(l.Words) {
		right = l.Words[j+1].Text
	}
	fields := r.common(l.ID, w.Text, w.Box)
	fields["word_id"] = lockstep.Int(int64(w.ID))
	fields["left"], fields["right"] = lockstep.String(left), lockstep.String(right)
	fields["label_status"] = lockstep.String("unvalidated")
	return g.embedding(r, r.WordSort(l.ID, w.ID), w.Text, fields)
}

func (r *Receipt) common(line int, text string, b Box) map[string]lockstep.Value {
	fields := map[string]lockstep.Value{
		"image_id": lockstep.String(r.Image), "receipt_id": lockstep.Int(int64(r.ID)), "line_id": lockstep.Int(int64(line)),
		"source": lockstep.String("openai_embedding_batch"), "text": lockstep.String(text),
		"x": lockstep.Float(b.X), "y": lockstep.Float(b.Y), "width": lockstep.Float(b.Width), "height": lockstep.Float(b.Height),
		"confidence": lockstep.Float(b.Confidence),
	}
	if r.HasPlace && r.Merchant.Name != "" {
		fields["merchant_name"] = lockstep.String(r.Merchant.Name)
	}
	return fields
}

func (g *Generator) embedding(r *Receipt, sort, document string, fields map[string]lockstep.Value) handler.Embedding {
	id := r.Partition() + "#" + sort
	return handler.Embedding{
		ID: id, Document: document, HasDocument: true, Metadata: lockstep.MetadataOf(fields),
		Vector: g.vector(id, r.Edition),
	}
}

// vector returns a unit vector. Its parts are uniform, not normal: nobody searches
// these, and they are made by the hundred thousand.
func (g *Generator) vector(id string, edition int) []float32 {
	h := g.seed ^ uint64(edition)*0x9e3779b97f4a7c15
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 0x100000001b3
	}
	rng := rand.New(rand.NewPCG(h, vectorStream))
	v := make([]float32, g.opts.Dimension)
	sum := 0.0
	for i := range v {
		x := rng.Float64()*2 - 1
		v[i] = float32(x)
		sum += x * x
	}
	scale := float32(1 / math.Sqrt(max(sum, 1e-12)))
	for i := range v {
		v[i] *= scale
	}
	return v
}

// Import finds what a run of this generator announced, at creation or by an edit
// that was made; lockstep.ErrNotFound for any other location.
func (g *Generator) Import(ref handler.ImportRef) (handler.Import, error) {
	c, rest, _ := strings.Cut(ref.Location, "/delta/")
	id := strings.TrimSuffix(rest, "/")
	r := g.embeddedBy(id)
	if r == nil || c != string(ref.Collection) {
		return handler.Import{}, fmt.Errorf("embeddings at %q: %w", ref.Location, lockstep.ErrNotFound)
	}
	return handler.Import{Ref: ref, Embeddings: g.Embeddings(r, ref.Collection)}, nil
}

func (g *Generator) embeddedBy(runID string) *Receipt {
	if again, ok := g.runs[runID]; ok {
		return again.receipt
	}
	at := strings.LastIndexByte(runID, '-') + 1
	n, err := strconv.ParseUint(runID[at:], 16, 64)
	if err != nil || n>>8 >= uint64(g.opts.Receipts) {
		return nil
	}
	if r := g.fresh(int(n >> 8)); r.RunID == runID {
		return r
	}
	return nil
}

// AppendNDJSON appends the embeddings as an import object: one JSON object per line,
// {"id","document","embedding","metadata"}. A float has a decimal point or an
// exponent, an int has neither, because Chroma keeps 1 and 1.0 apart. Metadata that
// cannot be stored (Metadata.Check) makes lines that no importer takes.
func AppendNDJSON(dst []byte, embeddings ...handler.Embedding) []byte {
	for i := range embeddings {
		e := &embeddings[i]
		dst = appendText(append(dst, `{"id":`...), e.ID)
		if e.HasDocument {
			dst = appendText(append(dst, `,"document":`...), e.Document)
		}
		dst = append(dst, `,"embedding":[`...)
		for j, x := range e.Vector {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendFloat(dst, float64(x), 'g', -1, 32)
		}
		dst = append(dst, `],"metadata":{`...)
		for j, f := range e.Metadata {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, f.Key), ':')
			dst = appendValue(dst, f.Value)
		}
		dst = append(dst, "}}\n"...)
	}
	return dst
}

func appendValue(dst []byte, v lockstep.Value) []byte {
	switch v.Kind() {
	case lockstep.KindString:
		return appendText(dst, v.Str())
	case lockstep.KindInt:
		return strconv.AppendInt(dst, v.Int(), 10)
	case lockstep.KindFloat:
		start := len(dst)
		dst = strconv.AppendFloat(dst, v.Float(), 'g', -1, 64)
		if !strings.ContainsAny(string(dst[start:]), ".e") {
			dst = append(dst, ".0"...)
		}
		return dst
	case lockstep.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case lockstep.KindList:
		dst = append(dst, '[')
		for i, e := range v.Elems() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, e)
		}
		return append(dst, ']')
	}
	b, err := json.Marshal(v.Any())
	if err != nil { // null always marshals
		panic(err)
	}
	return append(dst, b...)
}

// Object is one import object of a bucket.
type Object struct {
	Key  string
	Body []byte // NDJSON
}

// Objects returns the import objects of the latest run of r, under the prefixes
// that its run item names.
func (g *Generator) Objects(r *Receipt) []Object {
	out := make([]Object, 0, 2)
	for _, c := range []lockstep.Collection{"lines", "words"} {
		out = append(out, Object{
			Key:  string(c) + "/delta/" + r.RunID + "/delta.ndjson",
			Body: AppendNDJSON(nil, g.Embeddings(r, c)...),
		})
	}
	return out
}
