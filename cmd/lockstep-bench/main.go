// Command lockstep-bench measures Lockstep and prints the figures beside their
// targets and beside a peer: see docs/bench.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/bench"
	"lockstep/internal/lockstep"
)

// stage as the only argument makes this process a part of a run.
const stage = "stage"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lockstep-bench:", err)
		if h := lockstep.HintOf(err); h != "" {
			fmt.Fprintln(os.Stderr, "hint:", h)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if len(os.Args) == 2 && os.Args[1] == stage {
		app.BoundMemory(os.Getenv) // a stage is measured, and is to be what the product is
		return bench.Stage(ctx, os.Stdin, os.Stdout, time.Now)
	}
	opts, output, err := options(os.Args[1:])
	if err != nil {
		return err
	}
	report, err := bench.Run(ctx, opts)
	if err != nil {
		return err
	}
	if output == "json" {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(report)
	}
	report.Print(os.Stdout)
	return nil
}

func options(args []string) (opts bench.Options, output string, err error) {
	f := flag.NewFlagSet("lockstep-bench", flag.ContinueOnError)
	full := bench.Full()
	quick := f.Bool("quick", false, "a run of a minute on 100,000 records, to see that all works")
	records := f.Int("records", full.Records, "records of the largest index")
	sustain := f.Duration("sustain", full.Sustain, "length of the sustained updates; long enough for a base or two, or the figure flatters")
	only := f.String("only", "", "measure only these, with commas: "+strings.Join(bench.Parts(), ","))
	dir := f.String("dir", "", "make the indexes under this directory, on the disk to be measured (default: the temporary directory)")
	profile := f.String("cpuprofile", "", "write a CPU profile of the sustained updates to this file")
	f.StringVar(&output, "o", "text", "text or json")
	if err := f.Parse(args); err != nil {
		return opts, "", err
	}
	if f.NArg() > 0 || output != "text" && output != "json" {
		return opts, "", fmt.Errorf("%w: want flags only, and -o text or json (see -help)", lockstep.ErrInvalid)
	}
	opts = full
	if *quick {
		opts = bench.Quick()
	}
	f.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "records":
			opts.Records = *records
		case "sustain":
			opts.Sustain = *sustain
		}
	})
	if *only != "" {
		opts.Only = strings.Split(*only, ",")
	}
	self, err := os.Executable()
	if err != nil {
		return opts, "", err
	}
	opts.Dir, opts.Profile, opts.Python = *dir, *profile, os.Getenv("PY")
	opts.Self = []string{self, stage}
	opts.Now, opts.Progress = time.Now, os.Stderr
	return opts, output, nil
}
