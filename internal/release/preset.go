package release

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

const (
	allAtOnce     = "AllAtOnce"
	presetPercent = 10
)

// Presets returns the names of all presets: those people know from CodeDeploy, and
// AllAtOnce.
func Presets() []string {
	var names []string
	for _, m := range canaryMinutes() {
		names = append(names, canaryName(m))
	}
	for _, m := range linearMinutes() {
		names = append(names, linearName(m))
	}
	return append(names, allAtOnce)
}

// Preset returns the plan of that name. "default" followed by a dash and the name of
// an environment is Default. lockstep.ErrNotFound lists the presets.
func Preset(name string) (Plan, error) {
	if environment, ok := strings.CutPrefix(name, defaultPrefix); ok {
		return Default(environment), nil
	}
	for _, m := range canaryMinutes() {
		if name == canaryName(m) {
			return wrap(name, Step{Kind: Canary, Weight: percent(presetPercent), For: minutes(m)}), nil
		}
	}
	for _, m := range linearMinutes() {
		if name == linearName(m) {
			var steps []Step
			for p := presetPercent; p < 100; p += presetPercent {
				steps = append(steps, Step{Kind: Canary, Weight: percent(p), For: minutes(m)})
			}
			return wrap(name, steps...), nil
		}
	}
	if name == allAtOnce {
		return wrap(name), nil
	}
	err := fmt.Errorf("preset %.80q: %w; known are %s, and %s<environment>", name, lockstep.ErrNotFound, strings.Join(Presets(), ", "), defaultPrefix)
	return Plan{}, lockstep.Hint(err, "name one of them, or write the steps down in the configuration")
}

const defaultPrefix = "default-"

// Default returns the plan for an environment that was given none: shadow, canaries
// of 1, 10, 25 and 50 percent, and a bake with all kinds of change: 48 hours in dev,
// 24 hours everywhere else.
func Default(environment string) Plan {
	bake := 24 * time.Hour
	if environment == "dev" {
		bake = 48 * time.Hour
	}
	steps := []Step{{Kind: Shadow, For: time.Hour, MinUnits: 100}}
	for _, p := range []int{1, 10, 25, 50} {
		steps = append(steps, Step{Kind: Canary, Weight: percent(p), For: 30 * time.Minute, MinUnits: uint64(p) * 2})
	}
	everything := []lockstep.Event{lockstep.Insert, lockstep.Modify, lockstep.Remove}
	slices.Sort(everything)
	steps = append(steps, Step{Kind: Bake, For: bake, MinUnits: 500, Mix: everything})
	return wrap(defaultPrefix+environment, steps...)
}

// wrap puts steps between preflight and promote, which no plan goes without.
func wrap(name string, steps ...Step) Plan {
	all := append([]Step{{Kind: Preflight}}, steps...)
	return Plan{Name: name, Steps: append(all, Step{Kind: Promotion})}
}

// The times of the presets, in minutes, as CodeDeploy has them.
func canaryMinutes() []int { return []int{5, 10, 15, 30} }
func linearMinutes() []int { return []int{1, 2, 3, 10} }

func percent(p int) Weight { return Weight(p) * All / 100 }

func minutes(m int) time.Duration { return time.Duration(m) * time.Minute }

func canaryName(m int) string {
	return fmt.Sprintf("Canary%dPercent%dMinutes", presetPercent, m)
}

func linearName(m int) string {
	unit := "Minutes"
	if m == 1 {
		unit = "Minute"
	}
	return fmt.Sprintf("Linear%dPercentEvery%s%s", presetPercent, strconv.Itoa(m), unit)
}
