// Command lockstep-faults releases every fault of the catalogue and prints what caught
// it: see docs/faults.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/faults"
	"lockstep/internal/lockstep"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lockstep-faults:", err)
		if h := lockstep.HintOf(err); h != "" {
			fmt.Fprintln(os.Stderr, "hint:", h)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if mode := os.Getenv(faults.ProgramEnv); mode != "" {
		return faults.Serve(ctx, mode, faults.Process{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	}
	app.BoundMemory(os.Getenv)
	c, err := parse(ctx, os.Args[1:])
	if err != nil {
		return err
	}
	if c.healthy > 0 {
		return c.rate(ctx)
	}
	report, err := faults.Run(ctx, c.opts, c.only...)
	if err != nil {
		return err
	}
	if err := c.print(&report); err != nil {
		return err
	}
	if n := report.Failed(); n > 0 {
		return fmt.Errorf("%d of %d faults are not as the catalogue declares: %w", n, len(report.Rows), lockstep.ErrRefused)
	}
	return nil
}

func (c *command) rate(ctx context.Context) error {
	rate, err := faults.HealthyRate(ctx, c.opts, c.healthy)
	if err != nil {
		return err
	}
	if err := c.print(&rate); err != nil {
		return err
	}
	if !rate.Kept() {
		return fmt.Errorf("%d of %d good candidates were not promoted: %w", rate.Releases-rate.Promoted, rate.Releases, lockstep.ErrRefused)
	}
	return nil
}

type command struct {
	opts    faults.Options
	only    []string
	healthy int
	output  string
}

func (c *command) print(v any) error {
	if c.output == "json" {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	switch v := v.(type) {
	case *faults.Report:
		return v.Print(os.Stdout)
	case *faults.Rate:
		return v.Print(os.Stdout)
	}
	return nil
}

// memory is a directory that is no disk, on Linux: a release there waits for no sync.
const memory = "/dev/shm"

func parse(ctx context.Context, args []string) (*command, error) {
	c := &command{}
	f := flag.NewFlagSet("lockstep-faults", flag.ContinueOnError)
	only := f.String("only", "", "release only these, with commas")
	f.IntVar(&c.healthy, "healthy", 0, "release so many good candidates instead, and print how many were rolled back")
	f.StringVar(&c.output, "o", "text", "text or json")
	f.Uint64Var(&c.opts.Seed, "seed", 1, "of the table and its edits")
	f.IntVar(&c.opts.Batches, "batches", 0, "leave a release as it is after so many batches (default 250)")
	shadow := f.String("shadow", string(faults.ShadowAuto), "a shadow step in every release: auto, on or off")
	f.StringVar(&c.opts.Dir, "dir", "", "make the indexes under this directory (default: in memory where there is "+memory+", else the temporary directory)")
	f.StringVar(&c.opts.Examples, "examples", "examples/handlers", "directory of receipts_places.py")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 || c.healthy < 0 || c.output != "text" && c.output != "json" {
		return nil, fmt.Errorf("%w: want flags only, and -o text or json (see -help)", lockstep.ErrInvalid)
	}
	if *only != "" {
		c.only = strings.Split(*only, ",")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(memory); c.opts.Dir == "" && err == nil && info.IsDir() {
		c.opts.Dir = memory
	}
	c.opts.Shadow, c.opts.Self, c.opts.Python = faults.ShadowMode(*shadow), []string{self}, interpreter(ctx, c.opts.Examples)
	c.opts.Now, c.opts.Progress = time.Now, os.Stderr
	return c, nil
}

// interpreter is a Python that runs without an environment, "" when there is none.
func interpreter(ctx context.Context, examples string) string {
	if _, err := os.Stat(examples + "/receipts_places.py"); err != nil {
		return ""
	}
	path, err := exec.LookPath("python3")
	if err != nil {
		return ""
	}
	// A launcher of several versions says where the one is that it would start.
	out, err := exec.CommandContext(ctx, path, "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
