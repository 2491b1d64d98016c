package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lockstep/internal/incident"
	"lockstep/internal/release"
	"lockstep/internal/version"
)

// trail is what an attempt left in the ledger of versions: what it changed, when that
// began and ended, and whether it is still there. It is read once, and onward from there.
// app.Trace knows less of it: nothing behind a promotion, and nothing of what takes it back.
type trail struct {
	trial     string // name of the attempt in the entries; "": no attempt, only what people ordered
	candidate string
	promoted  bool   // it became stable, so that all that the candidate writes is its own
	until     uint64 // what is newer than this version is not its own; 0: there is no end yet
	through   uint64 // read up to here
	lost      uint64 // versions of these that retention has removed

	first, last instant
	bad         []badVersion // that hold something of the candidate
	mutations   int
	units       int // that the candidate decided
	failed      int // of these, and done by stable in its place
	fence       instant
	clean       instant // since when nothing of it is in the index; zero: it is, or never was
	how         string  // what made it clean

	dirty  map[uint64]bool   // states with something of the candidate in them
	before map[uint64]uint64 // the state that a revert started from
	events []incident.Event
	more   int // events that were left out
}

// instant is a version and when it was published.
type instant struct {
	version uint64
	at      time.Time
}

type badVersion struct {
	version   uint64
	mutations int
}

const (
	// maxTrailEvents bounds the events of a trail. What is left out is counted.
	maxTrailEvents = 128
	// maxChanges bounds how many of these are single versions with something of the
	// candidate: there may be thousands, and all say the same.
	maxChanges = 8
)

func newTrail(a *attempt) *trail {
	t := trailFrom(a.release.KnownGood.Version)
	t.trial, t.candidate = a.trial(), a.release.Candidate
	return t
}

// know tells the trail how the attempt stands.
func (t *trail) know(a *attempt) {
	t.promoted, t.until = a.release.Phase == release.PhasePromoted, a.until
}

// trailFrom is a trail of no attempt, behind a version.
func trailFrom(n uint64) *trail {
	return &trail{through: n, dirty: map[uint64]bool{}, before: map[uint64]uint64{}}
}

// maxBack bounds how far back versions are looked for by their time.
const maxBack = 1000

// versionBefore is the newest version that was published before a time, or one as far back
// as is looked.
func versionBefore(ctx context.Context, log *version.Log, at time.Time) (uint64, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return 0, err
	}
	n := head.Number()
	for ; n > 0 && n+maxBack > head.Number(); n-- {
		e, err := log.Read(ctx, n)
		if errors.Is(err, version.ErrRetired) || (err == nil && e.At.Before(at)) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// follow reads on up to version to, but not what was published behind end, unless that is
// zero.
func (t *trail) follow(ctx context.Context, log *version.Log, to uint64, end time.Time) error {
	low, err := log.Ledger().Low(ctx)
	if err != nil {
		return err
	}
	if t.through+1 < low {
		t.lost += low - 1 - t.through
		t.through = low - 1
	}
	for t.through < to {
		e, err := log.Read(ctx, t.through+1)
		switch {
		case errors.Is(err, version.ErrRetired):
			t.lost++
		case err != nil:
			return fmt.Errorf("what the versions say: %w", err)
		case !end.IsZero() && e.At.After(end):
			return nil
		default:
			t.add(e)
		}
		t.through++
	}
	return nil
}

func (t *trail) add(e *version.Entry) {
	wrote := t.wrote(e)
	is := instant{e.Number, e.At}
	if wrote > 0 {
		if t.first.version == 0 {
			t.first = is
		}
		t.last, t.mutations = is, t.mutations+wrote
		t.bad = append(t.bad, badVersion{e.Number, wrote})
	}
	for _, f := range e.Fenced {
		if f.Trial == t.trial && f.Since == e.Number {
			t.fence = is
		}
	}
	t.count(e)
	t.judge(e, wrote > 0)
	t.tell(e, wrote)
}

// wrote is how many mutations of the attempt a version holds.
func (t *trail) wrote(e *version.Entry) int {
	switch {
	case t.trial == "", e.Kind != version.Compact, t.until > 0 && e.Number > t.until:
		return 0
	case e.Trial != nil && e.Trial.Name != t.trial && !t.promoted:
		return 0
	}
	return e.Revisions[t.candidate]
}

func (t *trail) count(e *version.Entry) {
	if e.Trial == nil || e.Trial.Name != t.trial {
		return
	}
	for i := range e.Trial.Arms {
		if u := &e.Trial.Arms[i]; release.SameRevision(u.Revision, t.candidate) {
			t.units, t.failed = t.units+u.Units, t.failed+u.Bad
		}
	}
}

// judge says whether the state of a version holds something of the candidate, and since
// when none does. A reset is clean once what came behind its target was handled again.
func (t *trail) judge(e *version.Entry, wrote bool) {
	dirty := t.dirty[e.Parent]
	switch {
	case wrote:
		dirty = true
	case e.Kind == version.Reset:
		dirty = t.dirty[e.Cause.Target]
	case e.Kind == version.Revert && e.Reverts != nil:
		dirty = t.afterRevert(e)
		t.before[e.Number] = e.Parent
	}
	if dirty {
		t.dirty[e.Number], t.clean, t.how = true, instant{}, ""
		return
	}
	if t.first.version == 0 || t.clean.version > 0 || replaying(e) {
		return
	}
	t.clean = instant{e.Number, e.At}
	what := "with which everything was handled again"
	switch e.Kind {
	case version.Reset:
		what = fmt.Sprintf("which is version %d again", e.Cause.Target)
	case version.Revert:
		what = "which took it back"
	case version.Compact, version.Import, version.Rebuild, version.Fence, version.BaseSet:
	}
	t.how = fmt.Sprintf("version %d, %s", e.Number, what)
}

// afterRevert says whether something of the candidate is left after a revert. Of one that
// takes back a single version or message it is not known, and then it is.
func (t *trail) afterRevert(e *version.Entry) bool {
	r, dirty := e.Reverts, t.dirty[e.Parent]
	before, undo := t.before[r.Version]
	switch {
	case r.Revision != "" && release.SameRevision(r.Revision, t.candidate):
		return dirty && r.Since > t.first.version
	case r.Version > 0 && undo:
		return t.dirty[before]
	case r.Version > 0 && len(t.bad) == 1 && t.bad[0].version == r.Version:
		return false
	}
	return dirty
}

func replaying(e *version.Entry) bool {
	for _, s := range e.Backlog {
		if s.Mode == version.Replay {
			return true
		}
	}
	return false
}

// tell adds what happened in a version to the events.
func (t *trail) tell(e *version.Entry, wrote int) {
	what := ""
	switch e.Kind {
	case version.Compact:
		if wrote > 0 && len(t.bad) <= maxChanges {
			what = fmt.Sprintf("version %d has %d mutations by %s", e.Number, wrote, t.candidate)
		}
	case version.Reset:
		what = fmt.Sprintf("version %d is version %d again", e.Number, e.Cause.Target)
	case version.Revert:
		what = fmt.Sprintf("version %d takes back what was to be reverted", e.Number)
		if r := e.Reverts; r != nil {
			what = fmt.Sprintf("version %d takes back %s", e.Number, revertedWords(r))
		}
	case version.Rebuild:
		what = fmt.Sprintf("version %d has records that were derived anew from the mirror", e.Number)
	case version.Fence:
		what = t.fenceWords(e)
	case version.Import, version.BaseSet:
	}
	if what == "" {
		return
	}
	if e.Cause.Reason != "" {
		what += ": " + firstOf(e.Cause.Reason)
	}
	if len(t.events) >= maxTrailEvents {
		t.more++
		return
	}
	t.events = append(t.events, incident.Event{At: e.At, Who: e.Cause.Actor, What: what, Link: versionLink(e.Number), Source: "versions"})
}

func versionLink(n uint64) string { return fmt.Sprintf("lockstep show %d", n) }

func revertedWords(r *version.Reverted) string {
	switch {
	case r.Revision != "":
		return "what " + r.Revision + " decided"
	case r.Version > 0:
		return fmt.Sprintf("version %d", r.Version)
	}
	return "message " + r.Message
}

// fenceWords says what a fence does for the attempt, "" for one of another trial.
func (t *trail) fenceWords(e *version.Entry) string {
	for _, f := range e.Fenced {
		if f.Since != e.Number {
			continue
		}
		if f.Trial != t.trial {
			return ""
		}
		return fmt.Sprintf("from version %d on %s can publish nothing", e.Number, t.candidate)
	}
	if e.Cause.Command != "fence" {
		return "" // a release of held messages, which changes nothing of this
	}
	return fmt.Sprintf("version %d is a fence: what was planned before it is planned again", e.Number)
}

// told returns the events, with what stands for those that were left out.
func (t *trail) told() []incident.Event {
	out := slices.Clip(t.events)
	if n := len(t.bad); n > maxChanges {
		out = append(out, incident.Event{
			At: t.last.at, Link: versionLink(t.last.version), Source: "versions",
			What: fmt.Sprintf("version %d is the last of %d versions with something of %s, %d mutations in all", t.last.version, n, t.candidate, t.mutations),
		})
	}
	if t.more > 0 {
		last := out[len(out)-1]
		out = append(out, incident.Event{At: last.At, What: fmt.Sprintf("%d more versions are left out here", t.more), Link: "lockstep log", Source: "versions"})
	}
	return out
}
