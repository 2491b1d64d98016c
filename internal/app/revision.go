package app

import (
	"context"
	"fmt"
	"os"

	"lockstep/internal/adapter/program"
	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/mapping"
	"lockstep/internal/receipt"
)

// Revision returns the revision that the configuration names, with the
// configuration's dimensions and spaces.
func Revision(cfg config.Config) (handler.Revision, error) {
	h, err := handlerOf(cfg)
	if err != nil {
		return handler.Revision{}, err
	}
	return handler.NewRevision(specified{h, cfg.Collections}), nil
}

func handlerOf(cfg config.Config) (handler.Handler, error) {
	switch cfg.Handler {
	case config.HandlerReceipts1:
		return receipt.V1(receipt.V1Config{}), nil
	case config.HandlerReceipts2:
		return receipt.V2(receipt.V2Config{Labels: receipt.LabelFormat(cfg.Receipts.Labels)}), nil
	case config.HandlerMapping:
		return mappingOf(cfg)
	}
	return nil, fmt.Errorf("handler %q: %w: the known ones are %v", cfg.Handler, lockstep.ErrInvalid, config.Handlers())
}

func mappingOf(cfg config.Config) (handler.Handler, error) {
	if cfg.Mapping.Inline != nil {
		return mapping.Decode(cfg.Mapping.Inline)
	}
	f, err := os.Open(cfg.Mapping.File)
	if err != nil {
		return nil, fmt.Errorf("open the mapping: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	return mapping.Load(f, cfg.Mapping.File)
}

// specified is a handler whose collections have the configured dimension and space.
type specified struct {
	handler.Handler
	collections map[lockstep.Collection]config.Collection
}

// Describe returns the handler's description with the configured collections.
func (s specified) Describe() handler.Description {
	d := s.Handler.Describe()
	if len(s.collections) == 0 {
		return d
	}
	specs := make([]handler.CollectionSpec, len(d.Collections))
	for i, spec := range d.Collections {
		if c, ok := s.collections[spec.Name]; ok {
			if c.Dimension > 0 {
				spec.Dimension = c.Dimension
			}
			if c.Space != "" {
				spec.Space = c.Space
			}
		}
		specs[i] = spec
	}
	d.Collections = specs
	return d
}

// ReadsContext lets a program's Reads be broken off, which a builtin handler's need not.
func (s specified) ReadsContext(ctx context.Context, messages []lockstep.Message) (handler.Reads, error) {
	if p, ok := s.Handler.(*program.Program); ok {
		return p.ReadsContext(ctx, messages)
	}
	return s.Reads(messages), ctx.Err()
}
