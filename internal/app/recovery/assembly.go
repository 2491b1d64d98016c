package recovery

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"lockstep/internal/adapter/deploy"
	"lockstep/internal/adapter/git"
	"lockstep/internal/adapter/pypackage"
	"lockstep/internal/adapter/suite"
	"lockstep/internal/app"
	"lockstep/internal/config"
	"lockstep/internal/ledger"
	"lockstep/internal/rollback"
)

// Assembly is everything that a rollback of one environment is made of.
type Assembly struct {
	Control   *app.Control
	Config    config.Config
	Workplace Workplace
	Actor     string
	Now       func() time.Time
	Getenv    func(string) string
	// Position and Follow are of the follower; nil: it takes no part.
	Position func(ctx context.Context) (app.FollowerStatus, error)
	Follow   func(ctx context.Context) error
	// Guards asks the guards of the watch; nil: only the ledger is asked.
	Guards func(ctx context.Context) (failing []string, err error)
	Wait   func(ctx context.Context, d time.Duration) error // nil: a timer
}

// Journals returns the plans of a store.
func Journals(s *app.Store, now func() time.Time) *rollback.Journals {
	return rollback.NewJournals(s.Blobs, ledger.Options{Now: now})
}

// Journals returns the plans of the store.
func (a *Assembly) Journals() *rollback.Journals { return Journals(a.Control.Store, a.Now) }

// Engine returns what walks plans here.
func (a *Assembly) Engine(say func(step, text string, done, total int64)) (*rollback.Engine, error) {
	targets, err := a.Targets()
	if err != nil {
		return nil, err
	}
	return &rollback.Engine{Name: a.Actor, Targets: targets, Journals: a.Journals(), Now: a.Now, Say: say}, nil
}

// Targets returns every target that this environment has, under its name.
func (a *Assembly) Targets() (map[string]rollback.Target, error) {
	actor := func() string { return a.Actor }
	out := map[string]rollback.Target{
		TargetFlag: Flag{a.Control}, TargetQuarantine: Quarantine{a.Control}, TargetPerson: Person{},
		TargetIndex: &Index{Store: a.Control.Store, Revisions: a.Control.Revisions, Workplace: a.Workplace, Actor: actor},
		TargetProof: &Proof{Store: a.Control.Store, Revisions: a.Control.Revisions, Workplace: a.Workplace},
		TargetWatch: &Watch{Store: a.Control.Store, Now: a.Now, Wait: a.wait, Guards: a.Guards},
		suite.Name:  suite.New(suite.Options{Lookup: a.lookup, Now: a.Now}),
		deploy.Name: deploy.New(a.lookup),
	}
	if a.Position != nil {
		out[TargetFollower] = &Follower{Store: a.Control.Store, Position: a.Position, Follow: a.Follow}
	}
	if a.Config.Rollback.Git != nil {
		repo, err := a.repo()
		if err != nil {
			return nil, err
		}
		maps.Copy(out, git.Targets(repo))
	}
	maps.Copy(out, a.packages())
	maps.Copy(out, a.tellers())
	return out, nil
}

func (a *Assembly) wait(ctx context.Context, d time.Duration) error {
	if a.Wait != nil {
		return a.Wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// lookup answers for environment variables that settings name.
func (a *Assembly) lookup(name string) (string, bool) {
	if a.Getenv == nil {
		return "", false
	}
	v := a.Getenv(name)
	return v, v != ""
}

func (a *Assembly) packages() map[string]rollback.Target {
	o := pypackage.Options{Lookup: a.lookup}
	return map[string]rollback.Target{pypackage.Name: pypackage.New(o), pypackage.ImportsName: pypackage.Imports{}}
}

// repo is the configured repository.
func (a *Assembly) repo() (*git.Repo, error) {
	c := a.Config.Rollback.Git
	s := git.Settings{
		Path: c.Path, Branch: c.Branch, Paths: c.Paths, Point: c.Point, Message: c.Message, Also: c.Also, Option: git.Option(c.Option),
		Reference: c.Reference, Rollback: c.Rollback, MoveBranch: c.MoveBranch, Hooks: c.Hooks, Author: c.Author,
	}
	for _, t := range []struct {
		name, text string
		into       *time.Time
	}{{"since", c.Since, &s.Since}, {"until", c.Until, &s.Until}} {
		at, err := moment(t.text)
		if err != nil {
			return nil, fmt.Errorf("rollback.git.%s: %w", t.name, err)
		}
		*t.into = at
	}
	env := map[string]string{}
	for _, name := range []string{"PATH", "HOME", "SSH_AUTH_SOCK"} {
		if v, ok := a.lookup(name); ok {
			env[name] = v
		}
	}
	return git.New(s, git.Options{Env: env, Now: a.Now})
}

// dataDir is a directory below the data directory.
func (a *Assembly) dataDir(name string) string {
	return strings.TrimSuffix(a.Config.Data, string(os.PathSeparator)) + string(os.PathSeparator) + name
}
