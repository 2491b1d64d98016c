package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"lockstep/internal/adapter/program"
	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Revisions are the revisions that can run here: the builtin ones with this
// configuration, and the programs that it names. Close ends the programs.
type Revisions struct {
	registry *handler.Registry
	initial  handler.Revision
	programs []*program.Program
	broken   []BrokenRevision
	origins  map[string]string // by hash
}

// BrokenRevision is a configured revision that does not start, and why.
type BrokenRevision struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// OpenRevisions starts the configured programs and asks them what they are. One that
// does not start is listed as broken, and no reason not to run the others.
func OpenRevisions(ctx context.Context, cfg config.Config, opts Options) (*Revisions, error) {
	initial, err := Revision(cfg)
	if err != nil {
		return nil, err
	}
	r := &Revisions{initial: initial, origins: map[string]string{}}
	handlers := []handler.Handler{initial.Handler}
	r.origins[initial.Hash] = "builtin"
	for _, name := range []string{config.HandlerReceipts1, config.HandlerReceipts2} {
		if name == cfg.Handler {
			continue
		}
		other := cfg
		other.Handler = name
		rev, err := Revision(other)
		if err != nil {
			return nil, err
		}
		handlers, r.origins[rev.Hash] = append(handlers, rev.Handler), "builtin"
	}
	for _, h := range opts.Handlers {
		h = specified{h, cfg.Collections}
		handlers, r.origins[handler.NewRevision(h).Hash] = append(handlers, h), "builtin"
	}
	for _, p := range cfg.Programs {
		h, err := r.start(ctx, p, cfg, opts.Log)
		if err != nil {
			if ctx.Err() != nil {
				return nil, errors.Join(ctx.Err(), r.Close())
			}
			r.broken = append(r.broken, BrokenRevision{p.Name, err.Error()})
			continue
		}
		handlers = append(handlers, h)
		r.origins[handler.NewRevision(h).Hash] = "program " + p.Name
	}
	if r.registry, err = handler.NewRegistry(handlers); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Revisions) start(ctx context.Context, p config.Program, cfg config.Config, log *slog.Logger) (handler.Handler, error) {
	pr, err := program.New(program.Spec{
		Command: p.Command, Name: p.Name, Dir: p.Dir, Env: p.Env, Files: p.Files,
		Processes: p.Processes, StartTimeout: p.Start, CallTimeout: p.Timeout, MemoryBytes: p.MemoryBytes, CPUTime: p.CPUTime, OpenFiles: p.OpenFiles,
	}, program.Options{Log: log})
	if err != nil {
		return nil, err
	}
	r.programs = append(r.programs, pr)
	if _, err := pr.Probe(ctx); err != nil {
		return nil, err
	}
	h := specified{pr, cfg.Collections}
	return h, h.Describe().Check()
}

// Initial is the revision that the configuration names as handler.
func (r *Revisions) Initial() handler.Revision { return r.initial }

// All returns the revisions that run, the initial one first.
func (r *Revisions) All() []handler.Revision { return r.registry.All() }

// Broken returns those that do not.
func (r *Revisions) Broken() []BrokenRevision { return r.broken }

// Origin says where a revision comes from.
func (r *Revisions) Origin(rev handler.Revision) string { return r.origins[rev.Hash] }

// Lookup finds a revision by label, id, or the beginning of its hash. What is missing may
// be among the broken ones, and then the error says so.
func (r *Revisions) Lookup(name string) (handler.Revision, error) {
	rev, err := r.registry.Lookup(name)
	if errors.Is(err, lockstep.ErrNotFound) && len(r.broken) > 0 {
		err = fmt.Errorf("%w; %s does not start: %s", err, r.broken[0].Name, r.broken[0].Reason)
	}
	return rev, err
}

// Probe asks a revision again whether it starts and is what it was.
func (*Revisions) Probe(ctx context.Context, rev handler.Revision) error {
	s, ok := rev.Handler.(specified)
	if !ok {
		return rev.Handler.Describe().Check()
	}
	if p, ok := s.Handler.(*program.Program); ok {
		if _, err := p.Probe(ctx); err != nil {
			return err
		}
	}
	return s.Describe().Check()
}

// Close ends the programs.
func (r *Revisions) Close() error {
	var errs []error
	for _, p := range r.programs {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
