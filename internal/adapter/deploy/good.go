package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Want says which deployment is looked for. A version or a commit, such as a release's
// record holds them, decides; without them it is the last good one before a moment.
type Want struct {
	Version string    `json:"version,omitempty"`
	Commit  string    `json:"commit,omitempty"`
	Before  time.Time `json:"before,omitzero"`
	Not     []string  `json:"not,omitempty"` // versions and commits that are bad
}

// Good finds the deployment to go back to in a history of any order, and says line by
// line how: what was passed over and why. It is never simply the one before.
//
// ErrNotFound: there is none; the lines still say why. ErrRefused: the stack was destroyed
// after it. ErrInvalid: nothing is wanted.
func Good(history []Update, want Want) (Update, []string, error) {
	if want.Version == "" && want.Commit == "" && want.Before.IsZero() {
		return Update{}, nil, fmt.Errorf("%w wish: want a version, a commit or a moment", lockstep.ErrInvalid)
	}
	ordered := slices.Clone(history)
	slices.SortStableFunc(ordered, func(a, b Update) int { return b.Start.Compare(a.Start) })
	var why []string
	var destroyed *Update
	for i := range ordered {
		u := ordered[i]
		if u.Kind == "destroy" && u.Result != "failed" && destroyed == nil {
			destroyed = &u
		}
		reason := unfit(u, want)
		if reason == "" {
			if destroyed != nil {
				err := fmt.Errorf("last good deployment: %w: %s, and everything was destroyed after it, by %s", lockstep.ErrRefused, u, *destroyed)
				return Update{}, why, lockstep.Hint(err, "deploy by hand, and watch what is created anew")
			}
			return u, append(why, "chosen: "+u.String()+", "+reasonFor(want)), nil
		}
		why = append(why, "passed over: "+u.String()+": "+reason)
	}
	err := fmt.Errorf("last good deployment: %w among %d", lockstep.ErrNotFound, len(history))
	return Update{}, why, lockstep.Hint(err, "name the version to go back to")
}

// unfit says why an update is not what is wanted, or "".
func unfit(u Update, want Want) string {
	switch {
	case u.Kind != "update":
		return "it deploys no code"
	case u.Result != "succeeded":
		return "it " + told(u.Result)
	case u.Label() == "":
		return "it does not say which version it deployed"
	}
	for _, bad := range want.Not {
		if same(u.Version, bad) || same(u.Commit, bad) {
			return "it is the bad version"
		}
	}
	switch {
	case want.Version != "" && same(u.Version, want.Version):
		return ""
	case want.Version != "" && want.Commit == "" && !same(u.Commit, want.Version):
		return "it is another version than " + want.Version
	case want.Version != "" || want.Commit != "":
		commit := want.Commit
		if commit == "" {
			commit = want.Version
		}
		if !same(u.Commit, commit) {
			return "it is another commit than " + short(commit)
		}
		if u.Dirty {
			return "its tree had changes that are in no commit"
		}
		return ""
	case u.End.IsZero():
		return "nobody knows when it ended"
	case !u.End.Before(want.Before):
		return "it ended at " + u.End.UTC().Format(time.RFC3339) + ", not before " + want.Before.UTC().Format(time.RFC3339)
	case u.Version == "" && u.Dirty:
		return "its tree had changes that are in no commit"
	}
	return ""
}

func reasonFor(want Want) string {
	if want.Version == "" && want.Commit == "" {
		return "the last that succeeded before " + want.Before.UTC().Format(time.RFC3339)
	}
	return "the last that deployed what the release's record names (" + strings.TrimSpace(want.Version+" "+short(want.Commit)) + ")"
}

// told puts a result into a sentence.
func told(result string) string {
	switch result {
	case "failed":
		return "failed"
	case "in-progress", "in progress":
		return "has not ended"
	case "":
		return "has no result"
	}
	return "ended as " + fmt.Sprintf("%.40q", result)
}
