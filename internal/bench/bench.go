// Package bench answers: how fast is Lockstep on this machine?
//
// It measures the figures of DESIGN 13 on real parts - a store in a directory with
// its syncs, the local state, the server with its HTTP API - and prints each beside
// its target and, where there is one, beside a peer that was measured in the same
// run. It promises that a figure is only printed when what it speaks of came out
// right: every message applied, every digest equal. It does not promise that two
// runs on a busy machine agree; the load of the machine is printed with the figures.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"lockstep/internal/lockstep"
)

// Options say what is measured and for how long.
type Options struct {
	Records int           // of the largest index; the others have a tenth and a hundredth of it
	Warmup  time.Duration // before a sustained measurement
	Sustain time.Duration // of a sustained measurement, at least
	Samples int           // single submissions per way of submitting
	Repeats int           // of resets; cold starts are a third of them
	Only    []string      // of Parts; none: all
	Dir     string        // where the indexes are made and removed again; "" is the system's temporary directory
	Python  string        // an interpreter with chromadb, for the peer; "" for none
	Self    []string      // command line of a process that calls Stage; required
	Profile string        // file for a CPU profile of the sustained updates; "" for none

	Now      func() time.Time // required
	Progress io.Writer        // hears what is going on; nil: nobody
}

// Full returns the options of a full run on 1,000,000 records. It is sustained for so
// long because at this rate the deltas ask for a new base every quarter of a minute,
// and a figure without its share of that is not what can be sustained.
func Full() Options {
	return Options{Records: 1_000_000, Warmup: 3 * time.Second, Sustain: 30 * time.Second, Samples: 400, Repeats: 15}
}

// Quick returns the options of a run that shows in a minute whether all works, and
// whose figures are only a hint.
func Quick() Options {
	return Options{Records: 100_000, Warmup: time.Second, Sustain: 3 * time.Second, Samples: 100, Repeats: 6}
}

// The parts of a run, by what they measure.
const (
	partUpdates = "updates"
	partLatency = "latency"
	partBytes   = "bytes"
	partReset   = "reset"
	partRevert  = "revert"
	partMemory  = "memory"
	partCold    = "cold"
	partPeer    = "peer"
)

// Parts lists what Options.Only may name.
func Parts() []string {
	return []string{partUpdates, partLatency, partBytes, partReset, partRevert, partMemory, partCold, partPeer}
}

func (o Options) check() error {
	for _, p := range o.Only {
		if !slices.Contains(Parts(), p) {
			return fmt.Errorf("bench part %q: %w: the known ones are %v", p, lockstep.ErrInvalid, Parts())
		}
	}
	if o.Records < minRecords || o.Records > maxRecords {
		return fmt.Errorf("bench: %w: %d records, want %d to %d", lockstep.ErrInvalid, o.Records, minRecords, maxRecords)
	}
	if o.Now == nil || len(o.Self) == 0 || o.Sustain <= 0 || o.Samples < 1 || o.Repeats < 1 {
		return fmt.Errorf("bench: %w: a clock, a command for stages, a duration and counts are needed", lockstep.ErrInvalid)
	}
	return nil
}

const (
	minRecords = 1_000
	maxRecords = 100_000_000
)

func (o Options) wants(parts ...string) bool {
	return len(o.Only) == 0 || slices.ContainsFunc(parts, func(p string) bool { return slices.Contains(o.Only, p) })
}

// run is one run with what it has found so far.
type run struct {
	Options
	dir    string
	small  loaded
	middle loaded
	large  loaded
	report Report
}

// Run measures and returns the figures. It makes a directory for the indexes and
// removes it, also on error; an error leaves nothing else behind. ErrInvalid for
// options that make no sense, ErrCorrupt when a figure belongs to a wrong result.
func Run(ctx context.Context, opts Options) (rep Report, err error) {
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	if err := opts.check(); err != nil {
		return Report{}, err
	}
	dir, err := os.MkdirTemp(opts.Dir, "lockstep-bench-")
	if err != nil {
		return Report{}, fmt.Errorf("bench: make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &run{Options: opts, dir: dir}
	r.report.Began, r.report.Records = opts.Now(), opts.Records
	if r.report.Machine, err = lookAround(ctx, dir, opts.Now); err != nil {
		return Report{}, err
	}
	if err := r.measure(ctx); err != nil {
		return Report{}, err
	}
	r.report.Machine.LoadAfter = loadAverage()
	r.report.Disk = max(r.report.Disk, sizeOf(dir))
	r.report.Took = opts.Now().Sub(r.report.Began)
	r.report.rows()
	return r.report, nil
}

// measure runs the parts in turn, never two at once. The peer has the machine to
// itself like everything else.
func (r *run) measure(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	if r.wants(partUpdates, partLatency, partReset, partRevert, partMemory) {
		w, err := r.work(ctx)
		if err != nil {
			return err
		}
		r.report.Work = &w
	}
	if r.wants(partCold) {
		c, err := r.coldStarts(ctx)
		if err != nil {
			return err
		}
		r.report.Cold = &c
	}
	// The largest index is not needed any more, and the peer may want the room.
	r.report.Disk = sizeOf(r.dir)
	if err := os.RemoveAll(r.large.Dir); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if r.wants(partPeer) {
		p, err := r.peer(ctx)
		if err != nil {
			return err
		}
		r.report.Peer = &p
	}
	return nil
}

// load makes the indexes that the wanted parts need, and measures on the way what
// a compaction writes at each size.
func (r *run) load(ctx context.Context) error {
	for _, ix := range []struct {
		name    string
		records int
		into    *loaded
		for_    []string
	}{
		{"small", r.Records / 100, &r.small, []string{partBytes, partReset}},
		{"middle", r.Records / 10, &r.middle, []string{partBytes, partCold, partRevert}},
		{"large", r.Records, &r.large, []string{partBytes, partUpdates, partLatency, partReset, partRevert, partMemory}},
	} {
		if !r.wants(ix.for_...) {
			continue
		}
		r.say("loading an index of %s records", thousands(ix.records))
		l, b, err := r.loadOne(ctx, filepath.Join(r.dir, ix.name), ix.records)
		if err != nil {
			return fmt.Errorf("load an index of %d records: %w", ix.records, err)
		}
		*ix.into = l
		r.report.Indexes = append(r.report.Indexes, l)
		if b != nil {
			r.report.Bytes = append(r.report.Bytes, *b)
		}
	}
	return nil
}

func (r *run) say(format string, args ...any) {
	if r.Progress != nil {
		fmt.Fprintf(r.Progress, "bench: "+format+"\n", args...)
	}
}
