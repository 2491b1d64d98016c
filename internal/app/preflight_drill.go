package app

import (
	"context"

	"lockstep/internal/drill"
	"lockstep/internal/ledger"
)

// riskNoDrill: nobody knows whether the way back works; it was not walked lately.
const riskNoDrill = "no-drill"

// Drills returns the drills of an environment that are in the store.
func (s *Store) Drills(ctx context.Context, environment string) (drill.Book, error) {
	head, err := drill.NewLog(s.Blobs, ledger.Options{}).Head(ctx)
	return head.Book(environment), err
}

// drilled asks how old the last drill of a rollback is, when the configuration bounds that.
func (c *Control) drilled(ctx context.Context, out *cleared) error {
	limit := c.cfg.Rollback.Drill.MaxAge
	if limit <= 0 {
		return nil
	}
	book, err := c.Drills(ctx, c.cfg.Environment)
	if err != nil {
		return err
	}
	if err := book.Gate(c.opts.Now(), limit); err != nil {
		out.open(riskNoDrill, "%s", err)
	}
	return nil
}
