package recovery

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"lockstep/internal/adapter/deploy"
	"lockstep/internal/adapter/git"
	"lockstep/internal/adapter/pypackage"
	"lockstep/internal/adapter/suite"
	"lockstep/internal/rollback"
	"lockstep/internal/testreport"
)

// gitPoint is what the repository goes back to, once it is known.
type gitPoint struct {
	point git.Point
	known bool
}

// codeStep adds the steps of one target of the code. What cannot be planned is left to a
// person, with the reason.
func (b *builder) codeStep(ctx context.Context, target string) error {
	var steps []rollback.Step
	var err error
	switch target {
	case TargetGit:
		steps, err = b.gitSteps(ctx)
	case TargetPackage:
		steps, err = b.packageSteps(ctx)
	case TargetImports:
		steps, err = b.importSteps(ctx)
	case TargetTests:
		steps, err = suite.Plan(b.suites(), "", b.needs())
	case TargetDeploy:
		steps, err = b.deploySteps(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s, perr := PersonStep(target, rollback.PhaseCode, "Take back by hand: "+target, err)
		if perr != nil {
			return perr
		}
		steps = []rollback.Step{s}
	}
	b.put(steps...)
	return nil
}

func (b *builder) gitSteps(ctx context.Context) ([]rollback.Step, error) {
	repo, err := b.repo()
	if err != nil {
		return nil, err
	}
	q := repo.Query()
	point, err := repo.FindPoint(ctx, q)
	if err != nil {
		return nil, err
	}
	b.git = gitPoint{point, true}
	b.plan.Notes = append(b.plan.Notes, "git: "+point.How)
	return repo.Plan(ctx, point, "", b.plan.At)
}

func (b *builder) packageSteps(ctx context.Context) ([]rollback.Step, error) {
	c := b.Config.Rollback.Package
	w := pypackage.Wish{Key: b.plan.ID, Aside: b.dataDir("aside"), Needs: b.needs()}
	if c.Init != "" && b.git.known {
		repo, err := b.repo()
		if err != nil {
			return nil, err
		}
		path, err := filepath.Rel(b.Config.Rollback.Git.Path, filepath.Join(c.Root, c.Init))
		if err != nil {
			return nil, err
		}
		if w.InitBody, err = repo.FileAt(ctx, b.git.point.ID, filepath.ToSlash(path)); err != nil {
			return nil, err
		}
	}
	return pypackage.Plan(pypackage.Settings{
		Root: c.Root, Python: c.Python, Directories: c.Directories, Init: c.Init, VersionModule: c.Version, Reinstall: c.Reinstall,
		MustImport: c.MustImport, MustFail: c.MustFail, Env: c.Env,
	}, w)
}

func (b *builder) importSteps(ctx context.Context) ([]rollback.Step, error) {
	c := b.Config.Rollback.Imports
	return pypackage.PlanImports(ctx, pypackage.ImportsSettings{Root: c.Root, Paths: c.Paths, Forbidden: c.Forbidden}, b.needs())
}

// suites are the configured test commands.
func (b *builder) suites() suite.Settings {
	items := map[string]string{"package": rollback.ItemTestPackage, "lambda": rollback.ItemTestLambda, "integration": rollback.ItemTestLocal}
	var out suite.Settings
	for _, c := range b.Config.Rollback.Tests {
		s := suite.Suite{
			Name: c.Name, Command: c.Command, Dir: c.Dir, Env: c.Env, Timeout: c.Timeout, Format: testreport.Format(c.Format), JUnit: c.JUnit,
			Item: items[c.Item], Blocking: &c.Blocking,
		}
		for _, pattern := range c.Minor {
			s.Rules = append(s.Rules, testreport.Rule{Tests: pattern, Minor: true})
		}
		out.Suites = append(out.Suites, s)
	}
	return out
}

func (b *builder) deploySteps(ctx context.Context) ([]rollback.Step, error) {
	c := b.Config.Rollback.Deploy
	w := deploy.Wish{To: c.Version, Needs: b.needs()}
	if c.Version == "" {
		if w.Want.Before = b.began(ctx); w.Want.Before.IsZero() && b.git.known {
			w.Want.Commit = b.git.point.ID
		}
	}
	s := deploy.Settings{
		Name: c.Name, Tool: c.Tool, Dir: c.Dir, Env: c.Env, Timeout: c.Timeout, Refresh: c.Refresh, Probe: c.Probe,
	}
	if c.Tool == "pulumi" {
		s.Pulumi = deploy.Pulumi{Program: c.Program, Stack: c.Stack, Output: c.Output, Current: c.Current, Field: c.Field, Config: c.Key}
	} else {
		s.Command = deploy.Command{
			Current: c.Current, Field: c.Field, Up: c.Up, Rollback: c.Back, Preview: c.Preview, Refresh: c.Refreshes, History: c.History, Locked: c.Locked,
		}
	}
	step, err := deploy.New(b.lookup).Plan(ctx, s, w)
	if err != nil || step == nil {
		if err == nil {
			b.plan.Notes = append(b.plan.Notes, fmt.Sprintf("deploy: left out, for %s runs already", c.Name))
		}
		return nil, err
	}
	step.UndoLast = true // what it deploys is what the others have put back
	return []rollback.Step{*step}, nil
}

// began is when the release of the bad revision began: what ran before it was good.
func (b *builder) began(ctx context.Context) time.Time {
	head, err := b.Control.Releases.Head(ctx)
	if err != nil {
		return time.Time{}
	}
	if r := head.State().Release; r != nil && r.ID == b.plan.Release {
		return r.StartedAt
	}
	return time.Time{}
}
