package incident

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/redact"
)

// Prefix is where the ledgers of incidents live in the store, one below it for each.
const Prefix = "incident"

// Book is the incidents of a store. It is safe for concurrent use.
type Book struct {
	store  blob.Store
	redact *redact.Redactor
	opts   ledger.Options
}

// NewBook returns the incidents in store. Every text passes r before it is stored; nil
// knows the shapes of secrets, and none of ours. It does not touch the store.
func NewBook(store blob.Store, r *redact.Redactor, opts ledger.Options) *Book {
	return &Book{store: store, redact: r, opts: opts}
}

// Head is the newest entry of an incident, and its envelope in the ledger.
type Head struct {
	Ledger ledger.Entry
	Entry  *Entry
}

// Incident returns the state after the entry.
func (h Head) Incident() Incident {
	if h.Entry == nil {
		return Incident{}
	}
	return h.Entry.Incident
}

// tries bounds how often one call decides again. Each time somebody else got ahead, so
// more would mean that this one never does.
const tries = 64

func (b *Book) log(id string) *ledger.Log { return ledger.New(b.store, Prefix+"/"+id, b.opts) }

// Head returns the newest entry of an incident. ErrNotFound: there is none.
// ErrInvalid: that is no id.
func (b *Book) Head(ctx context.Context, id string) (Head, error) {
	if _, _, err := ParseID(id); err != nil {
		return Head{}, err
	}
	le, err := b.log(id).Head(ctx)
	if err == nil {
		var h Head
		if h, err = decode(le, id); err == nil {
			return h, nil
		}
	}
	err = fmt.Errorf("incident %s: %w", id, err)
	if errors.Is(err, lockstep.ErrNotFound) {
		err = lockstep.Hint(err, `"lockstep incident list" shows the ids`)
	}
	return Head{}, err
}

func decode(le ledger.Entry, id string) (Head, error) {
	e, err := DecodeEntry(le.Body)
	if err != nil {
		return Head{}, fmt.Errorf("entry %d: %w", le.N, err)
	}
	if e.Number != le.N || e.Incident.ID != id {
		return Head{}, fmt.Errorf("entry %d: %w: it says it is %d of %s", le.N, lockstep.ErrCorrupt, e.Number, e.Incident.ID)
	}
	return Head{Ledger: le, Entry: e}, nil
}

// Do carries out a transition: it gives the newest state of the incident to order, and
// appends what that returns. When somebody else was first, it asks order again with the
// new state. One that changes nothing is not appended. Errors of order are passed on.
// After an error nothing was appended, but for ledger.ErrUnknown: then nobody can tell
// yet, and the state has to be looked at before anything is said again.
func (b *Book) Do(ctx context.Context, id string, order func(Incident) (Transition, error)) (Head, error) {
	for range tries {
		head, err := b.Head(ctx, id)
		if err != nil {
			return Head{}, err
		}
		t, err := order(head.Incident())
		if err != nil || t.Same {
			return head, err
		}
		next, err := b.append(ctx, head.Ledger, t)
		if !errors.Is(err, ledger.ErrHeadMoved) {
			return next, err
		}
	}
	return Head{}, lockstep.Hint(fmt.Errorf("incident %s: %w: somebody else was first %d times", id, lockstep.ErrConflict, tries), "try again")
}

// append writes the entry of t behind prev. Nothing gets into the store but through here.
func (b *Book) append(ctx context.Context, prev ledger.Entry, t Transition) (Head, error) {
	e, err := t.Entry.cleaned(b.redact)
	if err != nil {
		return Head{}, err
	}
	e.Format, e.MinReader, e.Number = Format, Format, prev.N+1
	id := e.Incident.ID
	body, err := e.Encode()
	if err == nil {
		// An entry that cannot be read would end the ledger for everybody.
		if _, unreadable := DecodeEntry(body); unreadable != nil {
			err = fmt.Errorf("%w: %w", lockstep.ErrInvalid, unreadable)
		}
	}
	if err != nil {
		return Head{}, fmt.Errorf("incident %s: append entry %d (%s): %w", id, e.Number, e.Kind, err)
	}
	le, err := b.log(id).Append(ctx, prev, body)
	if err != nil {
		return Head{}, fmt.Errorf("incident %s: append entry %d (%s): %w", id, e.Number, e.Kind, err)
	}
	return decode(le, id)
}

// OpenFor opens an incident, or returns the one that there is for the same thing: of
// the same release attempt, also when it is closed, or an open one of the same guards.
// opened says which. Any number may open at once: the next number is created once, and
// who loses it looks again and finds the winner's incident.
func (b *Book) OpenFor(ctx context.Context, o Opening) (h Head, opened bool, err error) {
	if err := o.check(); err != nil {
		return Head{}, false, fmt.Errorf("open an incident: %w", err)
	}
	for range tries {
		last, err := b.last(ctx, o.Environment)
		if err != nil {
			return Head{}, false, err
		}
		for n := last; n > 0; n-- {
			h, err := b.Head(ctx, idOf(o.Environment, n))
			if err != nil || o.about(h.Incident()) {
				return h, false, err
			}
		}
		t, err := Open(o, last+1)
		if err != nil {
			return Head{}, false, err
		}
		h, err := b.append(ctx, ledger.Entry{}, t)
		if !errors.Is(err, ledger.ErrHeadMoved) {
			return h, err == nil, err
		}
	}
	return Head{}, false, lockstep.Hint(fmt.Errorf("open an incident in %s: %w: somebody else was first %d times", o.Environment, lockstep.ErrConflict, tries), "try again")
}

// last returns the highest number of an environment's incidents, 0 when there is none.
// Numbers have no gaps, and first entries are never deleted, so it is found by reading
// alone: a stale listing cannot hide one.
func (b *Book) last(ctx context.Context, environment string) (uint64, error) {
	there := func(n uint64) (bool, error) {
		_, err := b.log(idOf(environment, n)).Read(ctx, 1)
		if errors.Is(err, lockstep.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look for incident %s: %w", idOf(environment, n), err)
		}
		return true, nil
	}
	lo, hi := uint64(0), uint64(1) // lo is there or 0; hi is to be asked for
	for {
		found, err := there(hi)
		if err != nil {
			return 0, err
		}
		if !found {
			break
		}
		lo, hi = hi, 2*hi
	}
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		found, err := there(mid)
		if err != nil {
			return 0, err
		}
		if found {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// List returns the incidents of an environment, or of all of them for "", newest first.
func (b *Book) List(ctx context.Context, environment string) ([]Incident, error) {
	ids, err := b.ids(ctx, environment)
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	var all []Incident
	for _, id := range ids {
		h, err := b.Head(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("list incidents: %w", err)
		}
		all = append(all, h.Incident())
	}
	slices.SortFunc(all, func(a, b Incident) int {
		return cmp.Or(b.OpenedAt.Compare(a.OpenedAt), cmp.Compare(b.Number, a.Number), strings.Compare(a.ID, b.ID))
	})
	return all, nil
}

func (b *Book) ids(ctx context.Context, environment string) ([]string, error) {
	var ids []string
	if environment != "" {
		last, err := b.last(ctx, environment)
		for n := range last {
			ids = append(ids, idOf(environment, n+1))
		}
		return ids, err
	}
	// Environments are known to the configuration and not to the store. One that a
	// listing does not show yet is shown by the next.
	seen := map[string]bool{}
	for m, err := range b.store.List(ctx, Prefix+"/", "") {
		if err != nil {
			return nil, err
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(m.Key, Prefix+"/"), "/")
		if _, _, err := ParseID(id); err == nil && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// History yields the entries of an incident, oldest first. The first error ends it.
func (b *Book) History(ctx context.Context, id string) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		head, err := b.Head(ctx, id)
		if err != nil {
			yield(nil, err)
			return
		}
		for le, err := range b.log(id).Range(ctx, 1, head.Ledger.N) {
			var h Head
			if err == nil {
				h, err = decode(le, id)
			}
			if err != nil {
				err = fmt.Errorf("incident %s: %w", id, err)
			}
			if !yield(h.Entry, err) || err != nil {
				return
			}
		}
	}
}
