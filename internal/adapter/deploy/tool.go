package deploy

import (
	"context"
	"fmt"
	"time"

	"lockstep/internal/lockstep"
)

// Tool is what deploys. Every method wraps a class of error: ErrLocked when somebody else
// is at it, ErrUnavailable when it does not answer or fails, ErrRefused when credentials
// are missing, ErrNotFound when there is no such program or stack, ErrInvalid when the
// answer is not what was agreed.
type Tool interface {
	// Current reads back which version runs.
	Current(ctx context.Context) (Running, error)
	// History lists what was deployed, newest first.
	History(ctx context.Context) ([]Update, error)
	// Preview says what deploying would change, and changes nothing.
	Preview(ctx context.Context, o Order) (Preview, error)
	// Up deploys. After an error either version may run, or a part of each.
	Up(ctx context.Context, o Order) (Outcome, error)
	// Refresh makes the tool's own state match what is there.
	Refresh(ctx context.Context) error
}

// ErrLocked says that another deployment is under way, or was killed and left its lock.
var ErrLocked = fmt.Errorf("another deployment holds the lock: %w", lockstep.ErrUnavailable)

// Running is what was read back.
type Running struct {
	Version string
	How     string // where it was read, for people: `output "version" of stack prod`
}

// Order is one deployment to be made.
type Order struct {
	Version string
	Back    bool   // a rollback, for tools that have a command of its own for it
	Note    string // kept in the tool's history
}

// Preview is what a deployment would change.
type Preview struct {
	Changes map[string]int `json:"changes,omitempty"` // how many resources by operation: create, update, same
	Text    string         `json:"text"`              // one line for people
}

// Outcome is how a deployment went that did not fail.
type Outcome struct {
	Text   string   `json:"text"`             // one line for people
	Errors []string `json:"errors,omitempty"` // diagnostics of the error kind, a few
	Warned int      `json:"warned,omitempty"` // diagnostics of the warning kind
}

// Update is one entry of a history.
type Update struct {
	ID      string // "" when the tool does not number
	Kind    string // "update", "refresh", "destroy", "preview", ...
	Result  string // "succeeded", "failed", "in-progress"
	Start   time.Time
	End     time.Time // zero: it has not ended, or nobody knows
	Version string    // as the configuration names it; "" when it does not
	Commit  string    // the revision of the code; "" when unknown
	Dirty   bool      // the tree had changes that the commit does not have
	Message string
}

// Label is the version, or else the commit.
func (u Update) Label() string {
	if u.Version != "" {
		return u.Version
	}
	return u.Commit
}

// String is a few words for people.
func (u Update) String() string {
	kind := u.Kind
	if u.ID != "" {
		kind += " #" + u.ID
	}
	text := fmt.Sprintf("%s of %s", kind, u.Start.UTC().Format(time.RFC3339))
	if l := u.Label(); l != "" {
		text += " (" + short(l) + ")"
	}
	return text
}

// short shortens what looks like a commit.
func short(version string) string {
	if len(version) == 40 && isHex(version) {
		return version[:12]
	}
	return version
}

func isHex(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

const minCommit = 7

// same says whether two versions are the same; a commit may be shortened.
func same(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	return a == b || len(a) >= minCommit && len(b) == 40 && isHex(a) && isHex(b) && b[:len(a)] == a
}
