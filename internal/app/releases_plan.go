package app

import (
	"io"
	"math/big"
	"slices"
	"strings"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

// LoadPlan reads a plan that somebody wrote down ("lockstep release start --help" shows
// one). name is what
// mistakes call the file; all of them are reported at once, as *config.Problems.
func LoadPlan(r io.Reader, name string) (release.Plan, error) {
	root, err := config.Parse(r, name)
	if err != nil {
		return release.Plan{}, err
	}
	m := root.Map("name", "steps", "allow", "deny")
	p := release.Plan{Name: m.Get("name").Text(name), Allow: texts(m.Get("allow")), Deny: texts(m.Get("deny"))}
	steps := m.Need("steps")
	for _, n := range steps.List() {
		p.Steps = append(p.Steps, planStep(n))
	}
	if err := root.Err(); err != nil {
		return release.Plan{}, err
	}
	if err := p.Check(); err != nil {
		steps.Reject("%v", err)
	}
	return p, root.Err()
}

func texts(n *config.Node) []string {
	var out []string
	for _, e := range n.List() {
		if s := e.Text(""); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// stepNames are the kinds of step, as files write them.
func stepNames() []string {
	return []string{
		string(release.Preflight), string(release.Shadow), string(release.Canary), string(release.Bake), string(release.Promotion),
	}
}

func planStep(n *config.Node) release.Step {
	m := n.Map("kind", "weight", "for", "units", "mix", "approvals", "expires")
	s := release.Step{
		Kind:      release.StepKind(m.Need("kind").Enum(string(release.Preflight), stepNames()...)),
		For:       m.Get("for").Duration(0, 0, release.MaxStepTime),
		MinUnits:  uint64(m.Get("units").Int(0, 0, 1<<40)),
		Approvals: int(m.Get("approvals").Int(0, 0, release.MaxApprovals)),
		Expires:   m.Get("expires").Duration(0, time.Minute, release.MaxStepTime),
	}
	if w := m.Get("weight"); w != nil {
		if text := w.Text(""); text != "" {
			weight, ok := parseWeight(text)
			if !ok {
				w.Reject("want a share such as 10%%, 0.25%% or 25bp (basis points), above 0 and at most 100%%, found %q", clipped(text))
			}
			s.Weight = weight
		}
	}
	for _, e := range m.Get("mix").List() {
		switch e.Enum("", "insert", "modify", "remove") {
		case "insert":
			s.Mix = append(s.Mix, lockstep.Insert)
		case "modify":
			s.Mix = append(s.Mix, lockstep.Modify)
		case "remove":
			s.Mix = append(s.Mix, lockstep.Remove)
		}
	}
	slices.Sort(s.Mix)
	return s
}

// parseWeight reads a share in percent or basis points. One that is no whole number of basis
// points is none.
func parseWeight(text string) (release.Weight, bool) {
	number, scale := strings.CutSuffix(text, "%")
	factor := int64(100)
	if !scale {
		if number, scale = strings.CutSuffix(text, "bp"); !scale {
			return 0, false
		}
		factor = 1
	}
	const digits = 8 // more than any weight has
	if len(number) > digits || strings.Trim(number, "0123456789.") != "" {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, false
	}
	r.Mul(r, big.NewRat(factor, 1))
	if !r.IsInt() || r.Sign() <= 0 || r.Cmp(big.NewRat(int64(release.All), 1)) > 0 {
		return 0, false
	}
	return release.Weight(r.Num().Int64()), true
}

func clipped(s string) string { return s[:min(len(s), 40)] }
