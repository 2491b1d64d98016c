package release

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// CulpritSource says what kind of question found a candidate bad, or holds it.
type CulpritSource string

// The sources.
const (
	FromPreflight CulpritSource = "preflight" // what is asked before it sees any input
	FromShadow    CulpritSource = "shadow"    // an invariant of the comparison in shadow
	FromAnalysis  CulpritSource = "analysis"  // a guard of the statistics, "joint" for several together
	FromGuard     CulpritSource = "guard"     // a guard on the running system
)

// CulpritSources lists the sources.
func CulpritSources() []CulpritSource {
	return []CulpritSource{FromPreflight, FromShadow, FromAnalysis, FromGuard}
}

// Culprit is what found a candidate bad or holds it, and in which step: for programs what
// the reason is for people.
type Culprit struct {
	Source CulpritSource `json:"source"`
	Name   string        `json:"name"` // of the guard or the invariant
	Step   int           `json:"step"` // index in Plan.Steps
}

// at returns the culprit of an observation as an entry can keep it, nil for none: an abort
// must not fail for what somebody else put together.
func (c *Culprit) at(step int) *Culprit {
	if c == nil || c.Name == "" || !slices.Contains(CulpritSources(), c.Source) {
		return nil
	}
	return &Culprit{Source: c.Source, Name: clip(c.Name), Step: step}
}

func (c *Culprit) check(steps int) error {
	if c == nil {
		return nil
	}
	if !slices.Contains(CulpritSources(), c.Source) || c.Step < 0 || c.Step >= steps {
		return fmt.Errorf("%w culprit %+v of %d steps", lockstep.ErrInvalid, *c, steps)
	}
	return checkText("culprit", c.Name)
}

// String is the culprit in words: "guard candidate-broken in step 3".
func (c Culprit) String() string {
	words := []string{string(c.Source)}
	if c.Name != string(c.Source) {
		words = append(words, c.Name)
	}
	return fmt.Sprintf("%s in step %d", strings.Join(words, " "), c.Step+1)
}
