package synth

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Receipt is one invented receipt as the table has it.
type Receipt struct {
	Index    int    // among the generator's receipts
	Image    string // UUID
	ID       int    // receipt_id within the image
	Merchant Merchant
	HasPlace bool
	Lines    []Line
	Sections []Section
	Items    int    // item_count of the summary
	RunID    string // of the latest embedding
	Edition  int    // how often it was embedded before RunID
	Merged   bool   // the legacy pipeline has marked the run as completed
	Added    time.Time
}

// Merchant is what the PLACE or METADATA item says.
type Merchant struct {
	Name, Category, Address, Phone, PlaceID string
}

// Line is one line, top to bottom.
type Line struct {
	ID    int
	Text  string // as it was read; deleting a word does not change it
	Box   Box
	Words []Word
}

// Word is one word, left to right.
type Word struct {
	ID     int
	Text   string
	Box    Box
	Labels []Label // by name
}

// Box is normalised geometry, origin at the bottom left (DOMAIN 1.4).
type Box struct{ X, Y, Width, Height, Confidence float64 }

// Label is one label of a word.
type Label struct {
	Name, Status, ProposedBy, Reasoning string // ProposedBy "" is NULL
	Added                               time.Time
}

// Section is one part of a receipt.
type Section struct {
	Type, Status string
	Lines        []int
	Confidence   float64
}

// Partition is the partition key of all items of the receipt.
func (r *Receipt) Partition() string { return "IMAGE#" + r.Image }

// Sort is the sort key of the receipt item, with which those of its parts begin.
func (r *Receipt) Sort() string { return fmt.Sprintf("RECEIPT#%05d", r.ID) }

// LineSort is the sort key of one line, and with the partition its record id.
func (r *Receipt) LineSort(line int) string { return fmt.Sprintf("%s#LINE#%05d", r.Sort(), line) }

// WordSort is the sort key of one word, and with the partition its record id.
func (r *Receipt) WordSort(line, word int) string {
	return fmt.Sprintf("%s#WORD#%05d", r.LineSort(line), word)
}

// Receipt returns receipt i as it is after the edits so far. The caller must not
// change it. i counts from 0 and must be less than Len.
func (g *Generator) Receipt(i int) *Receipt {
	if r, ok := g.edited[i]; ok {
		return r
	}
	return g.fresh(i)
}

// perImage: every eighth receipt shares the image of the one before, for two
// receipts on one scan are what prefixes of keys go wrong on.
const perImage = 8

// fresh invents receipt i as it was created.
func (g *Generator) fresh(i int) *Receipt {
	rng := rand.New(rand.NewPCG(g.seed, uint64(i)))
	image, id := i, 1
	if i%perImage == perImage-1 {
		image, id = i-1, 2
	}
	r := &Receipt{
		Index:    i,
		Image:    uuid(g.seed, uint64(image)<<8),
		ID:       id,
		Merchant: merchant(rng),
		HasPlace: rng.IntN(10) > 0,
		RunID:    uuid(^g.seed, uint64(i)<<8),
		Added:    g.opts.Start.Add(time.Duration(i) * time.Minute),
	}
	n := g.opts.Lines.pick(rng)
	for l := range n {
		r.Lines = append(r.Lines, g.line(rng, l+1, n))
	}
	r.Items = n
	r.Sections = sections(rng, n)
	return r
}

func (g *Generator) line(rng *rand.Rand, id, of int) Line {
	line := Line{ID: id, Box: Box{X: 0.05, Y: 1 - float64(id)/float64(of+1), Width: 0.9, Height: 0.6 / float64(of+1), Confidence: confidence(rng)}}
	n := g.opts.Words.pick(rng)
	for w := range n {
		word := Word{
			ID:   w + 1,
			Text: vocabulary[rng.IntN(len(vocabulary))],
			Box:  Box{X: 0.05 + 0.9*float64(w)/float64(n), Y: line.Box.Y, Width: 0.8 / float64(n), Height: line.Box.Height, Confidence: confidence(rng)},
		}
		if rng.IntN(3) == 0 {
			word.Text = fmt.Sprintf("%d.%02d", rng.IntN(90), rng.IntN(100))
		}
		if rng.IntN(100) < g.opts.Labels {
			word.Labels = append(word.Labels, label(rng, labelNames[rng.IntN(len(labelNames))], g.opts.Start))
			if other := label(rng, labelNames[rng.IntN(len(labelNames))], g.opts.Start); rng.IntN(4) == 0 && other.Name != word.Labels[0].Name {
				word.Labels = append(word.Labels, other)
			}
			word.sortLabels()
		}
		line.Words = append(line.Words, word)
		line.Text = strings.TrimPrefix(line.Text+" "+word.Text, " ")
	}
	return line
}

func (w *Word) sortLabels() {
	slices.SortFunc(w.Labels, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
}

// confidence has two decimals, as the table keeps it.
func confidence(rng *rand.Rand) float64 { return float64(70+rng.IntN(30)) / 100 }

// sections cuts a receipt into three parts that meet in one line.
func sections(rng *rand.Rand, lines int) []Section {
	if lines < 3 {
		return nil
	}
	a, b := 1+rng.IntN(lines/3+1), lines-rng.IntN(lines/3+1)
	return []Section{
		{Type: "HEADER", Status: "VALID", Lines: span(1, a), Confidence: 0.9},
		{Type: "ITEMS", Status: "PENDING", Lines: span(a, b), Confidence: 0.8},
		{Type: "SUMMARY", Status: "VALID", Lines: span(b, lines), Confidence: 0.7},
	}
}

func span(from, to int) []int {
	var out []int
	for i := from; i <= to; i++ {
		out = append(out, i)
	}
	return out
}

// uuid returns a version 4 UUID whose last 48 bits are n and whose other bits
// follow from the seed and n.
func uuid(seed, n uint64) string {
	x := rand.New(rand.NewPCG(seed, ^n)).Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(x), uint16(x>>32), (x>>48)&0xfff, (x>>52)&0xfff, n&(1<<48-1))
}
