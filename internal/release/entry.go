package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"lockstep/internal/lockstep"
)

// Kind says what an entry of the ledger of releases does.
type Kind string

// The kinds of entry.
const (
	KindAdopt     Kind = "adopt"              // the environment begins, with a stable revision
	KindStart     Kind = "start"              // a release begins
	KindAdvance   Kind = "advance"            // it goes on to its next step
	KindPromote   Kind = "promote"            // the candidate becomes stable
	KindAbort     Kind = "abort"              // it ends, and stable decides for every key
	KindRetry     Kind = "retry"              // an aborted release begins again
	KindPause     Kind = "pause"              // a person stops it
	KindResume    Kind = "resume"             // and lets it go on
	KindHold      Kind = "hold"               // a guard stops it
	KindLift      Kind = "lift"               // and lets it go on
	KindExpire    Kind = "expire"             // nobody approved in time
	KindApprove   Kind = "approve"            // a person approves
	KindRisk      Kind = "accept-risk"        // a person accepts a risk by name
	KindGlass     Kind = "break-glass"        // two people open a gate
	KindCarried   Kind = "carried"            // the pending effects are carried out
	KindEvidence  Kind = "evidence"           // the evidence so far is kept
	KindAlarm     Kind = "alarm"              // a promoted candidate has got worse
	KindJail      Kind = "quarantine"         // a revision is refused from now on
	KindUnjail    Kind = "release-quarantine" // and no longer
	KindFreeze    Kind = "freeze"             // the line is stopped
	KindUnfreeze  Kind = "unfreeze"           // and runs again
	KindRestore   Kind = "restore"            // a revision becomes stable without a release: a rollback
	KindSettle    Kind = "settle"             // the data of an aborted release is clean; its pin goes
	maxEntryBytes      = 8 << 20
)

// Format is the version of the entry format that this code writes and reads.
const Format = 1

// Entry is one entry of the ledger of releases: what happened, and the complete
// state after it. The format is docs/format/release.md.
type Entry struct {
	Format    int       `json:"format"`
	MinReader int       `json:"min_reader"`
	Number    uint64    `json:"number"` // of the ledger entry
	Kind      Kind      `json:"kind"`
	Actor     string    `json:"actor"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"` // by the clock of the actor, UTC
	State     State     `json:"state"`
}

// Encode returns the ledger body of e.
func (e *Entry) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode release entry %d: %w: %w", e.Number, lockstep.ErrInvalid, err)
	}
	return b.Bytes(), nil
}

// DecodeEntry reads a ledger body. It refuses unknown fields and newer formats
// (lockstep.ErrRefused): an older program must not act on what it does not
// understand. What it accepts encodes to the same bytes; all else is ErrCorrupt.
func DecodeEntry(body []byte) (*Entry, error) {
	if len(body) > maxEntryBytes {
		return nil, corrupt("%d bytes, at most %d", len(body), maxEntryBytes)
	}
	var probe struct {
		MinReader int `json:"min_reader"`
	}
	if err := json.Unmarshal(body, &probe); err != nil {
		return nil, corrupt("%w", err)
	}
	if probe.MinReader > Format {
		return nil, lockstep.Hint(
			fmt.Errorf("release entry: %w: it needs a reader of format %d, this program reads %d", lockstep.ErrRefused, probe.MinReader, Format),
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
		return nil, err
	}
	if again, err := e.Encode(); err != nil || !bytes.Equal(again, body) {
		return nil, corrupt("entry %d is not written as it would be", e.Number)
	}
	return e, nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("release entry: %w: "+format, append([]any{lockstep.ErrCorrupt}, args...)...)
}

func (e *Entry) check() error {
	switch {
	case e.Format < 1 || e.MinReader < 1 || e.Number == 0:
		return corrupt("format %d, least reader %d, number %d", e.Format, e.MinReader, e.Number)
	case e.Kind == "" || e.At.IsZero():
		return corrupt("entry %d has no kind or no time", e.Number)
	}
	for what, text := range map[string]string{"actor": e.Actor, "reason": e.Reason} {
		if err := checkText(what, text); err != nil {
			return corrupt("entry %d: %w", e.Number, err)
		}
	}
	if err := e.State.check(); err != nil {
		return corrupt("entry %d: %w", e.Number, err)
	}
	return nil
}

// check finds states that no transition leads to. It is no proof of the opposite.
func (s State) check() error {
	if err := CheckEnvironment(s.Environment); err != nil {
		return err
	}
	if err := CheckRevision(s.Stable.Revision); err != nil {
		return fmt.Errorf("stable: %w", err)
	}
	for _, p := range s.Pending {
		if err := p.check(); err != nil {
			return err
		}
	}
	for _, p := range s.Pins {
		if err := p.check(); err != nil {
			return err
		}
	}
	if s.Release == nil {
		return nil
	}
	if err := s.Release.check(s.Environment); err != nil {
		return fmt.Errorf("release %s: %w", s.Release.ID, err)
	}
	if s.Release.Number > s.Releases {
		return fmt.Errorf("release %s: %w: there were only %d", s.Release.ID, lockstep.ErrInvalid, s.Releases)
	}
	return nil
}

func (r *Release) check(environment string) error {
	if err := CheckRevision(r.Candidate); err != nil {
		return fmt.Errorf("candidate: %w", err)
	}
	if err := r.Plan.Check(); err != nil {
		return err
	}
	switch {
	case r.ID != releaseID(environment, r.Number) || r.Number == 0 || r.Attempt < 1:
		return fmt.Errorf("%w id: number %d, attempt %d in %s", lockstep.ErrInvalid, r.Number, r.Attempt, environment)
	case r.PlanHash != r.Plan.Hash():
		return fmt.Errorf("%w plan: its hash is %s", lockstep.ErrInvalid, r.Plan.Hash())
	case r.Step < 0 || r.Step >= len(r.Plan.Steps):
		return fmt.Errorf("%w step %d of %d", lockstep.ErrInvalid, r.Step, len(r.Plan.Steps))
	case !r.Phase.Final() && r.Phase != r.Current().phase():
		return fmt.Errorf("%w phase %.80q in a step of kind %s", lockstep.ErrInvalid, r.Phase, r.Current().Kind)
	case r.Phase.Final() != (r.Ending != nil):
		return fmt.Errorf("%w phase %s: an ending belongs to a release that is over, and to no other", lockstep.ErrInvalid, r.Phase)
	case r.Alarm != nil && (!r.Phase.Final() || r.Alarm.Guard == "" || r.Alarm.At.IsZero()):
		return fmt.Errorf("%w alarm %+v in phase %s: it belongs to a release that is over", lockstep.ErrInvalid, *r.Alarm, r.Phase)
	case r.Weight > All || (r.Weight > 0 && !r.Phase.Serves()):
		return fmt.Errorf("%w weight %d in phase %s", lockstep.ErrInvalid, r.Weight, r.Phase)
	case len(r.Evidence) > MaxEvidence:
		return fmt.Errorf("%w evidence of %d bytes, at most %d", lockstep.ErrInvalid, len(r.Evidence), MaxEvidence)
	}
	if r.Halt != nil {
		if err := r.Halt.Culprit.check(len(r.Plan.Steps)); err != nil {
			return err
		}
	}
	if r.Ending != nil {
		if err := r.Ending.Culprit.check(len(r.Plan.Steps)); err != nil {
			return err
		}
	}
	return checkMix(r.Seen.Mix)
}
