package shadow

import (
	"fmt"
	"path"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Ignore takes metadata keys out of the comparison, typically those that carry the unit's
// clock. Nothing else can be ignored: what else is expected to differ is accepted.
type Ignore struct {
	Collection string    // glob; "" is every collection
	Key        string    // glob, as path.Match understands it, over the escaped key
	Until      time.Time // from then on the keys count; zero: no end
	Reason     string
}

// Check returns lockstep.ErrInvalid for a rule without a key or with a broken glob.
func (g Ignore) Check() error {
	if g.Key == "" {
		return fmt.Errorf("%w ignore rule: no key", lockstep.ErrInvalid)
	}
	for _, glob := range []string{g.Collection, g.Key} {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("%w ignore rule %q: %w", lockstep.ErrInvalid, glob, err)
		}
	}
	return nil
}

func (g Ignore) covers(c lockstep.Collection, escaped string, now time.Time) bool {
	if !g.Until.IsZero() && !now.Before(g.Until) {
		return false
	}
	return (g.Collection == "" || match(g.Collection, string(c))) && match(g.Key, escaped)
}

// match is path.Match for globs that were checked; a broken one matches nothing.
func match(glob, name string) bool {
	ok, err := path.Match(glob, name)
	return err == nil && ok
}

// Acceptance says that differences of some classes are expected until a day.
type Acceptance struct {
	// Class is a class or a glob over one, in which * stays between two slashes. A hard
	// class is accepted only by a glob that spells its field and kind out.
	Class  string    `json:"class"`
	Until  time.Time `json:"until"` // from then on they count again, also those of before
	Reason string    `json:"reason"`
	By     string    `json:"by"`
}

// Check returns lockstep.ErrInvalid unless the acceptance has a glob that can match, an
// end, a reason and a name.
func (a Acceptance) Check() error {
	if _, err := path.Match(a.Class, ""); err != nil || a.Class == "" {
		return fmt.Errorf("%w acceptance: %q is no class and no glob over one", lockstep.ErrInvalid, a.Class)
	}
	if n := strings.Count(a.Class, "/"); n != 2 && (n != 1 || !strings.HasPrefix(a.Class, "error/")) {
		err := fmt.Errorf("%w acceptance of %q: want collection/field/kind or error/who", lockstep.ErrInvalid, a.Class)
		return lockstep.Hint(err, `copy the class from "lockstep shadow report"`)
	}
	switch {
	case a.Until.IsZero():
		return fmt.Errorf("%w acceptance of %q: no end", lockstep.ErrInvalid, a.Class)
	case strings.TrimSpace(a.Reason) == "":
		return fmt.Errorf("%w acceptance of %q: no reason", lockstep.ErrInvalid, a.Class)
	case strings.TrimSpace(a.By) == "":
		return fmt.Errorf("%w acceptance of %q: nobody's name", lockstep.ErrInvalid, a.Class)
	}
	return nil
}

func (a Acceptance) matches(c Class) bool {
	if !match(a.Class, string(c)) {
		return false
	}
	if !c.Hard() {
		return true
	}
	_, spelt, _ := strings.Cut(a.Class, "/")
	return !strings.ContainsAny(spelt, `*?[\`)
}

// Acceptances are all that were ever given.
type Acceptances []Acceptance

// Of returns the acceptance under which c is expected at now.
func (as Acceptances) Of(c Class, now time.Time) (Acceptance, bool) {
	for _, a := range as {
		if now.Before(a.Until) && a.matches(c) {
			return a, true
		}
	}
	return Acceptance{}, false
}

// ended returns the acceptance of c that ended last, when none holds at now.
func (as Acceptances) ended(c Class, now time.Time) (Acceptance, bool) {
	var last Acceptance
	found := false
	for _, a := range as {
		if a.matches(c) && !now.Before(a.Until) && (!found || a.Until.After(last.Until)) {
			last, found = a, true
		}
	}
	return last, found
}

// unexpected returns the classes that no acceptance covers at now.
func (as Acceptances) unexpected(classes []Class, now time.Time) []Class {
	if len(as) == 0 {
		return classes
	}
	var out []Class
	for _, c := range classes {
		if _, ok := as.Of(c, now); !ok {
			out = append(out, c)
		}
	}
	return out
}

// Rules say what counts as a difference.
type Rules struct {
	Ignore []Ignore
	// Delta is how much longer than stable the candidate may take, as a share: 0.25 is a
	// quarter. Floor is the time below which nobody cares; a candidate faster than it is
	// never slower.
	Delta float64
	Floor time.Duration
}

// Check returns lockstep.ErrInvalid, naming the rule, for rules that cannot be meant.
func (r Rules) Check() error {
	if !(r.Delta >= 0 && r.Delta <= 1000) {
		return fmt.Errorf("%w delta %v: want 0 to 1000", lockstep.ErrInvalid, r.Delta)
	}
	if r.Floor < 0 {
		return fmt.Errorf("%w floor %s: want 0 or more", lockstep.ErrInvalid, r.Floor)
	}
	for i, g := range r.Ignore {
		if err := g.Check(); err != nil {
			return fmt.Errorf("rule %d: %w", i, err)
		}
	}
	return nil
}
