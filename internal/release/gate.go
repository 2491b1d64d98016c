package release

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Gate is a condition that a person can open with a second person's help. What has
// no gate - a bad verdict, a quarantine, preflight - cannot be passed by anybody;
// a risk that preflight names is accepted by AcceptRisk.
type Gate string

// The gates.
const (
	GateFreeze   Gate = "freeze"   // a freeze window, or a stopped line
	GateChain    Gate = "chain"    // occupancy of the environment before
	GateTime     Gate = "time"     // the time of a step
	GateUnits    Gate = "units"    // the units of a step
	GateMix      Gate = "mix"      // the kinds of change of a step
	GateVerdict  Gate = "verdict"  // guards that hold or have no data; never those that say bad
	GateApproval Gate = "approval" // the approvals of a promotion
)

// Gates returns all gates.
func Gates() []Gate {
	return []Gate{GateFreeze, GateChain, GateTime, GateUnits, GateMix, GateVerdict, GateApproval}
}

// ParseGate returns the gate of that name. lockstep.ErrInvalid lists the gates.
func ParseGate(name string) (Gate, error) {
	if slices.Contains(Gates(), Gate(name)) {
		return Gate(name), nil
	}
	return "", fmt.Errorf("%w gate %.80q: want one of %s", lockstep.ErrInvalid, name, gateWords(Gates()))
}

func gateWords(gates []Gate) string {
	words := make([]string, len(gates))
	for i, g := range gates {
		words[i] = string(g)
	}
	return strings.Join(words, ", ")
}

// Glass is a gate that two people opened for one release, and why.
type Glass struct {
	Gate   Gate      `json:"gate"`
	By     string    `json:"by"`
	Second string    `json:"second"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

func (g Glass) check() error {
	if _, err := ParseGate(string(g.Gate)); err != nil {
		return err
	}
	if err := checkText("second person", g.Second); err != nil {
		return err
	}
	if samePerson(g.By, g.Second) {
		return fmt.Errorf("open gate %s: %w: %s cannot be the second person as well", g.Gate, lockstep.ErrRefused, g.By)
	}
	return nil
}

func samePerson(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// BreakGlass opens one gate for the rest of the release that is under way, or for
// the next start through Request.Glass. It needs a second person. ErrRefused: no
// release is under way, the second person is the first, or it is open already.
func BreakGlass(s State, by Order, gate Gate, second string) (Transition, error) {
	t, r, err := begin(s, by, KindGlass)
	if err != nil {
		return Transition{}, fmt.Errorf("open gate %s: %w", gate, err)
	}
	g := Glass{Gate: gate, By: by.Actor, Second: second, Reason: by.Reason, At: by.At.UTC()}
	if err := g.check(); err != nil {
		return Transition{}, err
	}
	if r.Opened(gate) {
		return Transition{}, refuse(fmt.Sprintf("open gate %s of release %s", gate, r.ID), "it is open already", `go on with "lockstep release promote"`)
	}
	r.Glass = append(r.Glass, g)
	return t, nil
}
