package recovery

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
	"lockstep/internal/revert"
	"lockstep/internal/rollback"
	"lockstep/internal/version"
)

// Request is what somebody asks for; the zero value lets everything be worked out.
type Request struct {
	rollback.Request

	Revision string // the bad one; "": that of the latest release
	By       string
	Reason   string
	Incident string
}

// suspicion is who is bad and what is good.
type suspicion struct {
	bad     string
	good    release.Pair
	release *release.Release // of the bad one; nil: none
	serving bool
	stable  bool
}

// Gather finds out what a rollback is decided on. It changes nothing, and needs neither the
// local state nor a server.
func (a *Assembly) Gather(ctx context.Context, req Request) (rollback.Facts, suspicion, error) {
	f := rollback.Facts{Environment: a.Config.Environment, Place: placeOf(a.Config.Environment), Offers: a.offers()}
	_, s, err := a.Control.Standing(ctx)
	if err != nil {
		return f, suspicion{}, err
	}
	who, err := a.suspect(s, req)
	if err != nil {
		return f, who, err
	}
	f.Bad, f.Good = who.bad, rollback.Pair{Revision: who.good.Revision, Version: who.good.Version}
	switch {
	case who.stable:
		f.Standing = rollback.StandingStable
	case who.serving:
		f.Standing = rollback.StandingTrial
	case who.release != nil && who.release.Phase.Final():
		f.Standing = rollback.StandingEnded
	}
	if who.release != nil {
		f.Release = who.release.ID
	}
	if err := a.harm(ctx, req, &f); err != nil {
		return f, who, err
	}
	f.Deployed = who.serving || who.stable || a.Config.Rollback.Deploy != nil && a.mayRun(ctx, req, &f)
	return f, who, nil
}

// placeOf says what an environment is by its name. One that is called nothing known is
// taken for production.
func placeOf(environment string) rollback.Place {
	switch {
	case strings.HasPrefix(environment, "prod"):
		return rollback.PlaceProd
	case strings.HasPrefix(environment, "stag"):
		return rollback.PlaceStaging
	case strings.HasPrefix(environment, "dev"), strings.HasPrefix(environment, "test"), environment == "local":
		return rollback.PlaceDev
	}
	return ""
}

// suspect finds the bad revision and the good pair.
func (a *Assembly) suspect(s release.State, req Request) (suspicion, error) {
	var who suspicion
	r := s.Release
	switch {
	case req.Revision != "":
		id, ok := app.Named(s, req.Revision)
		if !ok {
			rev, err := a.Control.Revisions.Lookup(req.Revision)
			if err != nil {
				return who, err
			}
			id = rev.ID()
		}
		who.bad = id
	case r != nil:
		who.bad = r.Candidate
	}
	who.good = s.Stable
	if r != nil && release.SameRevision(r.Candidate, who.bad) {
		who.release, who.good = r, r.KnownGood
		who.serving = s.Live() != nil && r.Weight > 0
	}
	who.stable = who.bad != "" && release.SameRevision(s.Stable.Revision, who.bad)
	if req.To.Revision != "" {
		who.good.Revision = req.To.Revision
		if rev, err := a.Control.Revisions.Lookup(req.To.Revision); err == nil {
			who.good.Revision = rev.ID()
		}
	}
	if req.To.Version > 0 {
		who.good.Version = req.To.Version
	}
	if who.bad != "" && release.SameRevision(who.good.Revision, who.bad) {
		return who, lockstep.Hint(fmt.Errorf("roll %s back: %w: it is what would be returned to", who.bad, lockstep.ErrRefused), "name the good revision with --to REVISION:VERSION")
	}
	return who, nil
}

// harm counts what the bad revision has in the index, from the entries alone.
func (a *Assembly) harm(ctx context.Context, req Request, f *rollback.Facts) error {
	log := a.Control.Log
	head, err := log.Head(ctx)
	if err != nil || head.Entry == nil {
		return err
	}
	low, err := log.Ledger().Low(ctx)
	if err != nil {
		return err
	}
	f.Index = rollback.Index{Head: head.Number(), Oldest: max(low, 1), LogFrom: max(low, 1), Mirror: a.Control.Derivable(f.Good.Revision)}
	if low <= 1 {
		f.Index.Oldest, f.Index.LogFrom = 0, 0
	}
	for _, c := range head.Entry.Collections {
		if c.Name == lockstep.Table {
			f.Index.Keys = uint64(max(0, c.Records))
		} else if !c.Name.Builtin() {
			f.Index.Records += uint64(max(0, c.Records))
		}
	}
	f.Since.Version = f.Good.Version
	if req.To.Version > 0 {
		f.Since.Version = req.To.Version
	}
	if err := countBad(ctx, log, head.Number(), low, f); err != nil || f.Written.First == 0 {
		return err
	}
	st, err := revert.Look(ctx, log, revert.Bad{Revision: f.Bad}, f.Written.First-1)
	if err == nil && !st.Pending {
		f.Written, f.Since.Bad = rollback.Written{}, 0 // it is taken back already
	}
	return err
}

func countBad(ctx context.Context, log *version.Log, head, low uint64, f *rollback.Facts) error {
	for n := head; n > 0 && n >= low; {
		e, err := log.Read(ctx, n)
		if errors.Is(err, version.ErrRetired) {
			return nil
		}
		if err != nil {
			return err
		}
		all, messages := 0, uint64(0)
		for _, k := range e.Revisions {
			all += k
		}
		if e.Delta != nil {
			messages = uint64(e.Delta.Messages)
		}
		k, decided := e.Revisions[f.Bad]
		decided = decided && e.Kind == version.Compact
		if decided {
			// Who decided that nothing is to be done has written nothing, and has its part
			// in what the index is.
			f.Written.Records, f.Written.First = f.Written.Records+uint64(max(k, 1)), n
			f.Written.Versions++
			f.Written.Messages += messages
		}
		if n > f.Since.Version {
			f.Since.Messages += messages
			if decided {
				f.Since.Bad += messages * uint64(max(k, 1)) / uint64(max(all, 1))
			}
		}
		n = e.Parent
	}
	return nil
}

// offers are the targets that the environment has besides Lockstep's own.
func (a *Assembly) offers() map[string]rollback.Offer {
	r := a.Config.Rollback
	out := map[string]rollback.Offer{}
	for name, on := range map[string]bool{
		TargetGit: r.Git != nil, TargetPackage: r.Package != nil, TargetImports: r.Imports != nil, TargetTests: len(r.Tests) > 0,
		TargetDeploy: r.Deploy != nil, TargetFollower: a.Position != nil, TargetWatch: r.Watch.For > 0,
		TargetNotify: len(r.Notify) > 0, TargetIssue: r.Issue != nil,
	} {
		if on {
			// A deployment without a version of its own deploys what the tree is.
			out[name] = rollback.Offer{FromTree: name == TargetDeploy && r.Git != nil && r.Deploy.Version == ""}
		}
	}
	return out
}
