package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Version is one version in full.
type Version struct {
	Row
	Collections []version.CollectionState `json:"collections"`
	Changes     []Count                   `json:"changes"`
	Shown       []Message                 `json:"shown_messages,omitempty"` // the first of Messages
	BaseRef     *version.BaseRef          `json:"base_ref,omitempty"`
	Delta       *version.DeltaRef         `json:"delta,omitempty"`
	Backlog     []version.Span            `json:"backlog,omitempty"`
	Discarded   []version.Span            `json:"discarded,omitempty"`
	// Retired says that the delta was removed, so that Changes and Shown are unknown.
	Retired bool `json:"retired,omitempty"`
}

// Count says how many records of a collection changed.
type Count struct {
	Collection lockstep.Collection `json:"collection"`
	Added      int                 `json:"added"`
	Changed    int                 `json:"changed"`
	Deleted    int                 `json:"deleted"`
}

const shownMessages = 100

// Show returns version n: its entry, what it changed, and the first 100 of its
// messages. Schema names the key attributes of the table; the zero Schema is PK and
// SK. version.ErrRetired when retention removed the version, ErrNotFound when it
// does not exist yet.
func Show(ctx context.Context, log *version.Log, n uint64, schema change.Schema) (Version, error) {
	if err := ctx.Err(); err != nil {
		return Version{}, err
	}
	head, low, err := bounds(ctx, log)
	if err != nil {
		return Version{}, fmt.Errorf("show version %d: %w", n, err)
	}
	if n > 0 && n < low { // the log may still remember it
		return Version{}, lockstep.Hint(fmt.Errorf("show version %d: %w", n, version.ErrRetired), fmt.Sprintf("versions from %d on are kept", low))
	}
	e, err := log.Read(ctx, n)
	if err != nil {
		return Version{}, fmt.Errorf("show: %w", err)
	}
	line := walker{log: log, at: head.Number()}
	on, err := line.passes(ctx, n)
	if err != nil {
		return Version{}, fmt.Errorf("show version %d: %w", n, err)
	}
	v := Version{
		Row: rowOf(e, on), Collections: e.Collections, Changes: []Count{}, BaseRef: e.Base, Delta: e.Delta, Backlog: e.Backlog, Discarded: e.Discarded,
	}
	d, err := log.Delta(ctx, n)
	if errors.Is(err, version.ErrRetired) {
		v.Retired = true
		return v, nil
	}
	if err != nil {
		return Version{}, fmt.Errorf("show: %w", err)
	}
	if d == nil {
		return v, nil
	}
	v.Changes = counts(len(d.Mutations), func(i int) (lockstep.Collection, []byte, []byte) {
		m := &d.Mutations[i]
		return m.Collection, m.Before, m.After
	})
	for i := range min(len(d.Messages), shownMessages) {
		v.Shown = append(v.Shown, messageOf(ctx, d, i, schema))
	}
	return v, nil
}

// counts sums up n changes, by collection.
func counts(n int, at func(i int) (c lockstep.Collection, before, after []byte)) []Count {
	by := map[lockstep.Collection]*Count{}
	for i := range n {
		name, before, after := at(i)
		if by[name] == nil {
			by[name] = &Count{Collection: name}
		}
		switch {
		case before == nil:
			by[name].Added++
		case after == nil:
			by[name].Deleted++
		default:
			by[name].Changed++
		}
	}
	out := make([]Count, 0, len(by))
	for _, c := range by {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Count) int { return strings.Compare(string(a.Collection), string(b.Collection)) })
	return out
}
