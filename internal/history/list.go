package history

import (
	"context"
	"fmt"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Options say which versions List returns.
type Options struct {
	From  uint64 // oldest; 0: as old as there are
	To    uint64 // newest; 0: the head
	Limit int    // rows; 0: 100
	All   bool   // also those that change nothing: fences and bases
}

// Row is one version in a list.
type Row struct {
	Version   uint64                   `json:"version"`
	Kind      version.Kind             `json:"kind"`
	Parent    uint64                   `json:"parent"`
	OnLine    bool                     `json:"on_line"` // the head's state comes from it
	At        time.Time                `json:"at"`
	Messages  int                      `json:"messages"`
	Mutations int                      `json:"mutations"`
	Records   int64                    `json:"records"` // published, after it
	Digest    string                   `json:"digest"`  // of the index, after it
	Base      uint64                   `json:"base,omitempty"`
	Outcomes  map[lockstep.Outcome]int `json:"outcomes,omitempty"`
	Revisions map[string]int           `json:"revisions,omitempty"`
	Cause     version.Cause            `json:"cause"`
}

const defaultLimit = 100

// List returns versions along the log, newest first. Those that retention removed
// are not in it. ErrInvalid when From is after To.
func List(ctx context.Context, log *version.Log, opts Options) ([]Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if opts.To > 0 && opts.From > opts.To || opts.Limit < 0 {
		return nil, fmt.Errorf("list versions %d to %d, at most %d: %w range", opts.From, opts.To, opts.Limit, lockstep.ErrInvalid)
	}
	limit := opts.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	head, low, err := bounds(ctx, log)
	if err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	to := head.Number()
	if opts.To > 0 {
		to = min(to, opts.To)
	}
	line := walker{log: log, at: head.Number()}
	rows := []Row{}
	for n := to; n >= max(low, opts.From, 1) && len(rows) < limit; n-- {
		e, err := log.Read(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("list versions: %w", err)
		}
		if !opts.All && (e.Kind == version.Fence || e.Kind == version.BaseSet) {
			continue
		}
		on, err := line.passes(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("list versions: %w", err)
		}
		rows = append(rows, rowOf(e, on))
	}
	return rows, nil
}

// bounds returns the head and the lowest valid version.
func bounds(ctx context.Context, log *version.Log) (version.Head, uint64, error) {
	head, err := log.Head(ctx)
	if err != nil {
		return head, 0, err
	}
	low, err := log.Ledger().Low(ctx)
	return head, max(low, 1), err
}

// walker goes down the state line, once.
type walker struct {
	log *version.Log
	at  uint64
}

// passes says whether the line goes through version n. Asked for falling numbers.
func (w *walker) passes(ctx context.Context, n uint64) (bool, error) {
	for w.at > n {
		e, err := w.log.Read(ctx, w.at)
		if err != nil {
			return false, err
		}
		w.at = e.Parent
	}
	return w.at == n, nil
}

func rowOf(e *version.Entry, onLine bool) Row {
	r := Row{
		Version: e.Number, Kind: e.Kind, Parent: e.Parent, OnLine: onLine, At: e.At,
		Digest: version.IndexDigest(e.Digests()), Outcomes: e.Outcomes, Revisions: e.Revisions, Cause: e.Cause,
	}
	if e.Base != nil {
		r.Base = e.Base.Version
	}
	if e.Delta != nil {
		r.Messages, r.Mutations = e.Delta.Messages, e.Delta.Mutations
	}
	for _, c := range e.Collections {
		if !c.Name.Builtin() {
			r.Records += c.Records
		}
	}
	return r
}
