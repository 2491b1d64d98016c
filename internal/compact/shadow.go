package compact

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/change"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// ErrNotArchived says that a revision asks for an import that nobody has imported for the
// message before. Who only repeats what was decided does not fetch it.
var ErrNotArchived = fmt.Errorf("the import is not in the archive: %w", lockstep.ErrNotFound)

// ArchivedUnits returns the units of work of a version that were handled, as the compactor
// forms them: the messages of one partition key, in order of arrival. What was parked, given
// up or malformed is in none of them.
func ArchivedUnits(ctx context.Context, d *version.Delta, schema change.Schema) ([][]lockstep.Message, error) {
	if d == nil {
		return nil, ctx.Err()
	}
	var inputs []Input
	for i := range d.Messages {
		a := &d.Messages[i]
		if a.Outcome != lockstep.Applied && a.Outcome != lockstep.Unchanged {
			continue
		}
		m, err := MessageOf(ctx, a, schema)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, Input{Message: m})
	}
	var units [][]lockstep.Message
	for _, j := range jobsOf(inputs) {
		units = append(units, j.messages)
	}
	return units, nil
}

// ArchivedImport returns what was imported for a message at ref. ErrNotFound when nothing was.
func ArchivedImport(ctx context.Context, store blob.Store, message string, ref handler.ImportRef) (handler.Import, error) {
	p := planner{store: store}
	return p.archived(ctx, version.ImportKey(message, ref.Collection, ref.Location), ref)
}

// Subject is a revision that is asked again about what was decided before.
type Subject struct{ arm *arm }

// NewSubject returns rev as a subject. Budget bounds one call of its handler; 0: as long as
// it takes. ErrInvalid when its entity rules do not compile.
func NewSubject(rev handler.Revision, budget time.Duration) (*Subject, error) {
	a, err := newArm(rev, budget)
	if err != nil {
		return nil, err
	}
	return &Subject{a}, nil
}

// Stage is the state on which the units of one version were decided. It has no effect on
// anything, and is for one goroutine.
type Stage struct {
	View  *state.Reader // at the parent of the version
	Store blob.Store    // its archive of imports is the only one that is asked
	Entry *version.Entry
	// Parent is the entry of the version's parent, nil for the empty index.
	Parent *version.Entry
	Clock  func() time.Time
}

// Reply is what a subject says about a unit. Mutations count only when Failed is nil, and
// have passed handler.CheckMutations.
type Reply struct {
	Asked     bool // false: every message is ignored by rule, or had been handled before
	Mutations []lockstep.Mutation
	Failed    error // the subject's fault: it would have parked the unit
	Took      time.Duration
}

// Ask shows a unit to who as the compactor would: the mirror merged, the view read, the
// answer checked. The unit's clock is the time of the version. Errors: ErrNotArchived;
// lockstep.ErrUnavailable when who cannot be asked now; that of ctx; or the state cannot be read.
func (s *Stage) Ask(ctx context.Context, who *Subject, messages []lockstep.Message) (Reply, error) {
	if err := ctx.Err(); err != nil {
		return Reply{}, err
	}
	p := &planner{reader: s.View, arms: &arms{stable: who.arm}, arm: who.arm, importer: noSource{}, store: s.Store, dims: s.dims(who.arm), now: s.Entry.At}
	start := s.Clock()
	r, err := p.again(ctx, messages)
	r.Took = s.Clock().Sub(start)
	var fault parkError
	switch {
	case errors.Is(err, ErrNotArchived):
		return r, ErrNotArchived
	case errors.As(err, &fault):
		r.Failed, err = err, nil
	}
	return r, err
}

// noSource is the importer of who may only look into the archive.
type noSource struct{}

func (noSource) Import(context.Context, handler.ImportRef) (handler.Import, error) {
	return handler.Import{}, ErrNotArchived
}

// dims are the dimensions that an answer has to have: what is declared, and before that
// what the index has.
func (s *Stage) dims(a *arm) map[lockstep.Collection]int {
	out := map[lockstep.Collection]int{}
	for _, c := range a.desc.Collections {
		if c.Dimension > 0 {
			out[c.Name] = c.Dimension
		}
	}
	if s.Parent == nil {
		return out
	}
	for _, c := range s.Parent.Collections {
		if c.Dimension > 0 {
			out[c.Name] = c.Dimension
		}
	}
	return out
}

// again is handle without effects: it keeps the answer instead of images.
func (p *planner) again(ctx context.Context, messages []lockstep.Message) (r Reply, err error) {
	s := &sight{items: map[string]*mirrored{}}
	var unit []lockstep.Message
	for i := range messages {
		m := messages[i]
		known, got, _, err := p.merge(s, &m)
		if err != nil {
			return r, err
		}
		if got.Effect {
			known.item, known.cause = got.Item, i
			unit = append(unit, m)
		}
	}
	if r.Asked = len(unit) > 0; !r.Asked {
		return r, ctx.Err()
	}
	reads, err := p.reads(ctx, unit)
	if err != nil {
		return r, err
	}
	if err := look(ctx, p.reader, reads, s); err != nil {
		return r, err
	}
	if err := p.fetch(ctx, reads.Imports, unit, s); err != nil {
		return r, err
	}
	u := handler.Unit{Messages: unit, View: s.view, Now: p.now}
	if r.Mutations, err = p.ask(ctx, u); err != nil {
		return r, err
	}
	if err := handler.CheckMutations(p.arm.desc, u, s.asked, r.Mutations, p.dims); err != nil {
		return r, parkError{fmt.Errorf("%s answered what cannot be stored: %w", p.arm.rev, err)}
	}
	return r, nil
}
