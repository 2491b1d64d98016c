package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/config"
	"lockstep/internal/load"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
)

// riskLoadProduction has to be accepted by name where customers are.
const (
	riskLoadProduction = "load-on-production"
	production         = "prod"
)

type loadFlags struct {
	rate, mix, arrivals, objective, stop string
	whole, step, timeout, drain          time.Duration
	shape                                load.Shape
	batch, inFlight                      int
	scratch, clean                       bool
	imports                              string
	accept                               []string
}

func (c *session) load() *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:     "load",
		GroupID: groupCheck,
		Short:   "Send synthetic changes at given rates and find the highest that is kept up with",
		Long: `Invents receipts, brings them into being in the running server of the data
directory, and then sends changes of them at a rate, or at rates that grow. Latency
counts from the time at which a change was due, whether or not it could be sent then,
to the answer, which means that it is in a published version. A server that stalls
cannot hide it by being asked less.

A rate is held when everything is answered shortly after the last change was due, with
few errors, and when the objective holds. The first rate that is not held ends the
run. An objective that does not hold at the first rate, or that asks for a higher rate
than was held, ends the command with status 5.

Everything it writes has a key that begins with "` + load.KeyPrefix + `". It stays
until "lockstep load --clean" sends the removals. With --scratch a server in this
process works on a directory of its own, which is removed; it shares the processors
with the sender.`,
		Example: `  lockstep load --rate 500 --for 30s --objective "p99<150ms,errors<0.1%"
  lockstep load --rate 100..2000 --step 30s --objective "p99<150ms,held>=1000"
  lockstep load --scratch --rate 200 --for 5s
  lockstep load --clean`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.clean {
				return c.runLoadClean(cmd.Context(), f)
			}
			return c.runLoad(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.rate, "rate", "100", "changes per second, or a ramp such as 100..2000")
	fl.DurationVar(&f.whole, "for", 0, "how long changes are sent (default 30s, for a ramp ten steps)")
	fl.DurationVar(&f.step, "step", 30*time.Second, "how long one rate of a ramp lasts")
	fl.IntVar(&f.shape.Keys, "keys", 50, "receipts to invent")
	fl.IntVar(&f.shape.Lines, "lines", 12, "lines of a receipt: about three records each")
	fl.StringVar(&f.mix, "mix", load.DefaultMix().String(), "what is done to the table, in per cent")
	fl.Float64Var(&f.shape.Skew, "zipf", 0, "how unevenly receipts are chosen: 0 evenly, 1 by Zipf's law")
	fl.Uint64Var(&f.shape.Seed, "seed", 1, "another seed, other traffic")
	fl.IntVar(&f.batch, "batch", 1, "changes in one request")
	fl.IntVar(&f.inFlight, "in-flight", 256, "requests under way at most")
	fl.StringVar(&f.arrivals, "arrivals", string(load.Poisson), "poisson or constant")
	fl.DurationVar(&f.timeout, "timeout", 30*time.Second, "how long one request may take")
	fl.DurationVar(&f.drain, "drain", 10*time.Second, "how long answers are waited for after a rate")
	fl.StringVar(&f.objective, "objective", "", `what has to hold, such as "p99<150ms,errors<0.1%,held>=500"`)
	fl.StringVar(&f.stop, "stop", "errors>50%", "what ends the run at once, the first that is true")
	fl.IntVar(&f.shape.Dimension, "dimension", 0, "components of a vector (default that of the index)")
	fl.StringVar(&f.imports, "imports", "", "directory in which the server looks for embeddings (default that of the configuration)")
	fl.BoolVar(&f.scratch, "scratch", false, "use a server and a store of this run's own")
	fl.BoolVar(&f.clean, "clean", false, "remove what load tests have left, and do nothing else")
	fl.StringSliceVar(&f.accept, "accept-risk", nil, "accept a risk by its name")
	return cmd
}

// loaded is what a load test tells programs.
type loaded struct {
	Environment string        `json:"environment"`
	Server      string        `json:"server"`
	Scratch     bool          `json:"scratch"`
	Prepared    load.Prepared `json:"prepared"`
	load.Result
}

func (c *session) runLoad(ctx context.Context, f loadFlags) error {
	opts, err := f.options(c.env.Now)
	if err != nil {
		return usageError{err}
	}
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	if f.scratch {
		return c.scratchServer(ctx, cfg, func(ctx context.Context, cfg config.Config, url string) error {
			return c.runLoadOn(ctx, cfg, app.Address{URL: url}, f, opts)
		})
	}
	if err := f.mayRun(cfg); err != nil {
		return err
	}
	r, err := loadServer(ctx, cfg)
	if err != nil {
		return err
	}
	if f.shape.Dimension == 0 {
		if f.shape.Dimension, err = dimensionOf(ctx, r, cfg); err != nil {
			return err
		}
	}
	if err := c.runLoadOn(ctx, cfg, r.Address, f, opts); err != nil {
		return err
	}
	c.next("lockstep load --clean")
	return nil
}

func (f loadFlags) options(now func() time.Time) (load.Options, error) {
	opts := load.Options{Now: now, Batch: f.batch, InFlight: f.inFlight, Timeout: f.timeout, Drain: f.drain}
	rates, err := load.ParseRange(f.rate)
	errs := []error{err}
	whole := f.whole
	switch {
	case whole == 0 && rates.Ramp():
		whole = 10 * f.step
	case whole == 0:
		whole = 30 * time.Second
	}
	if err == nil {
		opts.Steps, err = rates.Steps(whole, f.step)
		errs = append(errs, err)
	}
	opts.Arrivals, err = load.ParseArrivals(f.arrivals)
	errs = append(errs, err)
	opts.Objective, err = load.ParseConditions(f.objective)
	errs = append(errs, err)
	opts.Stop, err = load.ParseConditions(f.stop)
	errs = append(errs, err)
	_, err = load.ParseMix(f.mix)
	return opts, errors.Join(append(errs, err)...)
}

// mayRun refuses to put a load on what people depend on, and where nothing would
// understand the traffic.
func (f loadFlags) mayRun(cfg config.Config) error {
	if cfg.Environment == production && !slices.Contains(f.accept, riskLoadProduction) {
		return lockstep.Hint(fmt.Errorf("load: %w: the environment is %s", lockstep.ErrRefused, cfg.Environment),
			"use --scratch or another environment, or give --accept-risk="+riskLoadProduction)
	}
	if cfg.Handler == config.HandlerMapping {
		return lockstep.Hint(fmt.Errorf("load: %w: the traffic is changes of receipts, and the handler is %s", lockstep.ErrRefused, cfg.Handler),
			"use --scratch, which has a receipt handler")
	}
	return nil
}

func loadServer(ctx context.Context, cfg config.Config) (*app.Remote, error) {
	r, err := app.Dial(ctx, cfg)
	if errors.Is(err, lockstep.ErrNotFound) {
		err = lockstep.Hint(err, `start it with "lockstep up", or give --scratch`)
	}
	return r, err
}

// dimensionOf finds how long vectors have to be. An empty index takes its dimension
// from the first import, and that must not be ours.
func dimensionOf(ctx context.Context, r *app.Remote, cfg config.Config) (int, error) {
	st, err := r.Status(ctx)
	if err != nil {
		return 0, err
	}
	for _, s := range st.Collections {
		if s.Dimension > 0 {
			return s.Dimension, nil
		}
	}
	for _, name := range cfg.CollectionNames() {
		if d := cfg.Collections[name].Dimension; d > 0 {
			return d, nil
		}
	}
	return 0, lockstep.Hint(fmt.Errorf("load: %w: the index is empty, and the first import fixes the dimension of its vectors", lockstep.ErrRefused),
		"say which dimension it shall have, with --dimension, or give --scratch")
}

func (c *session) runLoadOn(ctx context.Context, cfg config.Config, at app.Address, f loadFlags, opts load.Options) (err error) {
	token, err := app.Token(cfg)
	if err != nil {
		return err
	}
	if f.shape.Mix, err = load.ParseMix(f.mix); err != nil {
		return err
	}
	f.shape.Epoch = uint64(c.env.Now().UnixNano())
	traffic, err := load.NewTraffic(f.shape)
	if err != nil {
		return err
	}
	target := load.NewHTTP(at.URL, token, opts.InFlight)
	defer target.Close()
	out := loaded{Environment: cfg.Environment, Server: at.URL, Scratch: f.scratch}
	bar := c.progress("receipts prepared")
	dir := f.importsOf(cfg)
	out.Prepared, err = load.Prepare(ctx, target, traffic, func(o synth.Object) error { return load.PutObject(dir, o) }, bar.at)
	bar.done()
	if err != nil {
		return err
	}
	bar = c.progress("changes due")
	opts.Progress = func(p load.Progress) { bar.at(p.Due, p.Expected) }
	out.Result, err = load.Run(ctx, target, traffic, opts)
	bar.done()
	if err != nil && len(out.Steps) == 0 {
		return err
	}
	err = errors.Join(err, c.printed(out, func(w io.Writer) { printLoaded(w, out) }))
	if err == nil && !out.Passed {
		err = fmt.Errorf("load: %w: the objective does not hold: %s", lockstep.ErrRefused, out.Why)
	}
	return err
}

func (f loadFlags) importsOf(cfg config.Config) string {
	if f.imports != "" {
		return f.imports
	}
	return cfg.Imports.Directory
}

func printLoaded(w io.Writer, l loaded) {
	where := l.Server
	if l.Scratch {
		where = "a scratch server in this process"
	}
	fmt.Fprintf(w, "load on %s, environment %s: %d records of %d receipts prepared\n", where, l.Environment, l.Prepared.Records, l.Prepared.Receipts)
	_ = l.Print(w) // stdout is gone, and so is whoever would read an error
}

// cleaned is what a removal tells programs.
type cleaned struct {
	load.Cleaned
	Runs int `json:"runs"` // embeddings removed from the imports
}

func (c *session) runLoadClean(ctx context.Context, f loadFlags) error {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	var left []lockstep.MirrorItem
	if err := c.viewing(ctx, func(_ *app.App, v view) error {
		left, err = load.Left(ctx, v)
		return err
	}); err != nil {
		return err
	}
	var out cleaned
	if len(left) > 0 {
		r, err := loadServer(ctx, cfg)
		if err != nil {
			return err
		}
		token, err := app.Token(cfg)
		if err != nil {
			return err
		}
		target := load.NewHTTP(r.Address.URL, token, 1)
		defer target.Close()
		bar := c.progress("items removed")
		out.Cleaned, err = load.Clean(ctx, target, load.Removals(left, uint64(c.env.Now().UnixNano())), bar.at)
		bar.done()
		if err != nil {
			return err
		}
	}
	if out.Runs, err = load.RemoveObjects(f.importsOf(cfg)); err != nil {
		return err
	}
	return c.printed(out, func(w io.Writer) {
		fmt.Fprintf(w, "%d items of the table removed, and with them %d published records; embeddings of %d runs removed\n", out.Items, out.Records, out.Runs)
	})
}
