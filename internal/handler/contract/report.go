package contract

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Outcome is what became of one check.
type Outcome string

// A check has exactly one outcome.
const (
	Kept       Outcome = "kept"       // true on this fixture
	Broken     Outcome = "broken"     // something else was seen
	Skipped    Outcome = "skipped"    // the fixture does not promise what it checks
	Unfinished Outcome = "unfinished" // the context ended first
)

// Result is the outcome of one check. Err says why when it is broken or unfinished.
type Result struct {
	Check   string
	Outcome Outcome
	Err     error
}

// Report is what all checks said of one handler, in the order of Checks.
type Report struct {
	Results []Result
}

// Run runs every check on h and returns what each said. It does not stop at the first
// broken one. What ctx left no time for is unfinished.
func Run(ctx context.Context, h handler.Handler, f Fixture, opts Options) Report {
	var r Report
	for _, c := range Checks() {
		if !c.Applies(f) {
			r.Results = append(r.Results, Result{Check: c.Name, Outcome: Skipped})
			continue
		}
		err := c.Run(ctx, h, f, opts)
		outcome := Kept
		switch {
		case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
			outcome = Unfinished
		case err != nil:
			outcome = Broken
		}
		r.Results = append(r.Results, Result{Check: c.Name, Outcome: outcome, Err: err})
	}
	return r
}

// Err returns nil when every check was kept or skipped. When one is broken it is
// lockstep.ErrInvalid with every reason; when none is and some are unfinished, it wraps
// the context's error: nothing bad was seen, and not enough was looked at. A report
// without results is lockstep.ErrInvalid too: nothing was checked.
func (r Report) Err() error {
	if len(r.Results) == 0 {
		return fmt.Errorf("handler contract: %w: nothing was checked", lockstep.ErrInvalid)
	}
	var broken, unfinished []error
	for _, one := range r.Results {
		switch one.Outcome {
		case Broken:
			broken = append(broken, one.Err)
		case Unfinished:
			unfinished = append(unfinished, one.Err)
		case Kept, Skipped:
		}
	}
	switch {
	case len(broken) > 0:
		return fmt.Errorf("handler contract: %d of %d checks broken: %w", len(broken), len(r.Results), errors.Join(broken...))
	case len(unfinished) > 0:
		return fmt.Errorf("handler contract: %d of %d checks unfinished: %w", len(unfinished), len(r.Results), unfinished[0])
	}
	return nil
}

// Text renders the report for people: one line per check, and below a broken one what
// was seen.
func (r Report) Text() string {
	var b strings.Builder
	for _, one := range r.Results {
		fmt.Fprintf(&b, "%-10s  %s\n", one.Outcome, one.Check)
		if one.Err == nil {
			continue
		}
		said := strings.TrimPrefix(one.Err.Error(), one.Check+": ")
		for line := range strings.Lines(said) {
			fmt.Fprintf(&b, "            %s\n", strings.TrimRight(line, "\n"))
		}
	}
	return b.String()
}
