package branch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/handler"
	"lockstep/internal/ledger"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// Branch is an index that goes its own way. One goroutine uses it.
type Branch struct {
	Store     *Store
	Log       *version.Log
	State     *state.State
	Compactor *compact.Compactor
	// Now is what the compactor's clock says; zero is the Unix epoch. Who repeats history
	// sets it to the time of each version.
	Now time.Time

	dir string
}

// Origin is what a branch is taken from.
type Origin struct {
	Log      *version.Log
	State    *state.State
	Importer compact.Importer
	Dir      string // for the branch's local state; "": the system's place for temporary files
}

// Take returns a branch of the log as it is now, whose compactor has the revision decide
// about everything. Close it.
func Take(ctx context.Context, from Origin, rev handler.Revision) (*Branch, error) {
	head, err := from.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(from.Dir, "branch-")
	if err != nil {
		return nil, fmt.Errorf("make room for a branch: %w", err)
	}
	b := &Branch{Store: NewStore(from.Log.Store(), head.Number()), dir: dir}
	if err := b.open(ctx, from, rev); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Branch) open(ctx context.Context, from Origin, rev handler.Revision) (err error) {
	if b.State, err = from.State.Fork(b.dir + "/state"); err != nil {
		return err
	}
	b.Log = version.NewLog(b.Store, ledger.Options{Now: b.clock})
	b.Compactor, err = compact.New(b.Log, b.State, compact.Only(rev), from.Importer, compact.Options{
		Actor: "branch", Now: b.clock, BaseChain: 1 << 30, BaseBytes: 1 << 60,
	})
	if err != nil {
		return err
	}
	return b.Compactor.CatchUp(ctx)
}

func (b *Branch) clock() time.Time { return b.Now }

// Close takes the branch away.
func (b *Branch) Close() error {
	var err error
	if b.State != nil {
		err = b.State.Close()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}
