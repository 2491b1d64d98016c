package faults

import (
	"slices"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

const healthyPython = "healthy-python"

// sound lists candidates that are good, and must be promoted.
func sound() []Fault {
	return []Fault{
		{
			ID: "healthy-copy", What: "The stable code under another name.", Origin: "none",
			Kind: Healthy, Harm: HarmNone,
			candidate: func() handler.Handler { return good("healthy-copy") },
		},
		{
			ID: "healthy-shuffled", What: "The stable code, which gives its mutations in another order.", Origin: "none",
			Kind: Healthy, Harm: HarmNone,
			candidate: func() handler.Handler { return shuffled("healthy-shuffled") },
		},
		{
			ID: healthyPython, What: "The same handler written in Python, as a program.", Origin: "none",
			Kind: Healthy, Harm: HarmNone,
			program: python, stable: steady(programPace),
		},
	}
}

// shuffled answers right, in another order.
func shuffled(version string) handler.Handler {
	return spoilt(version, func(p *plan) error {
		slices.Reverse(p.muts)
		slices.SortStableFunc(p.muts, func(a, b lockstep.Mutation) int { return len(a.Record.ID) - len(b.Record.ID) })
		return nil
	})()
}
