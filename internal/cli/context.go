package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"

	"lockstep/internal/app"
	"lockstep/internal/config"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
)

const defaultConfig = "lockstep.yaml"

// settings returns the configuration: the named file, else $LOCKSTEP_CONFIG, else
// lockstep.yaml if there is one, else the defaults, which are complete.
func (c *session) settings() (config.Config, error) {
	name := c.config
	if name == "" {
		name = c.env.Getenv("LOCKSTEP_CONFIG")
	}
	named := name != ""
	if !named {
		name = defaultConfig
	}
	cfg, err := loadConfig(name)
	if errors.Is(err, os.ErrNotExist) && !named {
		cfg, err = config.Default(), nil
	}
	if err != nil {
		return cfg, err
	}
	if c.data != "" {
		cfg = cfg.WithData(c.data)
	}
	return cfg, nil
}

func loadConfig(name string) (config.Config, error) {
	f, err := os.Open(name)
	if err != nil {
		return config.Config{}, fmt.Errorf("configuration: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	return config.Load(f, name)
}

func (c *session) who() string {
	if c.actor != "" {
		return c.actor
	}
	if u := c.env.Getenv("USER"); u != "" {
		return u
	}
	return "unknown"
}

func (c *session) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(c.env.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// store opens the store alone: for what only reads the log, or appends to it.
func (c *session) store(ctx context.Context) (*app.Store, config.Config, error) {
	cfg, err := c.settings()
	if err != nil {
		return nil, cfg, err
	}
	s, err := app.OpenStore(ctx, cfg, c.env.Now)
	return s, cfg, err
}

// looking opens the index at its newest version and passes it to use, which must
// change nothing. It starts no programs: records are read without the code that derives
// them, which may hang.
func (c *session) looking(ctx context.Context, use func(*app.App) error) error {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	cfg.Programs = nil
	return c.reading(ctx, cfg, use)
}

// reading is looking with a configuration as it is, for what asks the revisions.
func (c *session) reading(ctx context.Context, cfg config.Config, use func(*app.App) error) (err error) {
	a, err := app.OpenReader(ctx, cfg, c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return use(a)
}

// working opens the index for changing it: the data directory is ours meanwhile.
func (c *session) working(ctx context.Context, use func(*app.App) error) (err error) {
	cfg, err := c.settings()
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, cfg, c.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.Compactor.Refresh(ctx); err != nil {
		return err
	}
	return use(a)
}

func (c *session) options() app.Options {
	return app.Options{Now: c.env.Now, LookPath: c.env.LookPath, Log: c.logger(), Actor: c.who(), Forced: c.env.Getenv("LOCKSTEP_REVISION"), Getenv: c.env.Getenv}
}

// printed writes v as JSON when -o json was given, and calls text otherwise.
func (c *session) printed(v any, text func(w io.Writer)) error {
	if c.output == outputJSON {
		if list := reflect.ValueOf(v); list.Kind() == reflect.Slice && list.IsNil() {
			v = []struct{}{} // an empty list, which programs can range over, and not null
		}
		enc := json.NewEncoder(c.env.Stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	text(c.env.Stdout)
	return nil
}

const (
	outputText = "text"
	outputJSON = "json"
)

func (c *session) checkOutput() error {
	if c.output != outputText && c.output != outputJSON {
		return usageError{fmt.Errorf("output %q: %w: want text or json", c.output, lockstep.ErrInvalid)}
	}
	return nil
}

// next tells a person the command that makes sense now; it goes to stderr, so that
// pipes stay clean.
func (c *session) next(format string, args ...any) {
	fmt.Fprintf(c.env.Stderr, "next: "+format+"\n", args...)
}

type view = *state.Reader

// viewing is looking, with a view of the records.
func (c *session) viewing(ctx context.Context, use func(*app.App, view) error) error {
	return c.looking(ctx, func(a *app.App) (err error) {
		v, err := a.State.Read()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, v.Close()) }()
		return use(a, v)
	})
}
