package incident

import (
	"fmt"
	"strings"
)

// maxTimeline bounds the lines of the timeline. What is left out is said.
const maxTimeline = 400

func (in Input) timeline() []block {
	all := Timeline(append([][]Event{in.Incident.Events()}, in.Events...)...)
	var rows []row
	for _, e := range all[:min(len(all), maxTimeline)] {
		who := ""
		if e.Who != "" {
			who = e.Who + ": "
		}
		rows = append(rows, row{Text: clockTime(e.At) + " - " + who + e.What, Link: e.Link})
	}
	blocks := []block{{List: rows}}
	if more := len(all) - maxTimeline; more > 0 {
		blocks = append(blocks, para(count(more, "later event")+" left out; the ledgers have all of them."))
	}
	return blocks
}

func (in Input) marks() []block {
	marks := &table{Head: []string{"mark", "time", "known from"}}
	for _, k := range MarkKinds() {
		m := in.Incident.Mark(k)
		if m.Known() {
			marks.Rows = append(marks.Rows, []row{plainRow(k.Title()), plainRow(m.At.UTC().Format("2006-01-02 15:04:05.000Z")), plainRow(m.Source)})
			continue
		}
		marks.Rows = append(marks.Rows, []row{plainRow(k.Title()), plainRow("not known: " + m.Unknown), plainRow("")})
	}
	intervals := &table{Head: []string{"interval", "from", "to", "took"}}
	for _, i := range in.Incident.Intervals() {
		intervals.Rows = append(intervals.Rows, []row{plainRow(i.Name), plainRow(i.From.Title()), plainRow(i.To.Title()), plainRow(i.String())})
	}
	return []block{{Table: marks}, {Table: intervals}}
}

// shownIDs is how many ids a report shows of those that an incident keeps.
const shownIDs = 20

func (in Input) affected() []block {
	a := in.Incident.Affected
	if a == nil || a.Records() == 0 {
		return nil
	}
	t := &table{Head: []string{"collection", "records"}}
	for _, c := range a.Counts {
		t.Rows = append(t.Rows, []row{plainRow(c.Collection), plainRow(number(c.Records))})
	}
	blocks := []block{para(fmt.Sprintf("Counted by %s from %s, at %s.", a.By, stopless(a.Source), clockTime(a.At))), {Table: t}}
	some := func(what string, ids []string, all uint64) {
		if len(ids) == 0 {
			return
		}
		shown := ids[:min(len(ids), shownIDs)]
		title := fmt.Sprintf("%s of %s, as examples:", number(len(shown)), count(all, what))
		if uint64(len(shown)) == all {
			title = "All " + count(all, what) + ":"
		}
		var rows []row
		for _, id := range shown {
			rows = append(rows, row{Text: id, Mono: true})
		}
		blocks = append(blocks, para(title), block{List: rows})
	}
	some("record", a.IDs, a.Records())
	some("key", a.Keys, a.KeyCount)
	return blocks
}

func (in Input) proof() []block {
	p := in.Proof
	if p == nil {
		return []block{para("Nobody has compared the data with what the good revision would have made of it.")}
	}
	var words string
	switch p.Compared {
	case ComparedEqual:
		words = fmt.Sprintf("Version %d is proven: it equals what the good revision makes of the same changes, computed apart from it, digest by digest.", p.Version)
	case ComparedDifferent:
		words = fmt.Sprintf("Version %d is not what the good revision makes of the same changes.", p.Version)
	case ComparedNot:
		words = fmt.Sprintf("Version %d was not compared with what the good revision makes of the same changes.", p.Version)
	default:
		words = fmt.Sprintf("How version %d compares with what the good revision makes of the same changes is not known.", p.Version)
	}
	if p.Reason != "" {
		words += " " + strings.TrimSpace(stopless(p.Reason)) + "."
	}
	blocks := []block{para(words)}
	if p.Link != "" {
		blocks = append(blocks, block{List: []row{{Text: "The proof", Link: p.Link}}})
	}
	if len(p.Digests) == 0 {
		return blocks
	}
	t := &table{Head: []string{"collection", "digest", "counterfactual"}}
	for _, d := range p.Digests {
		other := row{Text: d.Counterfactual, Mono: true}
		switch d.Counterfactual {
		case "":
			other = plainRow("not computed")
		case d.Digest:
			other = plainRow("the same")
		}
		t.Rows = append(t.Rows, []row{plainRow(d.Collection), {Text: d.Digest, Mono: true}, other})
	}
	return append(blocks, block{Table: t})
}

func (in Input) decisions() []block {
	var rows []row
	for _, d := range in.Incident.Decisions {
		rows = append(rows, plainRow(fmt.Sprintf("%s - %s decided: %s, because %s", clockTime(d.At), d.By, d.What, d.Why)))
	}
	for _, a := range in.Incident.Accepted {
		rows = append(rows, plainRow(fmt.Sprintf("%s - %s closed it with %s open: %s", clockTime(a.At), a.By, a.What, a.Reason)))
	}
	if len(rows) == 0 {
		return []block{para("None is recorded.")}
	}
	return []block{{List: rows}}
}

func (in Input) checklist() []block {
	groups := Merge(in.Checklist, in.Incident.Signatures)
	if len(groups) == 0 {
		return nil
	}
	var blocks []block
	done, open := 0, 0
	for _, g := range groups {
		var rows []row
		for _, i := range g.Items {
			switch i.State() {
			case ItemTicked, ItemSigned:
				done++
			case ItemOpen, ItemContradicted:
				open++
			case ItemVoid:
			}
			rows = append(rows, i.row())
		}
		blocks = append(blocks, para(g.Title+":"), block{List: rows})
	}
	words := fmt.Sprintf("%s ticked, %d open.", count(done, "item"), open)
	if open == 0 {
		words = "All " + count(done, "item") + " that apply are ticked."
	}
	return append([]block{para(words)}, blocks...)
}

func (i Item) row() row {
	r := row{Text: i.Title, Box: boxOpen}
	saw := ""
	if e := i.Evidence; e != nil {
		saw, r.Link = e.Text, e.Link
	}
	switch i.State() {
	case ItemOpen:
	case ItemTicked:
		r.Box = boxDone
		r.Text += ": " + saw
	case ItemContradicted:
		r.Text += ": it is not so: " + saw
	case ItemSigned:
		r.Box = boxDone
		r.Text += fmt.Sprintf(": %s (%s at %s)", stopless(i.Signed.Reason), i.Signed.By, clockTime(i.Signed.At))
		if e := i.Evidence; e != nil && !e.OK {
			r.Text += ", although the machine saw: " + saw
		}
	case ItemVoid:
		r.Box = boxVoid
		r.Text += ": " + i.Void
	}
	return r
}

func (in Input) references() []block {
	var rows []row
	for _, l := range in.Incident.Links {
		s := string(l.Kind)
		if l.Text != "" {
			s += ": " + l.Text
		}
		rows = append(rows, row{Text: s, Link: l.To})
	}
	if len(rows) == 0 {
		return nil
	}
	return []block{{List: rows}}
}
