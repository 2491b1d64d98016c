package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/handler/contract"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/state"
)

// Bounds of what preflight looks at: enough to reach the kinds of change of a usual day,
// and little enough that a release starts within a minute.
const (
	recordedMessages = 240
	recordedVersions = 64
	recordedBytes    = 64 << 20 // of one delta; a larger one is left out
	contractTime     = 20 * time.Second
	replayTime       = 20 * time.Second
)

// recordedTraffic is what the archive holds, newest last.
type recordedTraffic struct {
	fixture  contract.Fixture // without what stable parks
	versions []uint64
}

// recorded reads the newest handled messages on the line of version at.
func (c *Control) recorded(ctx context.Context, at uint64, stable, candidate handler.Revision) (recordedTraffic, error) {
	var out recordedTraffic
	schema := stable.Handler.Describe().Key
	for looked := 0; at > 0 && looked < recordedVersions && len(out.fixture.Messages) < recordedMessages; looked++ {
		e, err := c.Log.Read(ctx, at)
		if errors.Is(err, lockstep.ErrNotFound) {
			break // retention was here
		}
		if err != nil {
			return out, err
		}
		if holdsUnits(e) && e.Delta.Size <= recordedBytes {
			messages, err := c.handled(ctx, at, schema)
			if err != nil {
				return out, err
			}
			room := recordedMessages - len(out.fixture.Messages)
			messages = messages[max(0, len(messages)-room):]
			out.fixture.Messages = append(slices.Clone(messages), out.fixture.Messages...)
			out.versions = append(out.versions, at)
		}
		at = e.Parent
	}
	slices.Reverse(out.versions)
	imports, err := c.archivedImports(ctx, out.fixture.Messages, stable, candidate)
	if err != nil {
		return out, err
	}
	out.fixture.Source = imports.find
	// The shipped handlers' clock keys; a handler that has others of its own stamps records
	// with the clock, which makes no two runs of it comparable.
	out.fixture.ClockKeys = receipt.ClockKeys()
	out.fixture, _, err = out.fixture.Handled(ctx, stable.Handler)
	return out, err
}

// handled returns the messages of a version in order of arrival.
func (c *Control) handled(ctx context.Context, n uint64, schema change.Schema) ([]lockstep.Message, error) {
	d, err := c.Log.Delta(ctx, n)
	if err != nil {
		return nil, err
	}
	units, err := compact.ArchivedUnits(ctx, d, schema)
	if err != nil {
		return nil, fmt.Errorf("version %d: %w", n, err)
	}
	return slices.Concat(units...), nil
}

// archivedImports finds imports by what a handler can name: collection and location.
type archivedImports map[string]handler.Import

func importName(ref handler.ImportRef) string { return string(ref.Collection) + " " + ref.Location }

func (a archivedImports) find(ref handler.ImportRef) (handler.Import, error) {
	if got, ok := a[importName(ref)]; ok {
		return got, nil
	}
	return handler.Import{}, fmt.Errorf("import %s: %w", ref.Location, compact.ErrNotArchived)
}

// archivedImports loads what the revisions ask for and the archive has.
func (c *Control) archivedImports(ctx context.Context, messages []lockstep.Message, revisions ...handler.Revision) (archivedImports, error) {
	out := archivedImports{}
	for _, rev := range revisions {
		classify, err := change.NewClassifier(rev.Handler.Describe().Entities)
		if err != nil {
			return nil, fmt.Errorf("revision %s: %w", rev, err)
		}
		for _, m := range messages {
			entity, ok := classify.Entity(m.Change.Key)
			if !ok || entity == "" {
				continue
			}
			m.Change.Entity = entity
			for _, ref := range rev.Handler.Reads([]lockstep.Message{m}).Imports {
				got, err := compact.ArchivedImport(ctx, c.Blobs, m.ID, ref)
				if errors.Is(err, lockstep.ErrNotFound) {
					continue
				}
				if err != nil {
					return nil, err
				}
				out[importName(ref)] = got
			}
		}
	}
	return out, nil
}

// keepsContract runs the contract suite. What stable breaks as well, on the same input, is
// not held against the candidate: it makes nothing worse.
func keepsContract(ctx context.Context, stable, candidate handler.Revision, f contract.Fixture, out *cleared) error {
	bounded, done := context.WithTimeout(ctx, contractTime)
	defer done()
	unfinished := 0
	for _, check := range contract.Checks() {
		if !check.Applies(f) {
			continue
		}
		err := check.Run(bounded, candidate.Handler, f, contract.Options{})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
		case bounded.Err() != nil:
			unfinished++
		case check.Run(bounded, stable.Handler, f, contract.Options{}) == nil:
			out.bad = append(out.bad, "contract of handlers: "+firstLines(err.Error(), 6))
		}
	}
	if unfinished > 0 {
		out.open(riskUnfinished, "%d checks of the handler contract did not end within %s on %d recorded messages", unfinished, contractTime, len(f.Messages))
	}
	return nil
}

// firstLines cuts what a handler can make long.
func firstLines(s string, n int) string {
	lines := strings.SplitN(s, "\n", n+1)
	if len(lines) > n {
		lines[n] = "…"
	}
	return strings.Join(lines, "\n")
}

// tryRecorded runs the candidate on the last recorded versions, each on the state that it
// was decided on. A unit on which only the candidate fails ends the release here.
func (c *Control) tryRecorded(ctx context.Context, versions []uint64, stable, candidate handler.Revision, out *cleared) error {
	d, err := c.newDuel(stable, candidate)
	if err != nil {
		return err
	}
	into := newComparison()
	until := c.opts.Now().Add(replayTime)
	return c.withPrivateState(ctx, func(st *state.State) error {
		for i, n := range versions {
			e, err := c.Log.Read(ctx, n)
			if err != nil {
				return err
			}
			if err := d.version(ctx, st, e, into); err != nil {
				return err
			}
			if len(into.failed) > 0 {
				out.bad = append(out.bad, "it fails on recorded changes that stable can handle: "+strings.Join(into.failed, "; "))
				return nil
			}
			if i+1 < len(versions) && !c.opts.Now().Before(until) {
				out.open(riskUnfinished, "only %d of %d recorded versions could be tried within %s", i+1, len(versions), replayTime)
				return nil
			}
		}
		return nil
	})
}
