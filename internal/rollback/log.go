package rollback

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

// LogPrefix is where the ledgers of the plans live in the store, one per plan.
const LogPrefix = "plan"

// Journal is the ledger of one plan. It is safe for concurrent use.
type Journal struct {
	id    string
	log   *ledger.Log
	store blob.Store // for beats
}

// Head is a position in a journal. The zero Head is an empty one.
type Head struct {
	Ledger ledger.Entry
	Entry  *Entry
}

// Journals are the plans of a store.
type Journals struct {
	store blob.Store
	opts  ledger.Options
}

// NewJournals returns the plans of store. It does not touch the store.
func NewJournals(store blob.Store, opts ledger.Options) *Journals { return &Journals{store, opts} }

// Open returns the journal of a plan. ErrInvalid for what cannot be the id of one.
func (j *Journals) Open(id string) (*Journal, error) {
	if !planID.MatchString(id) {
		return nil, fmt.Errorf("%w plan id %.80q: want 1 to 63 of a-z 0-9 -", lockstep.ErrInvalid, id)
	}
	return &Journal{id, ledger.New(j.store, LogPrefix+"/"+id, j.opts), j.store}, nil
}

// IDs lists the plans, the newest first: ids end with a number that only grows.
func (j *Journals) IDs(ctx context.Context) ([]string, error) {
	seen := map[string]bool{}
	for meta, err := range j.store.List(ctx, LogPrefix+"/", "") {
		if err != nil {
			return nil, fmt.Errorf("list the plans: %w", err)
		}
		id, _, ok := strings.Cut(strings.TrimPrefix(meta.Key, LogPrefix+"/"), "/")
		if ok && planID.MatchString(id) {
			seen[id] = true
		}
	}
	out := make([]string, 0, len(seen))
	for id := range seen {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b string) int { return compareIDs(b, a) })
	return out, nil
}

// compareIDs orders ids by the number at their end, and by name.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(numberOf(a), numberOf(b)), strings.Compare(a, b))
}

// numberOf is the number at the end of an id. What is not a number that NextID would count
// on from is none.
func numberOf(id string) uint64 {
	n, err := strconv.ParseUint(id[strings.LastIndex(id, "-")+1:], 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// NextID returns an id that no plan has, behind all others. Two that ask at once may get
// the same; Start tells the second one.
func (j *Journals) NextID(ctx context.Context, environment string) (string, error) {
	ids, err := j.IDs(ctx)
	if err != nil {
		return "", err
	}
	n := uint64(0)
	for _, id := range ids {
		n = max(n, numberOf(id))
	}
	return fmt.Sprintf("%s-%d", environment, n+1), nil
}

// Head returns the newest entry. ErrNotFound: there is no such plan.
func (j *Journal) Head(ctx context.Context) (Head, error) {
	le, err := j.log.Head(ctx)
	if errors.Is(err, lockstep.ErrNotFound) {
		return Head{}, lockstep.Hint(fmt.Errorf("plan %s: %w", j.id, lockstep.ErrNotFound), `"lockstep rollback list" shows the plans`)
	}
	if err != nil {
		return Head{}, fmt.Errorf("plan %s: %w", j.id, err)
	}
	return j.decode(le)
}

func (j *Journal) decode(le ledger.Entry) (Head, error) {
	e, err := DecodeEntry(le.Body)
	if err != nil {
		return Head{}, fmt.Errorf("plan %s, entry %d: %w", j.id, le.N, err)
	}
	if e.Number != le.N || e.State.Plan.ID != j.id {
		return Head{}, fmt.Errorf("plan %s, entry %d: %w: it says it is %d of %s", j.id, le.N, lockstep.ErrCorrupt, e.Number, e.State.Plan.ID)
	}
	return Head{le, e}, nil
}

// Range yields the entries, oldest first.
func (j *Journal) Range(ctx context.Context) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		head, err := j.Head(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for le, err := range j.log.Range(ctx, 1, head.Ledger.N) {
			var h Head
			if err == nil {
				h, err = j.decode(le)
			}
			if !yield(h.Entry, err) || err != nil {
				return
			}
		}
	}
}

// append writes an entry behind prev.
func (j *Journal) append(ctx context.Context, prev Head, e Entry) (Head, error) {
	e.Format, e.MinReader, e.Number = Format, Format, prev.Ledger.N+1
	body, err := e.Encode()
	if err != nil {
		return Head{}, err
	}
	// An entry that cannot be read would end the journal for everybody.
	written, err := DecodeEntry(body)
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", lockstep.ErrInvalid, err)
	}
	le, err := j.log.Append(ctx, prev.Ledger, body)
	if err != nil {
		return Head{}, fmt.Errorf("plan %s, %s: %w", j.id, e.What, err)
	}
	return Head{le, written}, nil
}
