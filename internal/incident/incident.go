package incident

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Status says whether an incident is over.
type Status string

// The two statuses.
const (
	StatusOpen   Status = "open"
	StatusClosed Status = "closed"
)

// Incident is everything that is known of one incident. It is a value: no function of
// this package changes one that it was given.
type Incident struct {
	ID          string    `json:"id"` // environment and number: "prod-3"
	Environment string    `json:"environment"`
	Number      uint64    `json:"number"` // from 1, per environment
	Title       string    `json:"title"`
	Status      Status    `json:"status"`
	OpenedAt    time.Time `json:"opened_at"`
	OpenedBy    string    `json:"opened_by"`
	Cause       Cause     `json:"cause"`
	// Subject is the release attempt that it is about; nil when it is about none.
	Subject    *Subject     `json:"subject,omitempty"`
	Marks      []Mark       `json:"marks,omitempty"` // in the order of MarkKinds
	Affected   *Affected    `json:"affected,omitempty"`
	Links      []Link       `json:"links,omitempty"`
	Notes      []Note       `json:"notes,omitempty"`
	Decisions  []Decision   `json:"decisions,omitempty"`
	Tasks      []Task       `json:"tasks"`
	Signatures []Signature  `json:"signatures,omitempty"` // of items of the checklist
	Accepted   []Acceptance `json:"accepted,omitempty"`
	Closed     *Closed      `json:"closed,omitempty"`
	Report     *Signed      `json:"report,omitempty"` // nil: it is made anew whenever somebody asks
	Past       []Past       `json:"past,omitempty"`   // when it was closed before
}

// Cause is why an incident was opened. Findings and Analysis are those of a verdict;
// when a person opened it, there is only the reason.
type Cause struct {
	Reason   string    `json:"reason"`
	Findings []Finding `json:"findings,omitempty"`
	Analysis string    `json:"analysis,omitempty"` // the explanation of the statistics
}

// Finding is what one guard said.
type Finding struct {
	Guard   string    `json:"guard"`
	Verdict string    `json:"verdict"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Link    string    `json:"link,omitempty"`
}

// ByVerdict says whether a verdict opened the incident, and not a person.
func (c Cause) ByVerdict() bool { return len(c.Findings) > 0 || c.Analysis != "" }

// Subject is the release attempt that an incident is about.
type Subject struct {
	Release   string `json:"release"` // "prod-7"
	Attempt   int    `json:"attempt"`
	Candidate string `json:"candidate"`
	Stable    string `json:"stable,omitempty"`
	Step      string `json:"step,omitempty"` // in words: "step 3 of 5, canary at 10%"
	// Since is when the candidate began to decide for keys; zero when it never did, or
	// nobody knows.
	Since time.Time `json:"since,omitzero"`
}

// Affected are the records that what was bad has written.
type Affected struct {
	Counts       []Count   `json:"counts,omitempty"` // per collection
	IDs          []string  `json:"ids,omitempty"`    // some of them, at most MaxIDs
	FirstVersion uint64    `json:"first_version"`    // in which versions; 0: in none
	LastVersion  uint64    `json:"last_version"`
	KeyCount     uint64    `json:"key_count"`      // on behalf of how many keys of the table
	Keys         []string  `json:"keys,omitempty"` // some of them, at most MaxKeys
	Source       string    `json:"source"`         // how it was found out
	By           string    `json:"by"`
	At           time.Time `json:"at"`
}

// Count is how many records of one collection.
type Count struct {
	Collection string `json:"collection"`
	Records    uint64 `json:"records"`
}

// Records returns how many records there are over all collections.
func (a Affected) Records() uint64 {
	var n uint64
	for _, c := range a.Counts {
		n += c.Records
	}
	return n
}

// Link names something that belongs to the incident.
type Link struct {
	Kind LinkKind  `json:"kind"`
	To   string    `json:"to"` // an address, a file, a plan's id
	Text string    `json:"text,omitempty"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// LinkKind says what a link names.
type LinkKind string

// The kinds of link.
const (
	LinkPlan  LinkKind = "plan"  // a rollback
	LinkIssue LinkKind = "issue" // where the work is tracked
	LinkFile  LinkKind = "file"
	LinkOther LinkKind = "other"
)

// Note is what somebody wrote down. One with a section is that section of the report;
// the newest counts.
type Note struct {
	Section Section   `json:"section,omitempty"`
	Text    string    `json:"text"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// Decision is what somebody decided, and why.
type Decision struct {
	What string    `json:"what"`
	Why  string    `json:"why"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// Acceptance is something open with which the incident was closed all the same.
type Acceptance struct {
	What   string    `json:"what"` // id of the task, or of the item of the checklist
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Closed is how an incident ended.
type Closed struct {
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Past is an end that was none.
type Past struct {
	Closed Closed    `json:"closed"`
	Report *Signed   `json:"report,omitempty"` // what was signed then
	Reason string    `json:"reason"`           // why it was reopened
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Open says whether the incident is not closed.
func (in Incident) Open() bool { return in.Status != StatusClosed }

// Linked returns the newest link of a kind.
func (in Incident) Linked(kind LinkKind) (Link, bool) {
	for _, l := range slices.Backward(in.Links) {
		if l.Kind == kind {
			return l, true
		}
	}
	return Link{}, false
}

var environmentName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

func idOf(environment string, number uint64) string {
	return environment + "-" + strconv.FormatUint(number, 10)
}

// ParseID returns the two parts of an id. ErrInvalid: it is none.
func ParseID(id string) (environment string, number uint64, err error) {
	if i := strings.LastIndexByte(id, '-'); i > 0 {
		environment = id[:i]
		number, err = strconv.ParseUint(id[i+1:], 10, 64)
		if err == nil && number > 0 && environmentName.MatchString(environment) && id == idOf(environment, number) {
			return environment, number, nil
		}
	}
	return "", 0, lockstep.Hint(fmt.Errorf("%w incident %.80q: want an environment and a number, as in prod-3", lockstep.ErrInvalid, id),
		`"lockstep incident list" shows the ids`)
}

// clone copies everything that a transition may change.
func (in Incident) clone() Incident {
	in.Marks = slices.Clone(in.Marks)
	in.Links = slices.Clone(in.Links)
	in.Notes = slices.Clone(in.Notes)
	in.Decisions = slices.Clone(in.Decisions)
	in.Tasks = slices.Clone(in.Tasks)
	in.Signatures = slices.Clone(in.Signatures)
	in.Accepted = slices.Clone(in.Accepted)
	in.Past = slices.Clone(in.Past)
	return in
}
