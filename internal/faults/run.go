package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

// ShadowMode says whether releases have a shadow step.
type ShadowMode string

// The modes.
const (
	ShadowAuto ShadowMode = "auto" // when a good candidate is seen to leave such a step
	ShadowOn   ShadowMode = "on"
	ShadowOff  ShadowMode = "off"
)

// Options say how the catalogue is run. Now and Self are required, the rest has defaults.
type Options struct {
	Seed     uint64     // of table, edits and order; 0: 1
	Receipts int        // in the table; 0: 400
	Edits    int        // of the table in one batch; 0: 60
	Batches  int        // after which a release is left as it is; 0: 250
	Shadow   ShadowMode // "": auto
	Dir      string     // where indexes are made and removed again; "": the temporary directory. One in memory costs no syncs
	Self     []string   // command line of a process that calls Serve
	Python   string     // an interpreter for the handler in Examples; "": that row is left out
	Examples string     // directory of receipts_places.py

	Now      func() time.Time // required
	Progress io.Writer        // hears of each row; nil: nobody
}

func (o Options) resolved() (Options, error) {
	for _, n := range []*int{&o.Receipts, &o.Edits, &o.Batches} {
		if *n < 0 {
			return o, fmt.Errorf("faults: %w: a count of %d", lockstep.ErrInvalid, *n)
		}
	}
	if o.Now == nil {
		return o, fmt.Errorf("faults: %w: no clock", lockstep.ErrInvalid)
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	fill(&o.Receipts, 400)
	fill(&o.Edits, 60)
	fill(&o.Batches, 250)
	if o.Shadow == "" {
		o.Shadow = ShadowAuto
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if !slices.Contains([]ShadowMode{ShadowAuto, ShadowOn, ShadowOff}, o.Shadow) {
		return o, fmt.Errorf("faults: %w shadow %q: want auto, on or off", lockstep.ErrInvalid, o.Shadow)
	}
	return o, nil
}

func fill(at *int, otherwise int) {
	if *at == 0 {
		*at = otherwise
	}
}

// Row is one fault with what became of it.
type Row struct {
	Fault  Fault  `json:"fault"`
	Result Result `json:"result"`
	// AsDeclared says that it was caught, or needed not be, and that no more was harmed
	// than the catalogue allows.
	AsDeclared bool   `json:"as_declared"`
	Note       string `json:"note,omitempty"` // what is not as declared
}

// Report is one run.
type Report struct {
	Began  time.Time `json:"began"`
	Shadow bool      `json:"shadow"` // releases had a shadow step
	Rows   []Row     `json:"rows"`
}

// Failed counts the rows that are not as declared.
func (r *Report) Failed() int {
	n := 0
	for i := range r.Rows {
		if !r.Rows[i].AsDeclared {
			n++
		}
	}
	return n
}

// Run releases the faults of these ids, all when there are none, each in a world of its
// own. ErrNotFound for an id that is not in the catalogue. An error is that of the
// harness: a fault that is not caught is a row, and no error.
func Run(ctx context.Context, opts Options, ids ...string) (Report, error) {
	opts, err := opts.resolved()
	if err != nil {
		return Report{}, err
	}
	list, err := Find(ids)
	if err != nil {
		return Report{}, err
	}
	rep := Report{Began: opts.Now()}
	shadow, err := shadowOf(ctx, opts)
	if err != nil {
		return rep, err
	}
	rep.Shadow = shadow == compared
	free := unguarded{opts: opts}
	for i := range list {
		f := &list[i]
		if f.ID == healthyPython && opts.Python == "" {
			fmt.Fprintf(opts.Progress, "%s: left out, no interpreter\n", f.ID)
			continue
		}
		res, err := f.release(ctx, opts, shadow)
		if err != nil {
			return rep, fmt.Errorf("fault %s: %w", f.ID, err)
		}
		if res.Unguarded, err = free.takeBack(ctx, f); err != nil {
			return rep, fmt.Errorf("fault %s, unguarded: %w", f.ID, err)
		}
		row := Row{Fault: *f, Result: res}
		row.judge(shadow)
		rep.Rows = append(rep.Rows, row)
		fmt.Fprintf(opts.Progress, "%s: %s\n", f.ID, row.sentence())
	}
	return rep, nil
}

// release runs one fault.
func (f *Fault) release(ctx context.Context, opts Options, shadow shadowing) (res Result, err error) {
	s := scene{seed: opts.Seed, places: f.places, deliver: f.deliver}
	if f.stable != nil && !f.Shadow {
		// Stable itself is slow here, so that slowness can be measured; a comparison that runs
		// both again would lag behind every batch and see nothing of it in the end.
		shadow = notCompared
	}
	t := trial{edits: opts.Edits, batches: opts.Batches, shadow: shadow, risks: f.risks, bad: len(f.Catch) > 0}
	if f.stable != nil {
		s.stable = f.stable()
	}
	switch {
	case f.program != nil:
		p, err := f.program(opts)
		if err != nil {
			return res, err
		}
		s.programs, t.candidate = []config.Program{p}, "receipts@"+p.Name
		if f.ID == healthyPython {
			t.candidate = "receipts@2-python"
		}
	case f.candidate != nil:
		h := f.candidate()
		s.handlers, t.candidate = []handler.Handler{h}, handler.NewRevision(h).Label()
	default:
		h := good(f.ID)
		s.handlers, t.candidate = []handler.Handler{h}, handler.NewRevision(h).Label()
	}
	if t.world, err = open(ctx, opts, s); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	return t.release(ctx)
}

// shadowOf says whether releases get a shadow step: a plan with one is worth nothing when
// nobody compares, because it is never left.
func shadowOf(ctx context.Context, opts Options) (shadow shadowing, err error) {
	switch opts.Shadow {
	case ShadowOn:
		return compared, nil
	case ShadowOff:
		return notCompared, nil
	case ShadowAuto:
	}
	w, err := open(ctx, opts, scene{seed: opts.Seed, handlers: []handler.Handler{good("probe")}})
	if err != nil {
		return notCompared, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	t := trial{world: w, candidate: "receipts@probe", edits: opts.Edits, batches: opts.Batches, shadow: compared, beyond: release.PhaseShadow}
	res, err := t.release(ctx)
	if err != nil {
		return notCompared, err
	}
	if res.Step == string(release.Shadow) && !res.Caught() {
		fmt.Fprintln(opts.Progress, "a good candidate does not leave its shadow step: the releases go without one")
		return notCompared, nil
	}
	return compared, nil
}

// judge compares what was declared with what was seen.
func (r *Row) judge(shadow shadowing) {
	f, res := &r.Fault, &r.Result
	switch allowed := f.allowed(shadow); {
	case len(f.Catch) > 0 && !res.Caught():
		r.Note = "NOT CAUGHT"
	case f.Held != "" && res.Ended == EndHeld && res.By == f.Held && res.Harmed == 0:
		r.AsDeclared = true
	case len(f.Catch) == 0 && res.Caught():
		r.Note = "caught, and it is good"
	case len(f.Catch) == 0 && res.Ended != EndPromoted:
		r.Note = "not promoted, and it is good"
	case allowed == HarmNone && res.Harmed > 0:
		r.Note = fmt.Sprintf("harmed %d, may harm none", res.Harmed)
	case res.Outside > 0:
		r.Note = fmt.Sprintf("harmed %d of keys that it never had", res.Outside)
	case allowed == HarmNone && res.Mirror > 0:
		r.Note = fmt.Sprintf("harmed %d items of the mirror", res.Mirror)
	default:
		r.AsDeclared = true
		if len(f.Catch) > 0 && !slices.Contains(f.Catch, res.By) {
			r.Note = "by another guard than declared"
		}
	}
	if why := res.notBack(); why != "" {
		r.AsDeclared = false
		r.Note = strings.TrimPrefix(r.Note+"; "+why, "; ")
	}
}
