package rollback

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// A beat is a sign of life of who does a step. It is a hint: it may be lost, and then
// somebody else may take over what is still under way. It only ever saves that work;
// safe is a step because a journal has one next entry, and because a Do goes on from
// whatever another one has left.
type beat struct {
	Step  string        `json:"step"`
	Try   int           `json:"try"`
	Count int           `json:"count"`
	Every time.Duration `json:"every_ns"` // until the next one
	Over  bool          `json:"over,omitempty"`
}

const (
	beatFirst = 200 * time.Millisecond
	beatMax   = 5 * time.Second
	// beatsMissed is how many beats may be missed by one who is alive.
	beatsMissed  = 3
	beatMaxBytes = 1 << 10
	beatWrite    = 5 * time.Second // a hint that takes longer is given up
)

func (j *Journal) beatKey() string { return blob.HintPrefix + LogPrefix + "/" + j.id + "/beat" }

// lastBeat returns the newest beat, the zero one when none can be read.
func (j *Journal) lastBeat(ctx context.Context) beat {
	body, err := blob.ReadAll(ctx, j.store, j.beatKey(), beatMaxBytes)
	if err != nil {
		return beat{}
	}
	var b beat
	if json.NewDecoder(bytes.NewReader(body)).Decode(&b) != nil || b.Every < 0 || b.Every > beatMax {
		return beat{}
	}
	return b
}

func (j *Journal) putBeat(ctx context.Context, b beat) {
	body, err := json.Marshal(b)
	if err != nil {
		return // it has nothing that cannot be written
	}
	ctx, cancel := context.WithTimeout(ctx, beatWrite)
	defer cancel()
	_ = j.store.Hint(ctx, j.beatKey(), body) // lost: somebody may take over, see beat
}

// beat shows signs of life for a step until stop is called, which waits for the end of
// it: often at first, when most steps are over soon, and ever more rarely. Stop(true) says
// that nobody is at the step any more, so that who comes next need not wait.
func (j *Journal) beat(ctx context.Context, step string, try int) (stop func(idle bool)) {
	alive, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	b := beat{Step: step, Try: try, Every: beatFirst}
	go func() {
		defer close(ended)
		next := time.NewTimer(0)
		defer next.Stop()
		for {
			select {
			case <-alive.Done():
				return
			case <-next.C:
			}
			b.Count++
			j.putBeat(alive, b)
			next.Reset(b.Every)
			b.Every = min(b.Every+b.Every/8, beatMax)
		}
	}()
	return func(idle bool) {
		cancel()
		<-ended
		if idle {
			b.Count, b.Over = b.Count+1, true
			j.putBeat(context.WithoutCancel(ctx), b)
		}
	}
}

// alone returns ErrElsewhere when somebody is at a step of the plan. It takes no time
// unless the newest entry says so, and then as long as a few beats: nobody else can tell
// one who works from one who was killed.
func (w *walk) alone(ctx context.Context) error {
	s := w.state()
	at := s.doing(-1)
	if at < 0 {
		return nil
	}
	step, try := s.Plan.Steps[at].ID, s.Steps[at].Tries
	before := w.journal.lastBeat(ctx)
	if before.Step != step || before.Try != try {
		before = beat{Every: beatFirst} // who began may not have shown anything yet
	}
	if before.Over {
		return nil
	}
	wait := time.NewTimer(beatsMissed * max(before.Every, beatFirst))
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
	}
	after := w.journal.lastBeat(ctx)
	if after.Step == step && after.Try == try && after.Count != before.Count && !after.Over {
		return lockstep.Hint(fmt.Errorf("%w: %s is at step %s", ErrElsewhere, s.Steps[at].By, step), w.journal.watching())
	}
	return w.catchUp(ctx, at)
}

func (j *Journal) watching() string {
	return fmt.Sprintf("watch it with \"lockstep rollback status %s --watch\"", j.id)
}
