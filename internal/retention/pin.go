package retention

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// LeasePrefix begins the names of pins that followers and running jobs hold. A
// lease must expire, and its objects are removed some time after it has.
const LeasePrefix = "lease-"

const (
	pinPrefix   = "pin/"
	pinFormat   = 1
	maxPinBytes = 16 << 10
	maxPinText  = 1 << 10
)

// ErrBusy says that a collection which may be deleting the thing is under way.
var ErrBusy = fmt.Errorf("a collection of garbage is under way: %w", lockstep.ErrConflict)

// Pin keeps one version, and what it needs, from being deleted.
type Pin struct {
	Name    string `json:"name"`
	Version uint64 `json:"version"`
	// Base, when set, is the Unique of a base of Version: the pin then keeps only the
	// objects of that base. A local state that was loaded from a base reads vectors
	// from it for as long as it lives, long after the versions around it went.
	Base    string    `json:"base,omitempty"`
	Holder  string    `json:"holder"`
	Reason  string    `json:"reason,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	At      time.Time `json:"at"`               // by the clock of who wrote it; information only
}

// Expired says whether the pin has run out at now.
func (p Pin) Expired(now time.Time) bool { return !p.Expires.IsZero() && !now.Before(p.Expires) }

// pinBody is the object of a pin: the newest number of a name is what holds.
type pinBody struct {
	Format  int  `json:"format"`
	Removed bool `json:"removed,omitempty"`
	Pin
}

var pinName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?$`)

// CheckPinName returns ErrInvalid unless name can name a pin: 1 to 100 of a-z 0-9 .
// _ -, a letter or digit at both ends.
func CheckPinName(name string) error {
	if !pinName.MatchString(name) {
		return fmt.Errorf("%w pin name %.120q: want 1 to 100 of a-z 0-9 . _ -, a letter or digit at both ends", lockstep.ErrInvalid, name)
	}
	return nil
}

func (p Pin) check() error {
	if err := CheckPinName(p.Name); err != nil {
		return err
	}
	switch {
	case p.Version == 0:
		return fmt.Errorf("pin %s: %w version 0: the empty index is always there", p.Name, lockstep.ErrInvalid)
	case p.Holder == "" || len(p.Holder) > maxPinText || len(p.Reason) > maxPinText:
		return fmt.Errorf("pin %s: %w holder or reason: want a holder, and at most %d bytes each", p.Name, lockstep.ErrInvalid, maxPinText)
	case strings.HasPrefix(p.Name, LeasePrefix) && p.Expires.IsZero():
		return fmt.Errorf("pin %s: %w lease: it never expires", p.Name, lockstep.ErrInvalid)
	case p.Base != "":
		if err := (base.ID{Version: p.Version, Unique: p.Base}).Check(); err != nil {
			return fmt.Errorf("pin %s: %w", p.Name, err)
		}
	}
	return nil
}

// SetPin pins a version under p.Name, in place of what that name pinned before, and
// cancels every plan of a collection that would take away what it needs. It writes
// no version. On error the version may be pinned or not; setting the pin again or
// removing it settles that. Errors: version.ErrRetired when the version, or what it
// takes to rebuild it, is gone; ErrNotFound when it does not exist yet; ErrBusy when
// a collection that may be deleting it is under way; ErrInvalid.
func SetPin(ctx context.Context, log *version.Log, p Pin) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return err
	}
	// Before anything is written, so that a name that holds something good is not
	// lost to a pin that cannot hold.
	if _, err := needsOf(ctx, log, p); err != nil {
		return fmt.Errorf("pin %s: %w", p.Name, err)
	}
	if err := writePin(ctx, log.Store(), pinBody{Format: pinFormat, Pin: p}); err != nil {
		return fmt.Errorf("pin %s: %w", p.Name, err)
	}
	err := guard(ctx, log, p)
	if errors.Is(err, ErrBusy) || errors.Is(err, version.ErrRetired) {
		// It does not hold, so it must not seem to.
		err = errors.Join(err, writePin(ctx, log.Store(), pinBody{Format: pinFormat, Removed: true, Pin: p}))
	}
	if err != nil {
		return fmt.Errorf("pin %s: %w", p.Name, err)
	}
	return nil
}

// guard makes sure that a pin which was just written holds. A collector first
// writes down that it begins and then looks for pins. So when no beginning is to be
// seen now, it will see the pin; and when one is, it may not have.
func guard(ctx context.Context, log *version.Log, p Pin) error {
	open, err := openPlans(ctx, log.Store())
	if err != nil {
		return err
	}
	// Only now: a collection that ended in between shows in what is still there.
	need, err := needsOf(ctx, log, p)
	if err != nil {
		return err
	}
	for _, n := range open {
		plan, err := ReadPlan(ctx, log.Store(), n)
		if err != nil {
			return err
		}
		touched, err := plan.touches(ctx, log, need)
		if err != nil {
			return err
		}
		if !touched {
			continue
		}
		begun, err := exists(ctx, log.Store(), gcKey(n, gcBegin))
		if err != nil {
			return err
		}
		if begun {
			return lockstep.Hint(fmt.Errorf("collection %d may be deleting version %d: %w", n, p.Version, ErrBusy),
				"wait for the collection to end, or run it again if it was killed; then pin again")
		}
		if err := Cancel(ctx, log.Store(), n, p.At, "pin "+p.Name+" was taken"); err != nil {
			return err
		}
	}
	return nil
}

// RemovePin gives a pin up. ErrNotFound when there is none of that name. It works on
// a pin that cannot be read, too.
func RemovePin(ctx context.Context, log *version.Log, name, holder string, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := CheckPinName(name); err != nil {
		return err
	}
	newest, err := newestPins(ctx, log.Store(), pinPrefix+name+"/")
	if err != nil {
		return fmt.Errorf("unpin %s: %w", name, err)
	}
	seen, ok := newest[name]
	if ok {
		b, err := readPin(ctx, log.Store(), name, seen)
		ok = err != nil || !b.Removed
	}
	if !ok {
		return lockstep.Hint(fmt.Errorf("unpin %s: no such pin: %w", name, lockstep.ErrNotFound), `"lockstep pin list" shows the pins`)
	}
	if err := writePin(ctx, log.Store(), pinBody{Format: pinFormat, Removed: true, Pin: Pin{Name: name, Holder: holder, At: now.UTC()}}); err != nil {
		return fmt.Errorf("unpin %s: %w", name, err)
	}
	return nil
}

// Renew lets a pin expire later, at expires. ErrNotFound when there is none of that
// name. A pin that has run out is taken again, with the errors of SetPin.
func Renew(ctx context.Context, log *version.Log, name string, expires, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	pins, err := list(ctx, log.Store(), pinPrefix+name+"/")
	if err != nil {
		return fmt.Errorf("renew pin %s: %w", name, err)
	}
	i := slices.IndexFunc(pins, func(p Pin) bool { return p.Name == name })
	if i < 0 {
		return lockstep.Hint(fmt.Errorf("renew pin %s: no such pin: %w", name, lockstep.ErrNotFound), "pin the version again")
	}
	p := pins[i]
	expired := p.Expired(now)
	p.Expires, p.At = expires.UTC(), now.UTC()
	if expired {
		return SetPin(ctx, log, p)
	}
	if err := p.check(); err != nil {
		return err
	}
	// It held until now, so every collection that has begun has seen it.
	if err := writePin(ctx, log.Store(), pinBody{Format: pinFormat, Pin: p}); err != nil {
		return fmt.Errorf("renew pin %s: %w", name, err)
	}
	return nil
}

// Pins returns all pins that were not removed, by name, also those that have
// expired. ErrCorrupt, naming the key, when one cannot be read: nobody can tell what
// it keeps.
func Pins(ctx context.Context, log *version.Log) ([]Pin, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	pins, err := list(ctx, log.Store(), pinPrefix)
	if err != nil {
		return nil, fmt.Errorf("list pins: %w", err)
	}
	return pins, nil
}

func list(ctx context.Context, s blob.Store, prefix string) ([]Pin, error) {
	newest, err := newestPins(ctx, s, prefix)
	if err != nil {
		return nil, err
	}
	out := make([]Pin, 0, len(newest))
	for name, seq := range newest {
		b, err := readPin(ctx, s, name, seq)
		if err != nil {
			return nil, err
		}
		if !b.Removed {
			out = append(out, b.Pin)
		}
	}
	slices.SortFunc(out, func(a, b Pin) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// newestPins returns the highest number of each name. A listing may lag; the
// numbers above what it shows are looked for by Get.
func newestPins(ctx context.Context, s blob.Store, prefix string) (map[string]uint64, error) {
	out := map[string]uint64{}
	for m, err := range s.List(ctx, prefix, "") {
		if err != nil {
			return nil, err
		}
		if name, seq, ok := parsePinKey(m.Key); ok {
			out[name] = max(out[name], seq)
		}
	}
	for name, seq := range out {
		for {
			there, err := exists(ctx, s, pinKey(name, seq+1))
			if err != nil {
				return nil, err
			}
			if !there {
				break
			}
			seq++
		}
		out[name] = seq
	}
	return out, nil
}

// writePin creates the next number of a name.
func writePin(ctx context.Context, s blob.Store, b pinBody) error {
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	body = append(body, '\n')
	for {
		newest, err := newestPins(ctx, s, pinPrefix+b.Name+"/")
		if err != nil {
			return err
		}
		err = create(ctx, s, pinKey(b.Name, newest[b.Name]+1), body)
		if !errors.Is(err, blob.ErrExists) {
			return err
		}
	}
}

func readPin(ctx context.Context, s blob.Store, name string, seq uint64) (pinBody, error) {
	key := pinKey(name, seq)
	body, err := blob.ReadAll(ctx, s, key, maxPinBytes)
	if err != nil {
		return pinBody{}, err
	}
	b, err := decodePin(name, body)
	if err != nil {
		return pinBody{}, lockstep.Hint(fmt.Errorf("object %s: %w", key, err), "remove the pin and set it again")
	}
	return b, nil
}

// decodePin reads the object of a pin. An empty body and null mean: not pinned.
func decodePin(name string, body []byte) (pinBody, error) {
	if t := bytes.TrimSpace(body); len(t) == 0 || string(t) == "null" {
		return pinBody{Format: pinFormat, Removed: true, Pin: Pin{Name: name}}, nil
	}
	var b pinBody
	if err := decodeStrict(body, pinFormat, &b); err != nil {
		return pinBody{}, err
	}
	if b.Name != name {
		return pinBody{}, fmt.Errorf("%w: it says its name is %.120q", lockstep.ErrCorrupt, b.Name)
	}
	if !b.Removed {
		if err := b.check(); err != nil {
			return pinBody{}, fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
		}
	}
	return b, nil
}

func pinKey(name string, seq uint64) string { return fmt.Sprintf("%s%s/%020d", pinPrefix, name, seq) }

func parsePinKey(key string) (name string, seq uint64, ok bool) {
	name, digits, ok := strings.Cut(strings.TrimPrefix(key, pinPrefix), "/")
	if !ok {
		return "", 0, false
	}
	seq, ok = parseNumber(digits)
	return name, seq, ok
}
