package synth

import "slices"

// word chooses a word at random, nil when there is none.
func (e *editor) word() (*Line, *Word) { return e.wordWith(func(*Word) bool { return true }) }

// wordWith chooses among the words that fit.
func (e *editor) wordWith(fits func(*Word) bool) (*Line, *Word) {
	type at struct{ line, word int }
	var all []at
	for i := range e.r.Lines {
		for j := range e.r.Lines[i].Words {
			if fits(&e.r.Lines[i].Words[j]) {
				all = append(all, at{i, j})
			}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	p := all[e.g.rng.IntN(len(all))]
	return &e.r.Lines[p.line], &e.r.Lines[p.line].Words[p.word]
}

func labelled(w *Word) bool { return len(w.Labels) > 0 }

func (e *editor) labels(l *Line, w *Word) []tableItem {
	items := make([]tableItem, len(w.Labels))
	for i := range w.Labels {
		items[i] = e.r.labelItem(l.ID, w.ID, &w.Labels[i])
	}
	return items
}

// unused returns a label name that the word does not have, "" when it has all.
func (e *editor) unused(w *Word) string {
	start := e.g.rng.IntN(len(labelNames))
	for i := range labelNames {
		name := labelNames[(start+i)%len(labelNames)]
		if !slices.ContainsFunc(w.Labels, func(l Label) bool { return l.Name == name }) {
			return name
		}
	}
	return ""
}

func (e *editor) addLabel() []Event {
	l, w := e.word()
	if w == nil {
		return nil
	}
	name := e.unused(w)
	if name == "" {
		return nil
	}
	added := label(e.g.rng, name, e.g.opts.Start)
	w.Labels = append(w.Labels, added)
	w.sortLabels()
	return e.between(nil, []tableItem{e.r.labelItem(l.ID, w.ID, &added)})
}

func (e *editor) validate() []Event {
	l, w := e.wordWith(labelled)
	if w == nil {
		return nil
	}
	at := &w.Labels[e.g.rng.IntN(len(w.Labels))]
	before := e.r.labelItem(l.ID, w.ID, at)
	for old := at.Status; at.Status == old; {
		at.Status = statuses[e.g.rng.IntN(len(statuses))]
	}
	return e.between([]tableItem{before}, []tableItem{e.r.labelItem(l.ID, w.ID, at)})
}

// relabel removes one label and inserts another: the label is part of the key.
func (e *editor) relabel() []Event {
	l, w := e.wordWith(labelled)
	if w == nil {
		return nil
	}
	name := e.unused(w)
	if name == "" {
		return nil
	}
	i := e.g.rng.IntN(len(w.Labels))
	events := e.between([]tableItem{e.r.labelItem(l.ID, w.ID, &w.Labels[i])}, nil)
	w.Labels[i].Name = name
	events = append(events, e.between(nil, []tableItem{e.r.labelItem(l.ID, w.ID, &w.Labels[i])})...)
	w.sortLabels()
	return events
}

func (e *editor) removeLabel() []Event {
	l, w := e.wordWith(labelled)
	if w == nil {
		return nil
	}
	i := e.g.rng.IntN(len(w.Labels))
	events := e.between([]tableItem{e.r.labelItem(l.ID, w.ID, &w.Labels[i])}, nil)
	w.Labels = slices.Delete(w.Labels, i, i+1)
	return events
}

func (e *editor) deleteWord() []Event {
	l, w := e.word()
	if w == nil {
		return nil
	}
	events := e.between(append(e.labels(l, w), e.r.wordItem(l.ID, w)), nil)
	id := w.ID
	l.Words = slices.DeleteFunc(l.Words, func(w Word) bool { return w.ID == id })
	return events
}

// deleteLine takes a line with all that is on it.
func (e *editor) deleteLine() []Event {
	if len(e.r.Lines) == 0 {
		return nil
	}
	i := e.g.rng.IntN(len(e.r.Lines))
	l := &e.r.Lines[i]
	gone := []tableItem{e.r.lineItem(l)}
	for j := range l.Words {
		gone = append(append(gone, e.labels(l, &l.Words[j])...), e.r.wordItem(l.ID, &l.Words[j]))
	}
	events := e.between(gone, nil)
	e.r.Lines = slices.Delete(e.r.Lines, i, i+1)
	return events
}

// deleteReceipt takes everything but the run, which the table keeps. The place that
// a later edit sets belongs to a receipt without lines.
func (e *editor) deleteReceipt() []Event {
	if len(e.r.Lines) == 0 {
		return nil
	}
	var gone []tableItem
	for _, it := range e.r.items(Options{Place: e.g.opts.Place}) {
		if it.image["TYPE"].Text != "COMPACTION_RUN" {
			gone = append(gone, it)
		}
	}
	events := e.between(gone, nil)
	e.r.Lines, e.r.Sections, e.r.HasPlace = nil, nil, false
	return events
}
