package incident

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Event is one thing that happened, as some ledger knows it.
type Event struct {
	At     time.Time
	Who    string
	What   string
	Link   string // where it can be looked up
	Source string // which ledger says so: "release", "versions", "plan prod-3-1", "incident"
}

// Timeline merges the events of several ledgers into one line, oldest first. Of events
// at the same time, those of one source keep their order, and sources come by name,
// whatever the order in which they are given. What two sources both say stands there
// once, with a link if either has one.
func Timeline(events ...[]Event) []Event {
	var all []Event
	for _, e := range events {
		all = append(all, e...)
	}
	slices.SortStableFunc(all, func(a, b Event) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Source, b.Source))
	})
	type fact struct {
		at        int64
		who, what string
	}
	first := map[fact]int{}
	line := all[:0]
	for _, e := range all {
		f := fact{e.At.UnixNano(), e.Who, e.What}
		if i, there := first[f]; there {
			line[i].Link = cmp.Or(line[i].Link, e.Link)
			continue
		}
		first[f] = len(line)
		line = append(line, e)
	}
	return line
}

// Events returns what the incident itself adds to a timeline: its marks, how it began
// and ended, and what people said and did.
func (in Incident) Events() []Event {
	var all []Event
	add := func(at time.Time, who, what, link string) {
		all = append(all, Event{At: at, Who: who, What: what, Link: link, Source: "incident " + in.ID})
	}
	if in.Subject != nil && !in.Subject.Since.IsZero() {
		add(in.Subject.Since, "", in.Subject.Candidate+" begins to decide for keys", "")
	}
	for _, m := range in.Marks {
		if m.Known() {
			add(m.At, "", m.Kind.Title()+" (known from "+m.Source+")", "")
		}
	}
	add(in.OpenedAt, in.OpenedBy, "opened the incident: "+in.Cause.Reason, "")
	for _, f := range in.Cause.Findings {
		add(f.At, "", "guard "+f.Guard+" says "+f.Verdict+": "+f.Reason, f.Link)
	}
	for _, d := range in.Decisions {
		add(d.At, d.By, "decided: "+d.What+", because "+d.Why, "")
	}
	for _, n := range in.Notes {
		if n.Section == "" {
			add(n.At, n.By, "noted: "+n.Text, "")
		}
	}
	for _, l := range in.Links {
		add(l.At, l.By, "linked the "+string(l.Kind)+" "+l.To, "")
	}
	for _, t := range in.Tasks {
		if t.Done != nil {
			add(t.Done.At, t.Done.By, "finished: "+t.Title+": "+t.Done.Text, t.Done.Link)
		}
	}
	for _, s := range in.Signatures {
		add(s.At, s.By, "signed "+s.Item+": "+s.Reason, "")
	}
	in.endings(add)
	return Timeline(all)
}

func (in Incident) endings(add func(at time.Time, who, what, link string)) {
	signed := func(r *Signed) {
		if r != nil {
			add(r.At, r.By, "signed the report", "")
		}
	}
	closed := func(c Closed) { add(c.At, c.By, "closed the incident: "+c.Reason, "") }
	for _, p := range in.Past {
		signed(p.Report)
		closed(p.Closed)
		add(p.At, p.By, "reopened the incident: "+p.Reason, "")
	}
	signed(in.Report)
	if in.Closed != nil {
		closed(*in.Closed)
	}
}
