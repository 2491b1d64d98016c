package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// The states of a watch.
const (
	watchOpen   = "not watched"
	watchWell   = "recovered"
	watchSick   = "not recovered"
	watchUnseen = "nothing was seen"
)

// watchParams say how long and how to watch.
type watchParams struct {
	Bad   string        `json:"bad"`
	For   time.Duration `json:"for_ns"`
	Every time.Duration `json:"every_ns"`
	// Errors is the share of messages that may fail, in parts of a hundred.
	Errors float64 `json:"errors_percent"`
}

// watchKept is what was seen so far.
type watchKept struct {
	Began  time.Time `json:"began"`
	Seen   time.Time `json:"seen"` // the last look
	First  Vitals    `json:"first"`
	Last   Vitals    `json:"last"`
	Bad    int       `json:"bad"`   // looks in a row at which it was not well
	Worst  string    `json:"worst"` // what was wrong at the last of these
	Looks  int       `json:"looks"`
	Result string    `json:"result,omitempty"` // once it is over
}

// badLooks is at how many looks in a row it must not be well for the watch to fail before
// its time: one bad look may be chance.
const badLooks = 3

// Watch looks whether the system recovers, for the half hour to hour that the document
// asks for. It counts from the ledger, and asks the guards when it is given them.
type Watch struct {
	Store  *app.Store
	Now    func() time.Time
	Wait   func(ctx context.Context, d time.Duration) error
	Guards func(ctx context.Context) (failing []string, err error) // nil: only the ledger is asked
}

var _ rollback.Target = (*Watch)(nil)

// WatchStep is the step that watches the recovery.
func WatchStep(bad string, length, every time.Duration, needs ...string) (rollback.Step, error) {
	params, err := json.Marshal(watchParams{Bad: bad, For: length, Every: every, Errors: 1})
	return rollback.Step{
		ID: TargetWatch, Target: TargetWatch, Phase: rollback.PhaseWatch, To: watchWell, Params: params, Needs: needs,
		Title: "Watch the recovery for " + length.String(), Deadline: length + 10*time.Minute, Predicted: length, Changes: "nothing",
		Manual: "watch CompactionLambdaSuccess, CompactionLambdaError and StreamProcessorProcessedRecords, then sign the items of the checklist",
	}, err
}

// Look implements rollback.Target.
func (*Watch) Look(_ context.Context, at rollback.At) (rollback.Sight, error) {
	k, err := keptOf[watchKept](at)
	if err != nil {
		return rollback.Sight{}, err
	}
	out := rollback.Sight{State: watchOpen}
	switch {
	case k.Result != "":
		out.State = k.Result
	case k.Looks > 0:
		out.State = rollback.Partial
	}
	if k.Looks == 0 {
		return out, nil
	}
	d := k.Last.since(k.First)
	out.Detail = fmt.Sprintf("in %s: %d versions, %d messages, %d of them failed; %d records by labels, %d by the rest", k.Seen.Sub(k.Began).Round(time.Second), d.Success, d.Processed, d.Errors, d.Labels, d.Metadata)
	if k.Worst != "" && k.Bad > 0 {
		out.Detail += "; " + k.Worst
	}
	if k.Result == "" {
		return out, nil
	}
	well := k.Result == watchWell
	out.Evidence = []rollback.Evidence{
		{Item: rollback.ItemSuccess, OK: well && d.Success > 0, Text: fmt.Sprintf("CompactionLambdaSuccess +%d", d.Success)},
		{Item: rollback.ItemErrors, OK: well, Text: fmt.Sprintf("CompactionLambdaError +%d of %d messages", d.Errors, d.Processed)},
		{Item: rollback.ItemProcessed, OK: d.Processed > 0, Text: fmt.Sprintf("StreamProcessorProcessedRecords +%d", d.Processed)},
		{Item: rollback.ItemExecuting, OK: well && d.Success > 0, Text: fmt.Sprintf("%d versions since", d.Success)},
		{Item: rollback.ItemNormal, OK: well, Text: fmt.Sprintf("CompactionMetadataUpdates +%d, CompactionLabelUpdates +%d", d.Metadata, d.Labels)},
	}
	return out, nil
}

// Do implements rollback.Target. It goes on where an earlier one was killed, by the clock:
// what was published meanwhile is counted too.
func (w *Watch) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	p, err := decode[watchParams](at)
	if err != nil {
		return err
	}
	k, err := keptOf[watchKept](at)
	if err != nil {
		return err
	}
	if k.Result == watchSick || k.Result == watchUnseen {
		k = watchKept{} // watched again
	}
	if k.Began.IsZero() {
		if k, err = w.begin(ctx, p); err != nil {
			return err
		}
	}
	for k.Result == "" {
		if err := w.look(ctx, p, &k); err != nil {
			return err
		}
		if err := keepJSON(ctx, keep, k); err != nil {
			return err
		}
		keep.Say("watched", int64(k.Seen.Sub(k.Began).Seconds()), int64(p.For.Seconds()))
		if k.Result != "" {
			break
		}
		if err := w.Wait(ctx, min(p.Every, max(time.Millisecond, p.For-k.Seen.Sub(k.Began)))); err != nil {
			return err
		}
	}
	return failed(k)
}

func failed(k watchKept) error {
	switch k.Result {
	case watchSick:
		return lockstep.Hint(fmt.Errorf("watch the recovery: %w: %s", lockstep.ErrRefused, k.Worst), `"lockstep assess" asks every guard`)
	case watchUnseen:
		return lockstep.Hint(fmt.Errorf("watch the recovery: %w: nothing was handled in %s, so that nothing was seen", lockstep.ErrRefused, k.Seen.Sub(k.Began).Round(time.Second)),
			`send changes and "lockstep rollback resume", or have a person sign the items of the checklist`)
	}
	return nil
}

func (w *Watch) begin(ctx context.Context, p watchParams) (watchKept, error) {
	head, err := w.Store.Log.Head(ctx)
	if err != nil {
		return watchKept{}, err
	}
	now := w.Now().UTC()
	first := Vitals{Version: head.Number()}
	return watchKept{Began: now, Seen: now, First: first, Last: first}, first.count(ctx, w.Store, p.Bad)
}

// look counts once more and judges.
func (w *Watch) look(ctx context.Context, p watchParams, k *watchKept) error {
	before := k.Last
	if err := k.Last.count(ctx, w.Store, p.Bad); err != nil {
		return err
	}
	k.Seen, k.Looks = w.Now().UTC(), k.Looks+1
	wrong := p.wrong(k.Last.since(before))
	if w.Guards != nil && wrong == "" {
		failing, err := w.Guards(ctx)
		if err != nil {
			return err
		}
		if len(failing) > 0 {
			wrong = fmt.Sprintf("guards fail: %v", failing)
		}
	}
	if k.Bad, k.Worst = k.Bad+1, wrong; wrong == "" {
		k.Bad = 0
	}
	over := k.Seen.Sub(k.Began) >= p.For
	switch all := k.Last.since(k.First); {
	case all.Bad > 0, k.Bad >= badLooks:
		k.Result = watchSick
	case over && k.Bad > 0:
		k.Result = watchSick
	case over && all.Processed == 0:
		k.Result = watchUnseen
	case over && p.wrong(all) != "":
		k.Result, k.Worst = watchSick, p.wrong(all)
	case over:
		k.Result = watchWell
	}
	return nil
}

// wrong says what is not well about what was counted, "" for nothing.
func (p watchParams) wrong(d Vitals) string {
	switch {
	case d.Bad > 0:
		return fmt.Sprintf("%s decided about %d records", p.Bad, d.Bad)
	case d.Processed > 0 && float64(d.Errors)*100 > p.Errors*float64(d.Processed):
		return fmt.Sprintf("%d of %d messages failed", d.Errors, d.Processed)
	}
	return ""
}

// Undo implements rollback.Target.
func (*Watch) Undo(context.Context, rollback.At) (*rollback.Step, error) { return nil, nil }
