package git

import (
	"context"
	"fmt"
	"strings"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// The names under which the targets are known.
const (
	TargetReference = "git-reference" // a branch that keeps the old head
	TargetRevert    = "git-revert"    // option A
	TargetReset     = "git-reset"     // option B
	TargetRestore   = "git-restore"   // the named paths only
)

// Targets returns the targets for one repository under their names.
func Targets(r *Repo) map[string]rollback.Target {
	return map[string]rollback.Target{
		TargetReference: Reference{r}, TargetRevert: Tree{r}, TargetReset: Tree{r}, TargetRestore: Files{r},
	}
}

var (
	_ rollback.Target = Reference{}
	_ rollback.Target = Tree{}
	_ rollback.Target = Files{}
)

// Reference keeps the head in a branch, before anything is taken back.
type Reference struct{ repo *Repo }

// Look says at which commit the branch is.
func (t Reference) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	p, k, err := read(at)
	if err != nil {
		return rollback.Sight{}, err
	}
	w, err := t.repo.open(ctx)
	if err != nil {
		return rollback.Sight{}, err
	}
	commit, err := w.branch(ctx, p.Reference)
	if err != nil {
		return rollback.Sight{}, err
	}
	s := rollback.Sight{State: referenceState(p.Reference, commit)}
	if k.Record != nil {
		s.Detail = fmt.Sprintf("recorded: %s, %s since the point", k.Record.State.place(), count(len(k.Record.Changes)+k.Record.Omitted, "changed file"))
	}
	if !p.Undo {
		text := "there is no branch " + p.Reference
		if commit != "" {
			text = "branch " + p.Reference + " at " + short(commit)
		}
		s.Evidence = append(s.Evidence, rollback.Evidence{Item: rollback.ItemGitBranch, OK: commit == p.Head, Text: text})
	}
	return s, nil
}

func referenceState(name, commit string) string {
	if commit == "" {
		return "no branch " + name
	}
	return name + " at " + short(commit)
}

// Do makes the branch, and records first what there is. lockstep.ErrConflict: a branch of
// that name is at another commit, and stays there.
func (t Reference) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	p, k, err := read(at)
	if err != nil {
		return err
	}
	w, err := t.repo.open(ctx)
	if err != nil {
		return err
	}
	if p.Undo {
		return w.dropReference(ctx, p)
	}
	commit, err := w.branch(ctx, p.Reference)
	if err != nil {
		return err
	}
	k.Made = k.Made || commit == "" // else it was somebody's, and an undo leaves it
	if k.Record == nil {
		rec, err := w.record(ctx, p.Point)
		if err != nil {
			return err
		}
		k.Record = &rec
		if err := keep.Keep(ctx, encode(k)); err != nil {
			return err
		}
	}
	return w.create(ctx, p.Reference, p.Head, "lockstep: before a rollback")
}

// dropReference takes the name away, if the commit has another one.
func (w *work) dropReference(ctx context.Context, p params) error {
	commit, err := w.branch(ctx, p.Reference)
	if err != nil || commit == "" {
		return err
	}
	if commit != p.Head {
		return fmt.Errorf("delete branch %s: it is at %s, not at %s: %w", p.Reference, short(commit), short(p.Head), lockstep.ErrConflict)
	}
	others, err := w.holders(ctx, commit, p.Reference)
	if err != nil {
		return err
	}
	if len(others) == 0 {
		return lockstep.Hint(fmt.Errorf("%w: delete branch %s: nothing else has the commit %s", lockstep.ErrRefused, p.Reference, short(commit)), "keep it, or give the commit another branch first")
	}
	return w.rename(ctx, p.Reference, commit, "", "lockstep: a rollback was taken back")
}

// Undo deletes the branch, if this step has made it.
func (t Reference) Undo(_ context.Context, at rollback.At) (*rollback.Step, error) {
	p, k, err := read(at)
	if err != nil {
		return nil, err
	}
	if p.Undo {
		p.Undo = false
		return t.step(at.Step, p, "Keep the head in branch "+p.Reference), nil
	}
	if !k.Made {
		return nil, nil //nolint:nilnil // the contract: there is nothing to take back
	}
	p.Undo = true
	return t.step(at.Step, p, "Delete branch "+p.Reference), nil
}

// step is the one that leads from the end of another to its beginning.
func (Reference) step(s rollback.Step, p params, title string) *rollback.Step {
	b := back(s, p, title)
	b.Manual = "git branch " + quoted(p.Reference) + " " + short(p.Head)
	b.Changes = "a branch more; no file changes"
	if p.Undo {
		b.Manual = "git branch -D " + quoted(p.Reference)
		b.Changes = "a branch less; its commit has another one"
	}
	return b
}

// back is the frame of the step that takes another back.
func back(s rollback.Step, p params, title string) *rollback.Step {
	id, again := strings.CutPrefix(s.ID, "undo-")
	if !again {
		id = "undo-" + s.ID
	}
	return &rollback.Step{
		ID: id, Target: s.Target, Phase: s.Phase, Title: title, From: s.To, To: s.From, Params: encode(p),
		Deadline: s.Deadline, Predicted: s.Predicted, UndoBy: s.Title,
	}
}
