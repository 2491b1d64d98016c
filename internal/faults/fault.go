package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
)

// Kind is what a fault is made of.
type Kind string

// The kinds.
const (
	Builtin     Kind = "builtin"     // a candidate that is compiled in
	Exec        Kind = "exec"        // a candidate that is a program
	Environment Kind = "environment" // a good candidate in bad surroundings
	Healthy     Kind = "healthy"     // a good candidate, and nothing is wrong
)

// Harm is how much a fault may do to the published index before it is caught.
type Harm string

// The bounds of harm. HarmKeys becomes HarmNone where the release has a shadow step and
// the fault is visible there.
const (
	HarmNone Harm = "none"              // no record differs
	HarmKeys Harm = "keys of the share" // only records of keys that the candidate decided for
)

// Fault is one row of the catalogue.
type Fault struct {
	ID     string `json:"id"`
	What   string `json:"what"`   // one sentence
	Origin string `json:"origin"` // where it comes from: a commit, a row of the comparison of old and new, or "general"
	Kind   Kind   `json:"kind"`
	// Shadow says that the answers differ from stable's on the same input, so that a
	// comparison of the two shows it before any key is given away.
	Shadow bool `json:"shadow"`
	// Catch are the guards of which one must catch it. Empty: nobody must, because the
	// candidate is good, and it must be promoted.
	Catch []string `json:"catch,omitempty"`
	Harm  Harm     `json:"harm"`
	// Held is the guard that may hold the release of a good candidate for as long as the
	// surroundings are bad; "" when nothing may.
	Held string `json:"held,omitempty"`

	candidate func() handler.Handler                               // Builtin; Environment: good when nil
	program   func(Options) (config.Program, error)                // Exec
	stable    func() handler.Handler                               // nil: receipts@2 itself
	places    synth.Place                                          // "": as the generator does
	risks     []string                                             // accepted by name, or it would not begin
	deliver   func(context.Context, *world, []compact.Input) error // nil: once, in order
}

// allowed is the bound of harm in a release whose plan begins in shadow or does not.
func (f *Fault) allowed(shadow shadowing) Harm {
	if f.Shadow && shadow == compared {
		return HarmNone
	}
	return f.Harm
}

// shadowing says whether the releases have a shadow step.
type shadowing int

const (
	notCompared shadowing = iota
	compared
)

// Catalogue lists all faults: general ones, those of the receipt domain, programs, and
// the surroundings.
func Catalogue() []Fault {
	return slices.Concat(
		general(), generalAnswers(), metadataFaults(), scopeFaults(), labelFaults(), labelForms(), deltaFaults(), domainFaults(),
		programs(), surroundings(), sound(),
	)
}

// Find returns the faults of these ids, all when there are none. ErrNotFound lists what
// is known.
func Find(ids []string) ([]Fault, error) {
	all := Catalogue()
	if len(ids) == 0 {
		return all, nil
	}
	var out []Fault
	for _, id := range ids {
		i := slices.IndexFunc(all, func(f Fault) bool { return f.ID == id })
		if i < 0 {
			known := make([]string, len(all))
			for k := range all {
				known[k] = all[k].ID
			}
			return nil, fmt.Errorf("fault %q: %w; known are %s", id, lockstep.ErrNotFound, strings.Join(known, ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// The guards by which kinds of fault must be caught. Which of a set is first does not
// matter: what counts is that the release ends before more is harmed.
func failing() []string {
	return []string{"batch-failure", "candidate-broken", "candidate-vs-stable", "shadow-mismatch", preflight}
}
func slow() []string { return []string{"batch-slow", "unit-time"} }
func wrong() []string {
	return []string{"shadow-mismatch", "rederivation", "forbidden-keys", preflight}
}
func lossy() []string { return append(wrong(), "without-effect", "empty-imports") }

// preflight stands for everything that is asked before a release begins.
const preflight = "preflight"
