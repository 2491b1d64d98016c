package crashtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/durable"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/receipt/synth"
	"lockstep/internal/release"
)

// driverEnv makes this test binary a server that drives releases: the driver as JSON.
const driverEnv = "LOCKSTEP_CRASHTEST_DRIVER"

// driver is a server with traffic on one data directory, until it is killed. With Only it
// has no traffic: it drives the release that is under way to its end, and ends.
type driver struct {
	Dir  string
	Only bool
}

// tried is receipts@2 under another name, with or without a mistake.
type tried struct {
	handler.Handler
	version string
	wrong   func(lockstep.Message) bool
}

func (d tried) Describe() handler.Description {
	desc := d.Handler.Describe()
	desc.Version, desc.Code = d.version, desc.Code+d.version
	return desc
}

func (d tried) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	if d.wrong != nil && d.wrong(u.Messages[0]) {
		return nil, errors.New("index out of range")
	}
	return d.Handler.Plan(ctx, u)
}

// candidates are what can be released here. The bad one fails on every second change of
// what is there; preflight sees creations only.
func candidates() []handler.Handler {
	return []handler.Handler{
		tried{receipt.V2(receipt.V2Config{}), "good", nil},
		tried{receipt.V2(receipt.V2Config{}), "bad", func(m lockstep.Message) bool {
			return m.Change.Event == lockstep.Modify && m.ID[len(m.ID)-1]%2 == 0
		}},
	}
}

func (d driver) settings() config.Config {
	cfg := config.Default().WithData(filepath.Join(d.Dir, "data"))
	cfg.Imports.Directory = filepath.Join(d.Dir, "imports")
	cfg.Follower.Chroma.Enabled = "off"
	cfg.Release.Watch = 5 * time.Millisecond
	return cfg
}

func (d driver) options() app.Options {
	return app.Options{Now: time.Now, Actor: fmt.Sprint("driver ", os.Getpid()), Handlers: candidates()}
}

func newTable() *synth.Generator {
	return synth.New(23, synth.Options{Receipts: 120, Lines: synth.Range{Min: 1, Max: 2}, Words: synth.Range{Min: 1, Max: 2}, Dimension: 4})
}

// edited is the file in which a driver notes how many edits of the table it has sent.
func (d driver) edited() string { return filepath.Join(d.Dir, "edited") }

// drive is the main function of a driver.
func drive(ctx context.Context, text string) int {
	var d driver
	err := json.Unmarshal([]byte(text), &d)
	switch {
	case err != nil:
	case d.Only:
		err = d.follow(ctx)
	default:
		err = d.serve(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// serve runs a server and sends it edits of the table, behind those that were sent before.
func (d driver) serve(ctx context.Context) (err error) {
	a, err := app.Open(ctx, d.settings(), d.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	s := app.NewServer(a)
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- s.Run(run) }()
	defer func() {
		stop()
		err = errors.Join(err, <-done)
	}()
	table, sent := newTable(), 0
	if b, err := os.ReadFile(d.edited()); err == nil {
		if sent, err = strconv.Atoi(string(b)); err != nil {
			return err
		}
		table.Edits(sent)
	}
	for {
		var inputs []compact.Input
		for _, edit := range table.Edits(30) {
			if edit.Kind == "re-embedded" {
				continue // it would need its files
			}
			for _, e := range edit.Events {
				inputs = append(inputs, compact.Input{Message: e.Message()})
			}
		}
		if _, err := s.Submit(ctx, inputs); err != nil {
			return err
		}
		sent += 30
		if err := durable.Replace(d.edited(), []byte(strconv.Itoa(sent))); err != nil {
			return err
		}
	}
}

// follow drives without a server, and prints what it did.
func (d driver) follow(ctx context.Context) (err error) {
	c, err := app.OpenControl(ctx, d.settings(), d.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	w := c.Watch()
	for {
		idle, err := w.Idle(ctx)
		if idle || err != nil {
			return err
		}
		if err := w.Drive(ctx, func(d release.Decision) { fmt.Println(d.Transition.Entry.Kind) }); err != nil {
			return err
		}
	}
}
