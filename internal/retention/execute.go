package retention

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Done says what a collection did. A collection that was killed and executed again
// counts what was left for the last time.
type Done struct {
	Format  int              `json:"format"`
	N       uint64           `json:"n"`
	At      time.Time        `json:"at"`  // by the store's clock
	Low     uint64           `json:"low"` // versions below it are retired
	Objects int              `json:"objects"`
	Bytes   int64            `json:"bytes"`
	By      map[Reason]Total `json:"by_reason"`
	Spared  int              `json:"spared"` // planned, but needed again by now, or written anew
	Missing int              `json:"missing"`
	// Cancelled says that the collection was stopped after it had begun.
	Cancelled bool `json:"cancelled,omitempty"`
}

var (
	// ErrTooEarly says that a plan has not waited long enough.
	ErrTooEarly = fmt.Errorf("plan must wait: %w", lockstep.ErrRefused)
	// ErrCancelled says that a plan was cancelled.
	ErrCancelled = fmt.Errorf("plan was cancelled: %w", lockstep.ErrRefused)
)

const (
	maxDoneBytes = 64 << 10
	// lookEvery is after how many deletions the log is looked at again.
	lookEvery = 100
)

// Execute deletes what plan n names and nothing needs any more: it looks at
// everything again, retires the entries, and then deletes the objects. Killed or
// failed anywhere it may be executed again and goes on; executed after its end it
// returns what was done. It looks for a cancellation, too; executing a plan that was
// stopped half-way ends it, so that nobody waits for it. Errors: ErrTooEarly,
// ErrCancelled; ErrNotFound when there is no such plan.
func Execute(ctx context.Context, log *version.Log, n uint64, now time.Time, inUse InUse) (Done, error) {
	if err := ctx.Err(); err != nil {
		return Done{}, err
	}
	d, err := execute(ctx, log, n, now, inUse)
	if err != nil {
		return d, fmt.Errorf("execute collection %d: %w", n, err)
	}
	return d, nil
}

func execute(ctx context.Context, log *version.Log, n uint64, now time.Time, inUse InUse) (Done, error) {
	s := log.Store()
	p, err := ReadPlan(ctx, s, n)
	if err != nil {
		return Done{}, err
	}
	if d, ended, err := readDone(ctx, s, n); ended || err != nil {
		return d, err
	}
	if err := waited(ctx, s, p, now); err != nil {
		return Done{}, err
	}
	if err := notCancelled(ctx, s, n); err != nil {
		return Done{}, errors.Join(err, endCancelled(ctx, s, n, now))
	}
	// From here on a pin that is about to be taken sees that it may be too late; one
	// that was taken before is seen by the look that follows.
	if err := writeNote(ctx, s, gcKey(n, gcBegin), note{Format: planFormat, At: now.UTC()}); err != nil {
		return Done{}, err
	}
	m, err := look(ctx, log, p.Policy, now, inUse)
	if err != nil {
		return Done{}, err
	}
	m.lower(p.Low)
	if err := notCancelled(ctx, s, n); err != nil {
		return Done{}, errors.Join(err, endCancelled(ctx, s, n, now))
	}
	d := Done{Format: planFormat, N: n, At: m.now.UTC(), By: map[Reason]Total{}}
	if d.Low, err = retire(ctx, log, m); err != nil {
		return Done{}, err
	}
	if err := remove(ctx, log, &p, m, &d); err != nil {
		return Done{}, err
	}
	return d, writeNote(ctx, s, gcKey(n, gcDone), d)
}

func readDone(ctx context.Context, s blob.Store, n uint64) (Done, bool, error) {
	body, err := blob.ReadAll(ctx, s, gcKey(n, gcDone), maxDoneBytes)
	if errors.Is(err, lockstep.ErrNotFound) {
		return Done{}, false, nil
	}
	var d Done
	if err == nil {
		err = decodeStrict(body, planFormat, &d)
	}
	if err != nil {
		return Done{}, false, fmt.Errorf("object %s: %w", gcKey(n, gcDone), err)
	}
	return d, true, nil
}

// waited says whether the plan is old enough, by the store's clock.
func waited(ctx context.Context, s blob.Store, p Plan, now time.Time) error {
	stored, err := metaOf(ctx, s, gcKey(p.N, gcPlan))
	if err != nil {
		return err
	}
	if now, err = storeTime(ctx, s, now); err != nil {
		return err
	}
	if due := stored.Modified.Add(p.Policy.Wait); now.Before(due) && !p.Policy.NoWait {
		return lockstep.Hint(fmt.Errorf("%w until %s", ErrTooEarly, due.UTC().Format(time.RFC3339)),
			"whoever needs what is in the plan has this long to pin it; execute it then")
	}
	return nil
}

func notCancelled(ctx context.Context, s blob.Store, n uint64) error {
	body, err := blob.ReadAll(ctx, s, gcKey(n, gcCancel), maxDoneBytes)
	if errors.Is(err, lockstep.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var why note
	if json.Unmarshal(body, &why) != nil {
		why.Reason = "for a reason that cannot be read" // that it exists is what counts
	}
	return lockstep.Hint(fmt.Errorf("%w: %s", ErrCancelled, why.Reason), "plan a new collection")
}

// endCancelled ends a collection that had begun when it was cancelled.
func endCancelled(ctx context.Context, s blob.Store, n uint64, now time.Time) error {
	begun, err := exists(ctx, s, gcKey(n, gcBegin))
	if err != nil || !begun {
		return err
	}
	return writeNote(ctx, s, gcKey(n, gcDone), Done{Format: planFormat, N: n, At: now.UTC(), Cancelled: true})
}

// lower makes the mark keep at least the versions that the plan kept.
func (m *mark) lower(low uint64) {
	m.low = max(m.tree.low, min(m.low, low))
	m.markDeltas()
}

// retire forgets the versions below low, of which nothing is left to be read then.
func retire(ctx context.Context, log *version.Log, m *mark) (uint64, error) {
	if len(m.tree.nodes) == 0 || m.low <= 1 {
		return m.low, nil
	}
	// Also when low is there already: a collection that was killed may have left
	// entries below it.
	if err := log.Ledger().Retire(ctx, m.low); err != nil {
		return 0, err
	}
	return m.low, nil
}

// remove deletes the objects of the plan that are dead still. That one is gone
// already is success (TRAPS 4.6 rule 6).
func remove(ctx context.Context, log *version.Log, p *Plan, m *mark, d *Done) error {
	for i, it := range p.Items {
		if i%lookEvery == 0 {
			if err := m.follow(ctx, log); err != nil {
				return err
			}
			if err := notCancelled(ctx, log.Store(), p.N); err != nil {
				return err
			}
		}
		entry := strings.HasPrefix(it.Key, version.LogPrefix+"/")
		objects := m.objects
		if entry {
			objects = m.modified
		}
		switch o, there := objects[it.Key]; {
		case !there:
			d.Missing++
			continue
		case entry && it.Key >= logKey(d.Low), !entry && m.live(o), o.Modified.After(it.Modified):
			d.Spared++
			continue
		}
		if !entry { // entries went when they were retired
			if err := log.Store().Delete(ctx, it.Key); err != nil {
				return err
			}
		}
		t := d.By[it.Reason]
		d.By[it.Reason] = Total{t.Objects + 1, t.Bytes + it.Size}
		d.Objects++
		d.Bytes += it.Size
	}
	return nil
}

// follow takes in the versions that were published since: what they name is alive.
func (m *mark) follow(ctx context.Context, log *version.Log) error {
	head, err := log.Head(ctx)
	if err != nil {
		return err
	}
	from := len(m.tree.nodes)
	if err := m.tree.extend(ctx, log, head); err != nil {
		return err
	}
	for _, n := range m.tree.nodes[from:] {
		if n.delta != "" {
			m.deltas[n.delta] = true
		}
		if n.base != nil {
			m.bases[idOf(n.base)] = true
		}
	}
	return nil
}
