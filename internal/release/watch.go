package release

import (
	"bytes"
	"encoding/json"
	"time"
)

// WatchFor is how long a candidate is watched after it was promoted: a fault may begin late.
const WatchFor = 7 * 24 * time.Hour

// watchEvery is how often evidence is kept meanwhile, besides an alarm.
const watchEvery = time.Hour

// Watched returns the latest release when its candidate was promoted and is stable now, nil
// otherwise. Units are counted for it until the next release begins; they are looked at for
// WatchFor.
func (s State) Watched() *Release {
	r := s.Release
	if r == nil || r.Phase != PhasePromoted || !SameRevision(s.Stable.Revision, r.Candidate) {
		return nil
	}
	return r
}

// WatchedAt returns Watched while it is to be looked at.
func (s State) WatchedAt(now time.Time) *Release {
	if r := s.Watched(); r != nil && now.Before(r.Ending.At.Add(WatchFor)) {
		return r
	}
	return nil
}

// WatchName is the name of the trial under which units are counted after the promotion.
func (r *Release) WatchName() string { return "watch" + r.fence("", "").Name()[len("release"):] }

// watch keeps what is found out about a promoted candidate: an alarm at once, and evidence
// now and then.
func (n next) watch() (Decision, bool) {
	r := n.s.WatchedAt(n.now)
	if r == nil {
		return Decision{}, false
	}
	if a := n.seen.Alarm; a != nil && r.Alarm == nil {
		return n.act(KindAlarm, "after its promotion: "+a.Reason, func(t *Transition, s *State) {
			s.Release.Alarm = &Alarm{Guard: clip(a.Guard), Reason: clip(a.Reason), At: n.now}
			s.Release.keepEvidence(n.seen.Evidence)
			s.Release.EvidenceAt = n.now
		}), true
	}
	if n.seen.Evidence == nil || bytes.Equal(n.seen.Evidence, r.Evidence) || n.now.Sub(r.EvidenceAt) < watchEvery || n.now.Sub(r.Ending.At) < watchEvery {
		return Decision{}, false
	}
	return n.act(KindEvidence, "the evidence since its promotion", func(_ *Transition, s *State) {
		s.Release.keepEvidence(n.seen.Evidence)
		s.Release.EvidenceAt = n.now
	}), true
}

// keepEvidence keeps what an entry can hold.
func (r *Release) keepEvidence(e json.RawMessage) {
	if e != nil && len(e) <= MaxEvidence && json.Valid(e) {
		r.Evidence = e
	}
}
