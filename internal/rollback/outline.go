package rollback

import (
	"slices"
	"time"
)

// Outline is a way back as it was chosen: which targets take part, in which order, and why
// the others do not. Assembly has the targets make the steps of it.
type Outline struct {
	Scenario  Scenario
	Procedure Procedure
	To        Pair
	Data      Wish
	// Risk is what a person has to accept by name before it is run; "": nothing.
	Risk  string
	Loss  []string // what is lost for good; empty: nothing
	Why   []string // the reasons for all of the above
	Parts []Part   // in the order of the plan
	Left  []Left
}

// Part is a target that takes part.
type Part struct {
	Target    string
	Phase     Phase
	Needs     []string // targets of parts before it
	Why       string
	Predicted time.Duration
}

// Left is a target that was left out, and why.
type Left struct{ Target, Why string }

// Part returns what takes part under that name.
func (o *Outline) Part(target string) (Part, bool) {
	i := slices.IndexFunc(o.Parts, func(p Part) bool { return p.Target == target })
	if i < 0 {
		return Part{}, false
	}
	return o.Parts[i], true
}

// Notes are the reasons, and what was left out, as a Plan keeps them.
func (o *Outline) Notes() []string {
	out := slices.Clone(o.Why)
	for _, l := range o.Left {
		out = append(out, "without "+l.Target+": "+l.Why)
	}
	return out
}

// draft is an outline in the making.
type draft struct {
	Outline
	facts   Facts
	without []string
}

// add has a target take part that needs no configuration, unless no, or a person, says why
// not. Needs that take no part themselves are nothing to wait for.
func (d *draft) add(p Part, no string) {
	if slices.Contains(d.without, p.Target) {
		no = "asked for"
	}
	if no != "" {
		d.Left = append(d.Left, Left{p.Target, no})
		return
	}
	p.Needs = slices.DeleteFunc(slices.Clone(p.Needs), func(n string) bool {
		_, there := d.Part(n)
		return !there
	})
	d.Parts = append(d.Parts, p)
}

// offered is add for a target that has to be configured.
func (d *draft) offered(p Part, no string) {
	o, there := d.facts.Offers[p.Target]
	switch {
	case no != "":
	case !there:
		no = "not configured"
	case o.Refuses != "":
		no = o.Refuses
	}
	if o.Sees != "" {
		p.Why = o.Sees
	}
	p.Predicted = o.Predicted
	d.add(p, no)
}
