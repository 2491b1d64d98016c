package git

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Commit is a commit as far as a rollback needs it.
type Commit struct {
	ID      string    `json:"id"`
	Parents []string  `json:"parents,omitempty"`
	At      time.Time `json:"at"` // when it was committed
	Author  string    `json:"author"`
	Subject string    `json:"subject"`
	Message string    `json:"-"`
	Why     string    `json:"why,omitempty"` // why it counts as the migration's
}

// String names a commit for people.
func (c Commit) String() string { return short(c.ID) + ` "` + oneLine(c.Subject, 80) + `"` }

func (c Commit) merge() bool { return len(c.Parents) > 1 }

// maxHistory bounds how many commits are looked at. The migration is among the newest.
const maxHistory = 50_000

// history loads the ancestors of a commit, newest first.
func (w *work) history(ctx context.Context, head string) (*history, error) {
	out, err := w.look(ctx, "log", "-z", "--topo-order", "--no-color", "--no-decorate", "--no-notes", "--no-show-signature", "--no-mailmap",
		"--max-count="+strconv.Itoa(maxHistory), "--format=tformat:%H%x00%P%x00%ct%x00%an%x00%B", head, "--")
	if err != nil {
		return nil, err
	}
	commits, err := parseLog(words(out))
	if err != nil {
		return nil, err
	}
	return newHistory(commits), nil
}

const logFields = 5

var objectID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// parseLog reads what history asks git log for.
func parseLog(fields []string) ([]Commit, error) {
	if len(fields)%logFields != 0 {
		return nil, fmt.Errorf("%w git log: %d fields", lockstep.ErrCorrupt, len(fields))
	}
	commits := make([]Commit, 0, len(fields)/logFields)
	for f := fields; len(f) > 0; f = f[logFields:] {
		at, err := strconv.ParseInt(f[2], 10, 64)
		c := Commit{ID: f[0], Parents: strings.Fields(f[1]), At: time.Unix(at, 0).UTC(), Author: f[3], Message: f[4]}
		for _, id := range append([]string{c.ID}, c.Parents...) {
			if err != nil || !objectID.MatchString(id) {
				return nil, fmt.Errorf("%w git log: commit %q at %q with parents %q", lockstep.ErrCorrupt, f[0], f[2], f[1])
			}
		}
		c.Subject = subjectOf(c.Message)
		commits = append(commits, c)
	}
	return commits, nil
}

// subjectOf is the first paragraph in one line, as git has it.
func subjectOf(message string) string {
	first, _, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n\n")
	return strings.Join(strings.Fields(first), " ")
}

// resolve returns the id of the commit that a name stands for. ErrNotFound: none, or the
// abbreviation fits several.
func (w *work) resolve(ctx context.Context, name string) (string, error) {
	out, status, err := w.run(ctx, w.top, call{args: []string{"rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}"}, fine: []int{1, 128}})
	if err != nil {
		return "", err
	}
	id := line(out)
	if status == 0 && objectID.MatchString(id) {
		return id, nil
	}
	err = fmt.Errorf("commit %q: %w", oneLine(name, 80), lockstep.ErrNotFound)
	if w.shallow {
		return "", lockstep.Hint(err, "this is a shallow clone: git fetch --unshallow")
	}
	return "", lockstep.Hint(err, "git fetch, if it was made elsewhere; give its whole id, if the beginning fits several")
}
