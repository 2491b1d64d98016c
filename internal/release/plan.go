package release

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/zeebo/blake3"

	"lockstep/internal/lockstep"
)

// Weight is a share of the keys in basis points, 0 to 10000.
type Weight uint32

// All is the weight of all keys.
const All Weight = 10000

// String gives the weight in percent: "1%", "0.05%".
func (w Weight) String() string {
	return strconv.FormatFloat(float64(w)/100, 'f', -1, 64) + "%"
}

// StepKind is what a step does.
type StepKind string

// The kinds of step, in the order in which a plan may have them.
const (
	Preflight StepKind = "preflight"
	Shadow    StepKind = "shadow"
	Canary    StepKind = "canary"
	Bake      StepKind = "bake"
	Promotion StepKind = "promote"
)

// Step is one step of a plan. It is passed when all that it asks for is there.
type Step struct {
	Kind StepKind `json:"kind"`
	// Weight is the candidate's share: of a canary, always; of a bake, 0 keeps what the
	// step before had. Other steps have none.
	Weight Weight `json:"weight,omitempty"`
	// For is how long it takes at least, by a clock that stands while the release does.
	For time.Duration `json:"for_ns,omitempty"`
	// MinUnits is how many units the candidate has to have seen in this step.
	MinUnits uint64 `json:"min_units,omitempty"`
	// Mix are the kinds of change the candidate has to have seen in this step: a bake
	// that saw no delete has not tested deletes.
	Mix []lockstep.Event `json:"mix,omitempty"`
	// Approvals is how many people have to approve a promotion, none of them the one
	// who started the release. 0: nobody.
	Approvals int `json:"approvals,omitempty"`
	// Expires is how long the approvals are waited for. 0: ApprovalExpires.
	Expires time.Duration `json:"expires_ns,omitempty"`
}

// ApprovalExpires is how long an approval is waited for unless the plan says
// otherwise. After that the release stands, and is never promoted by itself.
const ApprovalExpires = 8 * time.Hour

// Plan is what a candidate has to go through. It does not change once its release
// has started.
type Plan struct {
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
	// Allow are keys the candidate decides for from the first canary on, whatever the
	// weight; Deny are keys it never decides for before it is stable. Deny wins.
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
}

// Bounds of a plan.
const (
	MaxSteps     = 64
	MaxKeys      = 1000 // in each of Allow and Deny
	MaxStepTime  = 366 * 24 * time.Hour
	MaxApprovals = 16
)

const planDomain = "lockstep/release-plan/1"

// Hash is the BLAKE3-256 of the plan in hex: two plans with equal hashes are equal.
func (p Plan) Hash() string {
	h := blake3.New()
	_, _ = h.WriteString(planDomain) // a hash accepts every write
	// The encoding of a plan of plain values; it cannot be refused.
	_ = json.NewEncoder(h).Encode(p)
	return hex.EncodeToString(h.Sum(nil))
}

// Check returns ErrInvalid, naming the step, unless the plan begins with preflight,
// ends with promote, has shadow before canary before bake, and weights that do not
// fall.
func (p Plan) Check() error {
	if err := checkText("plan name", p.Name); err != nil {
		return err
	}
	switch n := len(p.Steps); {
	case n < 2 || n > MaxSteps:
		return fmt.Errorf("plan %s: %w: %d steps, want 2 to %d", p.Name, lockstep.ErrInvalid, n, MaxSteps)
	case p.Steps[0].Kind != Preflight || p.Steps[n-1].Kind != Promotion:
		return fmt.Errorf("plan %s: %w: it goes from %s to %s, want preflight to promote", p.Name, lockstep.ErrInvalid, p.Steps[0].Kind, p.Steps[n-1].Kind)
	}
	var weight Weight
	for i, s := range p.Steps {
		if err := s.check(weight); err != nil {
			return fmt.Errorf("plan %s: step %d: %w", p.Name, i+1, err)
		}
		if i > 0 && !s.mayFollow(p.Steps[i-1]) {
			return fmt.Errorf("plan %s: step %d: %w: %s after %s", p.Name, i+1, lockstep.ErrInvalid, s.Kind, p.Steps[i-1].Kind)
		}
		weight = max(weight, s.Weight)
	}
	return p.checkKeys()
}

func (p Plan) checkKeys() error {
	for name, keys := range map[string][]string{"allow": p.Allow, "deny": p.Deny} {
		if len(keys) > MaxKeys {
			return fmt.Errorf("plan %s: %w: %d keys to %s, at most %d", p.Name, lockstep.ErrInvalid, len(keys), name, MaxKeys)
		}
		for _, k := range keys {
			if k == "" || len(k) > 4*MaxText || !utf8.ValidString(k) {
				return fmt.Errorf("plan %s: %w key %.80q to %s", p.Name, lockstep.ErrInvalid, k, name)
			}
		}
	}
	return nil
}

// rank orders the kinds of step; -1 is no kind.
func (k StepKind) rank() int {
	return slices.Index([]StepKind{Preflight, Shadow, Canary, Bake, Promotion}, k)
}

// mayFollow says whether s may come after before: kinds do not go back, and only a
// canary comes more than once.
func (s Step) mayFollow(before Step) bool {
	return s.Kind.rank() > before.Kind.rank() || (s.Kind == Canary && before.Kind == Canary)
}

func (s Step) check(before Weight) error {
	weighs := s.Kind == Canary || s.Kind == Bake
	approves := s.Kind == Promotion
	switch {
	case s.Kind.rank() < 0:
		return fmt.Errorf("%w kind %.80q: want preflight, shadow, canary, bake or promote", lockstep.ErrInvalid, s.Kind)
	case s.Weight > All || (s.Weight != 0 && !weighs):
		return fmt.Errorf("%w: %s with weight %d", lockstep.ErrInvalid, s.Kind, s.Weight)
	case s.Kind == Canary && s.Weight == 0, s.Kind == Bake && max(s.Weight, before) == 0:
		return fmt.Errorf("%w: %s without a weight", lockstep.ErrInvalid, s.Kind)
	case weighs && s.Weight != 0 && s.Weight < before:
		return fmt.Errorf("%w: its weight %s is below the %s before", lockstep.ErrInvalid, s.Weight, before)
	case s.For < 0 || s.For > MaxStepTime || s.Expires < 0 || s.Expires > MaxStepTime:
		return fmt.Errorf("%w time of %s, expiry of %s, at most %s", lockstep.ErrInvalid, s.For, s.Expires, MaxStepTime)
	case !weighs && s.Kind != Shadow && (s.For != 0 || s.MinUnits != 0 || len(s.Mix) != 0):
		return fmt.Errorf("%w: %s takes no time, units or mix", lockstep.ErrInvalid, s.Kind)
	case s.Approvals < 0 || s.Approvals > MaxApprovals || (!approves && (s.Approvals != 0 || s.Expires != 0)):
		return fmt.Errorf("%w: %s with %d approvals that expire after %s", lockstep.ErrInvalid, s.Kind, s.Approvals, s.Expires)
	}
	return checkMix(s.Mix)
}

// checkMix wants known kinds of change, sorted and each once.
func checkMix(mix []lockstep.Event) error {
	for i, e := range mix {
		if e != lockstep.Insert && e != lockstep.Modify && e != lockstep.Remove {
			return fmt.Errorf("%w kind of change %.80q: want %s, %s or %s", lockstep.ErrInvalid, e, lockstep.Insert, lockstep.Modify, lockstep.Remove)
		}
		if i > 0 && mix[i-1] >= e {
			return fmt.Errorf("%w mix: %s after %s; want them sorted and each once", lockstep.ErrInvalid, e, mix[i-1])
		}
	}
	return nil
}

func (s Step) phase() Phase { return Phase(s.Kind) }

// weight returns the weight that entering the step sets, and whether it sets one.
func (s Step) weight() (Weight, bool) {
	switch s.Kind {
	case Preflight, Shadow:
		return 0, true
	case Canary:
		return s.Weight, true
	case Bake:
		return s.Weight, s.Weight != 0
	case Promotion:
	}
	return 0, false
}

func (s Step) expires() time.Duration {
	if s.Expires == 0 {
		return ApprovalExpires
	}
	return s.Expires
}

// String is the step in words: "canary 10% for 5m, 200 units".
func (s Step) String() string {
	head := string(s.Kind)
	if s.Weight > 0 {
		head += " " + s.Weight.String()
	}
	if s.For > 0 {
		head += " for " + span(s.For)
	}
	parts := []string{head}
	if s.MinUnits > 0 {
		parts = append(parts, fmt.Sprintf("%d units", s.MinUnits))
	}
	if len(s.Mix) > 0 {
		parts = append(parts, mixWords(s.Mix))
	}
	if s.Approvals > 0 {
		parts = append(parts, fmt.Sprintf("approved by %s within %s", people(s.Approvals), span(s.expires())))
	}
	return strings.Join(parts, ", ")
}

// Least returns how long the plan takes at least, when nothing stands still.
func (p Plan) Least() time.Duration {
	var d time.Duration
	for _, s := range p.Steps {
		d += s.For
	}
	return d
}

// String is the plan for people: its name, its steps by number, how long it takes
// at least.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan %s (%s), at least %s\n", p.Name, p.Hash()[:hashDigits], span(p.Least()))
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%4d  %s\n", i+1, s)
	}
	if len(p.Allow) > 0 {
		fmt.Fprintf(&b, "      always the candidate from the first canary on: %s\n", strings.Join(p.Allow, ", "))
	}
	if len(p.Deny) > 0 {
		fmt.Fprintf(&b, "      never the candidate: %s\n", strings.Join(p.Deny, ", "))
	}
	return b.String()
}

// checkText refuses what a ledger entry cannot keep unchanged.
func checkText(what, s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w %s: it is empty", lockstep.ErrInvalid, what)
	case len(s) > MaxText:
		return fmt.Errorf("%w %s: %d bytes, at most %d", lockstep.ErrInvalid, what, len(s), MaxText)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w %s %.80q: it is not UTF-8", lockstep.ErrInvalid, what, s)
	}
	return nil
}
