package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/release"
)

// DemoCandidate returns the revision that the demonstration tries to release: receipts@2
// after a migration in which somebody lost an encoding, so that it fails on names that are
// not plain ASCII, and mixed up two states of labels, so that what it does not fail on it
// writes wrongly. Nothing that was recorded before has such a name, and stable goes on from
// such a label: preflight cannot find it.
func DemoCandidate() handler.Handler {
	return migrated{receipt.V2(receipt.V2Config{})}
}

type migrated struct{ handler.Handler }

// Describe returns the description of receipts@2 under the version of the migration.
func (m migrated) Describe() handler.Description {
	d := m.Handler.Describe()
	d.Version, d.Code = "2-moved", d.Code+" moved"
	return d
}

var errDemo = errors.New(`UnicodeEncodeError: 'ascii' codec can't encode character '\xe9' in position 3`)

// Plan fails or is wrong where the migration went wrong, and is receipts@2 everywhere else.
func (m migrated) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	for i := range u.Messages {
		if strings.Contains(u.Messages[i].Change.New.Str(merchantName), "é") {
			return nil, errDemo
		}
	}
	muts, err := m.Handler.Plan(ctx, u)
	for i := range muts {
		r := &muts[i].Record
		if v, ok := r.Metadata.Get(labelStatus); ok && v.Str() == "validated" {
			r.Metadata = r.Metadata.With(labelStatus, lockstep.String("unvalidated"))
		}
	}
	return muts, err
}

const (
	merchantName = "merchant_name"
	labelStatus  = "label_status"
)

// abroad is an event after the shops have begun to open abroad: a changed merchant has a
// name with an accent.
func abroad(e synth.Event) synth.Event {
	name := e.Change.New.Str(merchantName)
	if e.Change.Event != lockstep.Modify || name == "" {
		return e
	}
	e.Change.New = maps.Clone(e.Change.New)
	e.Change.New[merchantName] = lockstep.Attr{Type: lockstep.AttrS, Text: "Café " + name}
	return e
}

// DemoRelease is how the release of the demonstration went.
type DemoRelease struct {
	Candidate   string  `json:"candidate"`
	Outcome     string  `json:"outcome"`
	Step        string  `json:"step"`
	Reason      string  `json:"reason"`
	Units       int     `json:"units"`    // decided by the candidate
	Failed      int     `json:"failed"`   // of these, and covered by stable in the same batch
	Parked      int64   `json:"parked"`   // because of it
	Versions    int     `json:"versions"` // from its first unit to the fence
	Fence       uint64  `json:"fence"`    // the version behind which it can publish nothing
	Behind      int     `json:"behind"`   // its mutations behind the fence
	Quarantined bool    `json:"quarantined"`
	Changes     int     `json:"changes"`    // stream records played meanwhile
	ElapsedMS   float64 `json:"elapsed_ms"` // from the start to the fence
}

// demoPlan is a canary of a quarter of the keys, and a bake that this candidate never sees.
func demoPlan() release.Plan {
	return release.Plan{Name: "demo", Steps: []release.Step{
		{Kind: release.Preflight},
		{Kind: release.Canary, Weight: 2500, MinUnits: 200},
		{Kind: release.Bake, Weight: 5000, MinUnits: 500},
		{Kind: release.Promotion},
	}}
}

const (
	demoBatch   = 40 // edits
	demoBatches = 200
)

// PlayRelease releases the demonstration's candidate while edits go on, and returns when
// the release is over. Say tells a person what happens.
func (f DemoFiles) PlayRelease(ctx context.Context, a *App, say func(string)) (out DemoRelease, err error) {
	rev, err := a.Revisions.Lookup(handler.NewRevision(DemoCandidate()).Label())
	if err != nil {
		return out, err
	}
	out.Candidate = rev.String()
	begun := a.opts.Now()
	from := a.Compactor.Head().Number()
	head, err := a.Command(ctx, func(s release.State) (release.Transition, error) {
		return release.Start(s, a.Order("the demonstration"), release.Request{Candidate: rev.ID(), Plan: demoPlan(), Head: from})
	})
	if err != nil {
		return out, err
	}
	c := a.Controller()
	phase := head.State().Release.Phase
	for range demoBatches {
		if err := tickAll(ctx, c, a.opts.Now, func(release.Decision) {}); err != nil {
			return out, err
		}
		if head, err = a.Releases.Head(ctx); err != nil {
			return out, err
		}
		r := head.State().Release
		if r.Phase != phase {
			phase = r.Phase
			say(fmt.Sprintf("  %s: %s", r.Phase, r.Phase.Sentence()))
		}
		if r.Phase.Final() {
			break
		}
		inputs := f.more(demoBatch)
		out.Changes += len(inputs)
		if _, err := a.Commit(ctx, inputs); err != nil {
			return out, err
		}
	}
	r := head.State().Release
	if r.Ending == nil {
		return out, fmt.Errorf("demo: the release does not end: %s", head.State().Describe(a.opts.Now()))
	}
	out.Outcome, out.Step, out.Reason = string(r.Ending.Outcome), r.Current().String(), r.Ending.Reason
	_, out.Quarantined = head.State().Quarantined(r.Candidate)
	out.ElapsedMS = float64(a.opts.Now().Sub(begun).Microseconds()) / 1000
	if _, err := a.Commit(ctx, f.more(demoBatch)); err != nil { // life goes on, without it
		return out, err
	}
	return out, out.account(ctx, a, from, r)
}

// account reads from the ledger of versions what the candidate did.
func (d *DemoRelease) account(ctx context.Context, a *App, from uint64, r *release.Release) error {
	for n := from + 1; n <= a.Compactor.Head().Number(); n++ {
		e, err := a.Log.Read(ctx, n)
		if err != nil {
			return err
		}
		if len(e.Fenced) > 0 && d.Fence == 0 {
			d.Fence = e.Fenced[len(e.Fenced)-1].Since
		}
		d.Parked += int64(e.Outcomes[lockstep.ParkedAway])
		if d.Fence > 0 {
			d.Behind += e.Revisions[r.Candidate]
		}
		if e.Trial == nil {
			continue
		}
		for _, u := range e.Trial.Arms {
			if u.Revision == r.Candidate {
				d.Units, d.Failed, d.Versions = d.Units+u.Units, d.Failed+u.Bad, d.Versions+1
			}
		}
	}
	return nil
}

// more invents further edits and writes the files that they need.
func (f DemoFiles) more(edits int) []compact.Input {
	var out []compact.Input
	for range edits {
		for _, edit := range f.synth.Edits(1) {
			if edit.Kind == "re-embedded" {
				continue // its files would have to be written
			}
			for _, e := range edit.Events {
				out = append(out, compact.Input{Message: abroad(e).Message()})
			}
		}
	}
	return out
}
