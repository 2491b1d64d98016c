package git

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Query says by what the migration is recognised. The first that is given decides where
// the point is: Commit, Good, Message, Paths, Since. What is the migration's after it is
// decided by Message, else by Paths, else everything is.
type Query struct {
	Commit   string    // the point itself
	Good     string    // the commit that a record calls known good
	GoodFrom string    // where that is written: "release prod-3"
	Message  string    // regular expression over whole messages
	Paths    []string  // from the top of the working tree
	Since    time.Time // no commit before is the migration's
	Until    time.Time // no commit after is
	Also     []string  // commits that are the migration's whatever they say
}

// Query returns what the settings know. A caller adds Good from its own records.
func (r *Repo) Query() Query {
	s := r.settings
	return Query{Commit: s.Point, Message: s.Message, Paths: s.Paths, Since: s.Since, Until: s.Until, Also: s.Also}
}

// Way says by what a point was found.
type Way string

// The ways in the order in which they are believed.
const (
	ByCommit  Way = "commit"
	ByRecord  Way = "record"
	ByMessage Way = "message"
	ByPaths   Way = "paths"
	ByDate    Way = "date"
)

// way returns what decides, or lockstep.ErrInvalid.
func (q Query) way() (Way, error) {
	switch {
	case q.Commit != "":
		return ByCommit, nil
	case q.Good != "":
		return ByRecord, nil
	case q.Message != "":
		return ByMessage, nil
	case len(q.Paths) > 0:
		return ByPaths, nil
	case !q.Since.IsZero():
		return ByDate, nil
	}
	return "", lockstep.Hint(fmt.Errorf("%w: nothing says where the migration begins", lockstep.ErrInvalid),
		"give the point, a pattern for the messages, the migrated paths, or the day it began")
}

// Point is the last commit before the migration, and what came after it.
type Point struct {
	Commit
	By        Way      `json:"by"`
	How       string   `json:"how"` // in words, how it was found
	Head      string   `json:"head"`
	Branch    string   `json:"branch,omitempty"`
	Migration []Commit `json:"migration"`       // newest first
	Later     []Commit `json:"later,omitempty"` // came after the point and are not the migration's, newest first
	Absent    []string `json:"absent,omitempty"`
}

// Candidate is a commit that may be the point.
type Candidate struct {
	Commit Commit `json:"commit"`
	How    string `json:"how"`
}

// Ambiguous says that more than one commit may be the point. It is a
// lockstep.ErrRefused: nobody but the one who knows the history can decide.
type Ambiguous struct {
	Why        string
	Candidates []Candidate
}

// Error lists the candidates.
func (a *Ambiguous) Error() string {
	named := make([]string, len(a.Candidates))
	for i, c := range a.Candidates {
		named[i] = c.Commit.String() + ", " + c.How
	}
	return a.Why + ": " + strings.Join(named[:min(len(named), listed)], "; ")
}

// Unwrap is the class.
func (*Ambiguous) Unwrap() error { return lockstep.ErrRefused }

func ambiguous(why string, candidates []Candidate) error {
	hint := "look at the history with git log --graph --oneline, and give the point"
	if len(candidates) > 0 {
		hint = "decide with point: " + short(candidates[0].Commit.ID)
		for _, c := range candidates[1:min(len(candidates), listed)] {
			hint += ", or point: " + short(c.Commit.ID)
		}
	}
	return lockstep.Hint(&Ambiguous{Why: why, Candidates: candidates}, hint)
}

// ours is what a merge says of where it went, and nothing of what it brought: "Merge
// branch 'main' into compaction-migration" brings no migration.
var ours = regexp.MustCompile(`^(Merge [^\n]*?) into \S+`)

// matches says whether the message of a commit speaks of the migration.
func (c Commit) matches(re *regexp.Regexp) bool {
	message := c.Message
	if c.merge() {
		message = ours.ReplaceAllString(message, "$1")
	}
	return re.MatchString(message)
}

// inTime says whether a commit lies between the two times.
func (q Query) inTime(c Commit) bool {
	return (q.Since.IsZero() || !c.At.Before(q.Since)) && q.old(c)
}

// old says whether a commit is not after the second.
func (q Query) old(c Commit) bool { return q.Until.IsZero() || !c.At.After(q.Until) }
