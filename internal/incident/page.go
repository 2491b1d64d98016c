package incident

import (
	"strings"

	"lockstep/internal/redact"
)

// page is a text with a structure that Markdown, HTML and plain text all can show. What
// it holds is plain text: who renders it escapes it.
type page struct {
	Title    string
	Lead     []block
	Sections []part
}

// part is a heading and what stands below it.
type part struct {
	Title  string
	Blocks []block
}

// block is one of: a paragraph, a list, a table, or a piece of a log.
type block struct {
	Para     string
	Gap      bool // the paragraph is a gap that somebody has to fill
	List     []row
	Numbered bool // the order of the list counts
	Table    *table
	Log      string
}

// row is one entry of a list, or one cell of a table.
type row struct {
	Text string
	Mono bool // shown as it is: a hash, an id
	Link string
	Box  box
}

// box is whether a row of a checklist is ticked.
type box string

const (
	boxNone box = ""
	boxOpen box = "open"
	boxDone box = "done"
	boxVoid box = "void" // it does not apply
)

type table struct {
	Head []string
	Rows [][]row
}

func para(sentences ...string) block { return block{Para: strings.Join(sentences, " ")} }

func gap(who, what string) block {
	return block{Para: "(to be written by " + who + ": " + what + ")", Gap: true}
}

func plainRow(s string) row { return row{Text: s} }

// paras splits what a person wrote at its empty lines.
func paras(s string) []block {
	var all []block
	for p := range strings.SplitSeq(s, "\n\n") {
		if p = strings.Trim(p, "\n"); p != "" {
			all = append(all, block{Para: p})
		}
	}
	return all
}

// clean takes the secrets out of everything that the page says. What comes from the
// incident has none; what the other ledgers say has passed no door yet.
func (p page) clean(r *redact.Redactor) page {
	out := page{Title: line().tidy(r.Text(p.Title)), Lead: cleanBlocks(p.Lead, r)}
	for _, s := range p.Sections {
		out.Sections = append(out.Sections, part{Title: s.Title, Blocks: cleanBlocks(s.Blocks, r)})
	}
	return out
}

func cleanBlocks(blocks []block, r *redact.Redactor) []block {
	var all []block
	for _, b := range blocks {
		b.Para, b.Log = text().tidy(r.Text(b.Para)), text().tidy(r.Text(b.Log))
		b.List = cleanRows(b.List, r)
		if b.Table != nil {
			t := table{Head: b.Table.Head}
			for _, row := range b.Table.Rows {
				t.Rows = append(t.Rows, cleanRows(row, r))
			}
			b.Table = &t
		}
		all = append(all, b)
	}
	return all
}

func cleanRows(rows []row, r *redact.Redactor) []row {
	var all []row
	for _, c := range rows {
		c.Text, c.Link = line().tidy(r.Text(c.Text)), line().tidy(r.Text(c.Link))
		all = append(all, c)
	}
	return all
}
