package recovery

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"lockstep/internal/adapter/deploy"
	"lockstep/internal/adapter/git"
	"lockstep/internal/adapter/pypackage"
	"lockstep/internal/adapter/suite"
	"lockstep/internal/lockstep"
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
		// What was in the way of planning is put right for a plan of its own: this one will
		// not know of it.
		if hint := lockstep.HintOf(err); hint != "" {
			s.Manual = hint + ", and then a plan that finds it so: lockstep rollback run --full"
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
	step, err := b.deployment(ctx, b.began(ctx, b.plan.Release), b.git, b.needs())
	if err != nil || step == nil {
		if err == nil {
			b.plan.Notes = append(b.plan.Notes, fmt.Sprintf("deploy: left out, for %s runs already", b.Config.Rollback.Deploy.Name))
		}
		return nil, err
	}
	step.UndoLast = true // what it deploys is what the others have put back
	return []rollback.Step{*step}, nil
}

// deployment is the step that deploys the good version; nil: it runs already.
func (a *Assembly) deployment(ctx context.Context, began time.Time, point gitPoint, needs []string) (step *rollback.Step, err error) {
	c := a.Config.Rollback.Deploy
	s := deploy.Settings{
		Name: c.Name, Tool: c.Tool, Dir: c.Dir, Env: c.Env, Timeout: c.Timeout, Refresh: c.Refresh, Probe: c.Probe,
	}
	if c.Tool == deploy.ToolPulumi {
		s.Pulumi = deploy.Pulumi{Program: c.Program, Stack: c.Stack, Output: c.Output, Current: c.Current, Field: c.Field, Config: c.Key}
	} else {
		s.Command = deploy.Command{
			Current: c.Current, Field: c.Field, Up: c.Up, Rollback: c.Back, Preview: c.Preview, Refresh: c.Refreshes, History: c.History, Locked: c.Locked,
		}
	}
	for _, want := range wants(c.Version, began, point) {
		step, err = deploy.New(a.lookup).Plan(ctx, s, deploy.Wish{To: c.Version, Want: want, Needs: needs})
		if !errors.Is(err, lockstep.ErrNotFound) {
			break
		}
	}
	return step, err
}

// wants are by what the good deployment is looked for, the surest first. Few deployments
// are of the very commit that a migration began behind, so its first commit's date is the
// other: what was deployed before that has nothing of it.
func wants(known string, began time.Time, g gitPoint) []deploy.Want {
	switch {
	case known != "":
		return []deploy.Want{{}}
	case !began.IsZero():
		return []deploy.Want{{Before: began}}
	case !g.known:
		return []deploy.Want{{}}
	}
	out := []deploy.Want{{Commit: g.point.ID}}
	if len(g.point.Migration) == 0 {
		return out
	}
	first := slices.MinFunc(g.point.Migration, func(a, b git.Commit) int { return a.At.Compare(b.At) })
	return append(out, deploy.Want{Before: first.At})
}

// mayRun says whether something of the migration may be deployed. Only where that decides
// about the scenario are git and the deployment asked: whoever has named it or wants a
// quick rollback waits for neither, and what is not known is taken for deployed.
func (a *Assembly) mayRun(ctx context.Context, req Request, f *rollback.Facts) bool {
	if f.Standing != rollback.StandingNone || f.Written.Records > 0 || req.Procedure == rollback.Quick || req.Scenario != "" {
		return true
	}
	var point gitPoint
	if a.Config.Rollback.Git != nil {
		repo, err := a.repo()
		if err != nil {
			return true
		}
		if point.point, err = repo.FindPoint(ctx, repo.Query()); err != nil {
			return true
		}
		point.known = true
	}
	step, err := a.deployment(ctx, a.began(ctx, f.Release), point, nil)
	return err != nil || step != nil
}

// began is when a release, that of the bad revision, began: what ran before it was good.
func (a *Assembly) began(ctx context.Context, id string) time.Time {
	head, err := a.Control.Releases.Head(ctx)
	if err != nil {
		return time.Time{}
	}
	if r := head.State().Release; r != nil && r.ID == id {
		return r.StartedAt
	}
	return time.Time{}
}
