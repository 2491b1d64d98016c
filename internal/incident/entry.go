package incident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Kind says what an entry does.
type Kind string

// The kinds of entry.
const (
	KindOpen       Kind = "open"
	KindNote       Kind = "note"
	KindDecide     Kind = "decide"
	KindMark       Kind = "mark"
	KindAffected   Kind = "affected"
	KindLink       Kind = "link"
	KindTask       Kind = "task"
	KindDone       Kind = "done"
	KindEvidence   Kind = "evidence"
	KindSignItem   Kind = "sign-item"
	KindSignReport Kind = "sign-report"
	KindClose      Kind = "close"
	KindReopen     Kind = "reopen"
)

// Kinds lists the kinds of entry.
func Kinds() []Kind {
	return []Kind{
		KindOpen, KindNote, KindDecide, KindMark, KindAffected, KindLink, KindTask, KindDone, KindEvidence,
		KindSignItem, KindSignReport, KindClose, KindReopen,
	}
}

// Format is the version of the entry format that this code writes and reads.
const Format = 1

// MaxEntryBytes bounds an entry.
const MaxEntryBytes = 8 << 20

// Entry is one entry of the ledger of an incident: what happened, and the complete
// state after it. The format is docs/format/incident.md.
type Entry struct {
	Format    int       `json:"format"`
	MinReader int       `json:"min_reader"`
	Number    uint64    `json:"number"` // of the ledger entry
	Kind      Kind      `json:"kind"`
	Actor     string    `json:"actor"`
	What      string    `json:"what"` // one line, for the history
	At        time.Time `json:"at"`   // by the clock of the actor, UTC
	Incident  Incident  `json:"incident"`
}

// Encode returns the ledger body of e.
func (e *Entry) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode incident entry %d: %w: %w", e.Number, lockstep.ErrInvalid, err)
	}
	return b.Bytes(), nil
}

// DecodeEntry reads a ledger body. It refuses unknown fields and newer formats
// (lockstep.ErrRefused): an older program must not act on what it does not understand.
// What it accepts encodes to the same bytes; all else is ErrCorrupt.
func DecodeEntry(body []byte) (*Entry, error) {
	if len(body) > MaxEntryBytes {
		return nil, corrupt("%d bytes, at most %d", len(body), MaxEntryBytes)
	}
	var probe struct {
		MinReader int `json:"min_reader"`
	}
	if err := json.Unmarshal(body, &probe); err != nil {
		return nil, corrupt("%w", err)
	}
	if probe.MinReader > Format {
		return nil, lockstep.Hint(
			fmt.Errorf("incident entry: %w: it needs a reader of format %d, this program reads %d", lockstep.ErrRefused, probe.MinReader, Format),
			"install the lockstep release that wrote it, or a newer one")
	}
	e := &Entry{}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(e); err != nil {
		return nil, corrupt("%w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, corrupt("surplus bytes")
	}
	if err := e.check(); err != nil {
		return nil, corrupt("entry %d: %w", e.Number, err)
	}
	if again, err := e.Encode(); err != nil || !bytes.Equal(again, body) {
		return nil, corrupt("entry %d is not written as it would be", e.Number)
	}
	return e, nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("incident entry: %w: "+format, append([]any{lockstep.ErrCorrupt}, args...)...)
}

func (e *Entry) check() error {
	switch {
	case e.Format < 1 || e.MinReader < 1 || e.Number == 0:
		return fmt.Errorf("%w format %d, least reader %d, number %d", lockstep.ErrInvalid, e.Format, e.MinReader, e.Number)
	case !slices.Contains(Kinds(), e.Kind) && e.Format <= Format:
		return fmt.Errorf("%w kind %.40q", lockstep.ErrInvalid, e.Kind)
	case (e.Kind == KindOpen) != (e.Number == 1):
		return fmt.Errorf("%w: an incident is opened by its first entry, and by no other", lockstep.ErrInvalid)
	case e.At.IsZero() || e.Actor == "" || e.What == "":
		return fmt.Errorf("%w: it does not say who, what and when", lockstep.ErrInvalid)
	}
	if err := e.checkTexts(); err != nil {
		return err
	}
	return e.Incident.check()
}

// check finds states that no transition leads to. It is no proof of the opposite.
func (in *Incident) check() error {
	environment, number, err := ParseID(in.ID)
	switch {
	case err != nil:
		return err
	case environment != in.Environment || number != in.Number:
		return fmt.Errorf("%w: incident %s is number %d of %.40q", lockstep.ErrInvalid, in.ID, in.Number, in.Environment)
	case in.Status != StatusOpen && in.Status != StatusClosed:
		return fmt.Errorf("%w status %.40q", lockstep.ErrInvalid, in.Status)
	case (in.Status == StatusClosed) != (in.Closed != nil):
		return fmt.Errorf("%w: an end belongs to an incident that is closed, and to no other", lockstep.ErrInvalid)
	case in.OpenedAt.IsZero() || in.Tasks == nil:
		return fmt.Errorf("%w: it was never opened", lockstep.ErrInvalid)
	}
	for _, c := range []struct {
		what    string
		n, most int
	}{
		{"notes", len(in.Notes), MaxNotes},
		{"decisions", len(in.Decisions), MaxDecisions},
		{"links", len(in.Links), MaxLinks},
		{"tasks", len(in.Tasks), MaxTasks},
		{"signatures", len(in.Signatures), MaxSignatures},
		{"findings", len(in.Cause.Findings), MaxFindings},
		{"acceptances", len(in.Accepted), MaxAccepted},
		{"closings", len(in.Past), MaxPast},
		{"marks", len(in.Marks), len(MarkKinds())},
	} {
		if c.n > c.most {
			return fmt.Errorf("%w: %d %s, at most %d", lockstep.ErrInvalid, c.n, c.what, c.most)
		}
	}
	if a := in.Affected; a != nil && (len(a.Counts) > MaxCounts || len(a.IDs) > MaxIDs || len(a.Keys) > MaxKeys || a.FirstVersion > a.LastVersion) {
		return fmt.Errorf("%w affected records", lockstep.ErrInvalid)
	}
	return in.checkParts()
}

func (in *Incident) checkParts() error {
	last := -1
	for _, m := range in.Marks {
		i := slices.Index(MarkKinds(), m.Kind)
		if i <= last || m.Known() == (m.Unknown != "") || m.Known() != (m.Source != "") {
			return fmt.Errorf("%w mark %.40q: at %s by %.40q, not known: %.40q", lockstep.ErrInvalid, m.Kind, m.At, m.Source, m.Unknown)
		}
		last = i
	}
	seen := map[string]bool{}
	for _, t := range in.Tasks {
		if !taskID.MatchString(t.ID) || seen[t.ID] || (t.Term != "" && t.Term.within() == 0) || len(t.Steps) > MaxTasks {
			return fmt.Errorf("%w task %.80q", lockstep.ErrInvalid, t.ID)
		}
		seen[t.ID] = true
	}
	for _, n := range in.Notes {
		if n.Section != "" && !slices.Contains(Sections(), n.Section) {
			return fmt.Errorf("%w section %.40q", lockstep.ErrInvalid, n.Section)
		}
	}
	for _, l := range in.Links {
		if !slices.Contains([]LinkKind{LinkPlan, LinkIssue, LinkFile, LinkOther}, l.Kind) {
			return fmt.Errorf("%w kind of link %.40q", lockstep.ErrInvalid, l.Kind)
		}
	}
	for _, s := range in.Signatures {
		if !itemID.MatchString(s.Item) {
			return fmt.Errorf("%w item %.80q", lockstep.ErrInvalid, s.Item)
		}
	}
	reports := []*Signed{in.Report}
	for _, p := range in.Past {
		reports = append(reports, p.Report)
	}
	for _, r := range reports {
		if r != nil && (!hash.MatchString(r.Markdown) || !hash.MatchString(r.HTML)) {
			return fmt.Errorf("%w hash of a signed report: %.80q, %.80q", lockstep.ErrInvalid, r.Markdown, r.HTML)
		}
	}
	if s := in.Subject; s != nil && (s.Release == "" || s.Attempt < 1 || s.Candidate == "") {
		return fmt.Errorf("%w subject: release %.40q, attempt %d", lockstep.ErrInvalid, s.Release, s.Attempt)
	}
	return nil
}
