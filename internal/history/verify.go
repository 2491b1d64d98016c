package history

import (
	"context"
	"errors"
	"fmt"

	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// VerifyOptions tune a Verify.
type VerifyOptions struct {
	Vectors  bool                  // also read every vector of the state and compare its hash
	Progress func(done, total int) // called now and then, of versions and records together; may be nil
}

// Report says what Verify saw. Counts are of what was looked at.
type Report struct {
	OK       bool   `json:"ok"`
	Low      uint64 `json:"low"`
	Head     uint64 `json:"head"`
	Entries  int    `json:"entries"`  // of the log, each linked to the one before
	Deltas   int    `json:"deltas"`   // read and hashed
	Digests  int    `json:"digests"`  // versions whose sums were computed and agree
	Unproved int    `json:"unproved"` // versions whose line begins in what retention removed
	State    uint64 `json:"state"`    // version of the local state
	Records  int    `json:"records"`  // of the local state, hashed one by one
	Vectors  int    `json:"vectors,omitempty"`
	// Problems are the first 100; Found is how many there are.
	Problems []Problem `json:"problems"`
	Found    int       `json:"found"`
}

// Problem is one thing that is not what it claims to be.
type Problem struct {
	Check   string `json:"check"` // chain, entry, delta, digest, state
	Version uint64 `json:"version,omitempty"`
	Key     string `json:"key,omitempty"` // of the object, or collection and id of the record
	Detail  string `json:"detail"`
}

const shownProblems = 100

// Verify reads every version that is kept and every record of the view, computes all
// hashes anew and compares them with what is written: the chain of the log, each
// delta, the digests of each version by its parent's and its delta, and those of the
// view's version from the records themselves. What is wrong is in the report; the
// error is set only when the checking could not be done.
//
// The sums of versions are counted from the empty index. When retention has removed
// the beginning they are counted from the records of the view, backward and forward.
func Verify(ctx context.Context, log *version.Log, r *state.Reader, opts VerifyOptions) (Report, error) {
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	v := verifier{log: log, view: r, opts: opts, nodes: map[uint64]*node{}, sums: map[uint64]sums{}}
	if err := v.run(ctx); err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	v.report.OK = v.report.Found == 0
	return v.report, nil
}

// node is what the check of sums needs of an entry.
type node struct {
	parent      uint64
	delta       string // key, or that of the entry it is in; "" when there is none
	collections []version.CollectionState
	children    int // versions whose parent it is and that are not counted yet
	proved      bool
}

type verifier struct {
	log    *version.Log
	view   *state.Reader
	opts   VerifyOptions
	report Report
	nodes  map[uint64]*node
	sums   map[uint64]sums // of versions that are parents still
	done   int
	total  int
}

func (v *verifier) run(ctx context.Context) error {
	head, low, err := bounds(ctx, v.log)
	if err != nil {
		return err
	}
	v.report = Report{Low: low, Head: head.Number(), State: v.view.Version(), Problems: []Problem{}}
	for _, c := range v.view.Collections() {
		v.total += int(v.view.Tally(c).Records)
	}
	if head.Number() >= low {
		v.total += int(head.Number() - low + 1)
		if err := v.chain(ctx, low, head.Number()); err != nil {
			return err
		}
	}
	if err := v.state(ctx); err != nil {
		return err
	}
	return v.digests(ctx, low, head.Number())
}

func (v *verifier) step() {
	v.done++
	if v.opts.Progress != nil && (v.done%256 == 0 || v.done == v.total) {
		v.opts.Progress(v.done, v.total)
	}
}

func (v *verifier) problem(p Problem) {
	if v.report.Found++; len(v.report.Problems) < shownProblems {
		v.report.Problems = append(v.report.Problems, p)
	}
}

// finding turns an error into a problem when it says that stored things are wrong,
// and returns it otherwise.
func (v *verifier) finding(check string, n uint64, key string, err error) error {
	if errors.Is(err, lockstep.ErrCorrupt) || errors.Is(err, lockstep.ErrNotFound) {
		v.problem(Problem{Check: check, Version: n, Key: key, Detail: err.Error()})
		return nil
	}
	return err
}

func entryKey(n uint64) string { return fmt.Sprintf("%s/%020d", version.LogPrefix, n) }

// chain reads the entries and checks each link. After a break it goes on with the
// next entry.
func (v *verifier) chain(ctx context.Context, low, head uint64) error {
	for n := low; n <= head; n++ {
		for le, err := range v.log.Ledger().Range(ctx, n, head) {
			if err == nil {
				if err = v.entry(le); err == nil {
					n++
					continue
				}
			}
			if err := v.finding("chain", n, entryKey(n), err); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

func (v *verifier) entry(le ledger.Entry) error {
	e, _, err := version.DecodeEntry(le.Body)
	if err == nil && e.Number != le.N {
		err = fmt.Errorf("%w: it says it is version %d", lockstep.ErrCorrupt, e.Number)
	}
	if err != nil {
		return v.finding("entry", le.N, entryKey(le.N), err)
	}
	v.report.Entries++
	n := &node{parent: e.Parent, collections: e.Collections}
	if e.Delta != nil {
		if n.delta = e.Delta.Key; n.delta == "" {
			n.delta = entryKey(le.N)
		}
	}
	v.nodes[le.N] = n
	if p := v.nodes[e.Parent]; p != nil {
		p.children++
	}
	return nil
}
