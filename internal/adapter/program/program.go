package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Options are for what a Program needs of its surroundings. The zero value works.
type Options struct {
	Log *slog.Logger // default: discard
}

// Program is a handler that runs as processes of its own. It is safe for concurrent
// use; calls beyond Spec.Processes wait for each other. Close must follow.
type Program struct {
	spec   Spec
	log    *slog.Logger
	ids    atomic.Uint64
	recall recall

	slots    chan *slot // those that are free
	closed   chan struct{}
	closing  sync.Once
	children sync.WaitGroup

	mu       sync.Mutex // guards everything below
	probed   bool
	desc     handler.Description
	revision string // hash of the code at the probe
}

var _ handler.Handler = (*Program)(nil)

// New returns the handler that spec describes. It starts and reads nothing; Probe or
// the first call does. It returns lockstep.ErrInvalid, naming the field, for a spec
// that cannot be.
func New(spec Spec, opts Options) (*Program, error) {
	spec, err := spec.resolved()
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	p := &Program{
		spec:   spec,
		log:    opts.Log.With("program", spec.Name),
		slots:  make(chan *slot, spec.Processes),
		closed: make(chan struct{}),
	}
	for range spec.Processes {
		p.slots <- &slot{}
	}
	return p, nil
}

// Probe starts a process, unless one runs, and returns how it describes itself. The
// first answer counts for good: a later process that answers otherwise, or whose
// files have changed, is a Failure. An error is a *Failure of KindStart, that of
// ctx, or ErrClosed.
func (p *Program) Probe(ctx context.Context) (handler.Description, error) {
	if err := ctx.Err(); err != nil {
		return handler.Description{}, err
	}
	s, err := p.take(ctx)
	if err != nil {
		return handler.Description{}, err
	}
	defer p.give(s)
	if err := p.ready(ctx, s); err != nil {
		return handler.Description{}, err
	}
	d, _ := p.described()
	return d, nil
}

// Describe implements handler.Handler. Before the first Probe it makes one, within
// Spec.StartTimeout; when that fails it returns the zero Description, which does not
// Check. Call Probe first to learn why.
func (p *Program) Describe() handler.Description {
	if d, ok := p.described(); ok {
		return d
	}
	d, _ := p.Probe(context.Background()) // the zero Description stands for the error
	return d
}

// Reads implements handler.Handler. When the program fails, the answer is empty, and
// Plan of the same messages returns the failure and nothing else until a Reads of
// them has succeeded.
func (p *Program) Reads(messages []lockstep.Message) handler.Reads {
	r, _ := p.ReadsContext(context.Background(), messages) // Plan returns the error
	return r
}

// ReadsContext is Reads for a caller that has a context and can take an error. Like
// Reads it leaves its outcome to Plan, but for the error of ctx.
func (p *Program) ReadsContext(ctx context.Context, messages []lockstep.Message) (handler.Reads, error) {
	if err := ctx.Err(); err != nil {
		return handler.Reads{}, err
	}
	sent := encodeMessages(messages)
	id := p.nextID()
	a, err := p.call(ctx, decoder{request: requestReads, messages: len(messages)}, id, readsLine(id, sent))
	if err == nil && a.reported != nil {
		err = fmt.Errorf("reads: %w", a.reported)
	}
	switch {
	case err == nil:
		p.recall.keep(keyOf(sent), nil)
		return a.reads, nil
	case ctx.Err() == nil:
		p.recall.keep(keyOf(sent), err)
	}
	return handler.Reads{}, err
}

// Plan implements handler.Handler. What the program itself says against the unit is
// lockstep.ErrInvalid or lockstep.ErrRefused; what it does wrong is a *Failure. When
// ctx ends it returns at once with the error of ctx, and the process is replaced.
func (p *Program) Plan(ctx context.Context, unit handler.Unit) ([]lockstep.Mutation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sent := encodeMessages(unit.Messages)
	if err := p.recall.look(keyOf(sent)); err != nil {
		if errors.Is(err, errLimit) {
			return nil, p.named(&Failure{Kind: KindLimit, Reason: err.Error()}, requestPlan, nil)
		}
		return nil, err
	}
	id := p.nextID()
	d := decoder{request: requestPlan, messages: len(unit.Messages), mutations: p.spec.Mutations}
	a, err := p.call(ctx, d, id, planLine(id, sent, &unit))
	if err == nil {
		err = a.reported
	}
	if err != nil {
		return nil, err
	}
	return a.mutations, nil
}

// Close ends all processes and returns when nothing of them is left. Calls in
// progress end with ErrClosed, and so do later ones.
func (p *Program) Close() error {
	p.closing.Do(func() {
		close(p.closed)
		var leaving sync.WaitGroup
		for range p.spec.Processes {
			s := <-p.slots
			if s.child != nil {
				leaving.Go(s.child.leave)
			}
		}
		leaving.Wait()
	})
	p.children.Wait()
	return nil
}

func (p *Program) nextID() uint64 { return p.ids.Add(1) }

func (p *Program) described() (handler.Description, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.desc, p.probed
}

// introduce takes the description of a new process, made of the files with the hash
// code. The first one that is good stands for all.
func (p *Program) introduce(a answer, code string) error {
	if a.reported != nil {
		return a.reported
	}
	a.desc.Code = code
	if err := a.desc.Check(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.probed:
		p.probed, p.desc, p.revision = true, a.desc, code
		return nil
	case p.revision != code:
		return fmt.Errorf("its files have changed since the probe: %w: that is another revision", lockstep.ErrConflict)
	case !reflect.DeepEqual(p.desc, a.desc):
		return fmt.Errorf("it describes itself differently than at the probe: %w: that is another revision", lockstep.ErrConflict)
	}
	return nil
}
