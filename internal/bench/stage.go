package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
)

// A stage is a part of a run in a process of its own: for figures that belong to a
// process, such as its memory, and to keep the loading of an index out of them.

// stageSpec is what a stage reads, as JSON. One of its members is set.
type stageSpec struct {
	Work *workSpec `json:"work,omitempty"`
	Cold *coldSpec `json:"cold,omitempty"`
}

// workSpec is the stage that measures on the largest index.
type workSpec struct {
	Small, Middle, Large   loaded
	Warmup, Sustain        time.Duration
	Samples, Repeats       int
	Profile                string
	Updates, Latency, Back bool
	Revert                 bool
}

// coldSpec is one cold start.
type coldSpec struct {
	Dir string
}

// WorkResult is what the stage on the largest index found.
type WorkResult struct {
	Updates *UpdatesResult `json:"updates,omitempty"`
	Memory  int64          `json:"memory_bytes"` // peak, from the start of the process to the end of the updates
	Latency *LatencyResult `json:"latency,omitempty"`
	Small   *ResetResult   `json:"reset_small,omitempty"`
	Large   *ResetResult   `json:"reset_large,omitempty"`
	// RevertMiddle and RevertLarge are the same revert in indexes of two sizes.
	RevertMiddle *RevertResult `json:"revert_middle,omitempty"`
	RevertLarge  *RevertResult `json:"revert_large,omitempty"`
	Peak         int64         `json:"peak_bytes"` // of the whole stage
}

// Stage reads what to do from in, does it and writes what it found to out: the other
// end of Options.Self.
func Stage(ctx context.Context, in io.Reader, out io.Writer, now func() time.Time) error {
	var spec stageSpec
	dec := json.NewDecoder(io.LimitReader(in, 1<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&spec); err != nil {
		return fmt.Errorf("bench stage: %w: %w", lockstep.ErrInvalid, err)
	}
	var found any
	var err error
	switch {
	case spec.Work != nil:
		found, err = spec.Work.do(ctx, now)
	case spec.Cold != nil:
		found, err = spec.Cold.do(ctx, now)
	default:
		err = fmt.Errorf("bench stage: %w: it says nothing to do", lockstep.ErrInvalid)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(found)
}

func (w workSpec) do(ctx context.Context, now func() time.Time) (out WorkResult, err error) {
	if w.Updates || w.Latency {
		t := newTable(generator(w.Large.Receipts), w.Large.Receipts, now())
		err := serving(ctx, w.Large.Dir, now, func(ctx context.Context, s *app.Server, url string) error {
			if w.Updates {
				u, err := measureUpdates(ctx, s, t, w, now)
				if err != nil {
					return fmt.Errorf("sustained updates: %w", err)
				}
				out.Updates, out.Memory = &u, peakMemory()
			}
			if w.Latency {
				l, err := measureLatency(ctx, s, url, t, w.Samples, now)
				if err != nil {
					return err
				}
				out.Latency = &l
			}
			return nil
		})
		if err != nil {
			return out, err
		}
	}
	if w.Back {
		small, large, err := resets(ctx, w, now)
		if err != nil {
			return out, err
		}
		out.Small, out.Large = &small, &large
	}
	if w.Revert {
		middle, large, err := reverts(ctx, w, now)
		if err != nil {
			return out, err
		}
		out.RevertMiddle, out.RevertLarge = &middle, &large
	}
	out.Peak = peakMemory()
	return out, nil
}

// work runs the stage on the largest index.
func (r *run) work(ctx context.Context) (WorkResult, error) {
	r.say("measuring on %s records, in a process of its own", thousands(r.large.Records))
	spec := workSpec{
		Small: r.small, Middle: r.middle, Large: r.large,
		Warmup: r.Warmup, Sustain: r.Sustain, Samples: r.Samples, Repeats: r.Repeats, Profile: r.Profile,
		Updates: r.wants(partUpdates, partMemory), Latency: r.wants(partLatency), Back: r.wants(partReset), Revert: r.wants(partRevert),
	}
	var found WorkResult
	return found, r.stage(ctx, stageSpec{Work: &spec}, &found)
}

// stage runs one stage in another process and reads what it found.
func (r *run) stage(ctx context.Context, spec stageSpec, into any) error {
	in, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, r.Self[0], r.Self[1:]...)
	cmd.Stdin = bytes.NewReader(in)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	// Asked first: it then closes its files, which somebody may want to look at.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopWithin
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("bench stage: %w: %.2000s", errors.Join(ctx.Err(), err), bytes.TrimSpace(said.Bytes()))
	}
	if err := json.Unmarshal(out.Bytes(), into); err != nil {
		return fmt.Errorf("bench stage: its answer: %w", err)
	}
	return nil
}

// stopWithin is how long a process may take to end before it is killed.
const stopWithin = 10 * time.Second
