package git

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// The ids of the steps.
const (
	stepUnrestore = "git-unrestore"
	stepReference = "git-branch"
	stepRevert    = "git-revert"
	stepReset     = "git-reset"
	stepRestore   = "git-restore"
)

// Plan returns the steps that lead from the head to a point by one of the ways ("": that
// of the settings). It changes nothing that can be seen. What will stand in the way of a
// step, such as a conflict, is in its Risk and no error: the rest of a rollback goes on
// without it. lockstep.ErrConflict: the head has moved since the point was found.
// lockstep.ErrRefused: another branch is checked out than the configured one, or none.
func (r *Repo) Plan(ctx context.Context, point Point, option Option, now time.Time) ([]rollback.Step, error) {
	if option == "" {
		option = r.settings.Option
	}
	w, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	s, err := w.state(ctx, r.settings.Paths)
	if err != nil {
		return nil, err
	}
	if s.Head != point.Head {
		return nil, fmt.Errorf("plan from %s: the head is %s now: %w", short(point.Head), short(s.Head), lockstep.ErrConflict)
	}
	if err := w.onBranch(ctx, s); err != nil {
		return nil, err
	}
	d := &draft{work: w, state: s, point: point, now: now}
	if d.params, err = d.common(ctx, option); err != nil {
		return nil, err
	}
	var steps []rollback.Step
	if option != Restore {
		again, err := d.unrestore(ctx)
		if err != nil {
			return nil, err
		}
		steps = append(steps, again...)
	}
	steps = append(steps, d.reference())
	var last rollback.Step
	switch option {
	case Revert:
		last, err = d.revert(ctx)
	case Reset:
		last = d.reset()
	case Restore:
		last, err = d.restore(ctx)
	default:
		return nil, invalid("option", string(option), "want revert, reset or restore")
	}
	if err != nil {
		return nil, err
	}
	for _, before := range steps {
		last.Needs = append(last.Needs, before.ID)
	}
	return append(steps, last), nil
}

// onBranch refuses a checkout that is not the one that was meant.
func (w *work) onBranch(ctx context.Context, s State) error {
	want := w.settings.Branch
	if want == anything || s.Branch != "" && (want == "" || want == s.Branch) {
		return nil
	}
	if want != "" {
		return lockstep.Hint(fmt.Errorf("%w: %s is checked out, not %s", lockstep.ErrRefused, strings.TrimPrefix(s.place(), "at "), want), "git switch "+quoted(want))
	}
	names, err := w.holders(ctx, s.Head, "")
	if err != nil {
		return err
	}
	has := "no branch has it"
	if len(names) > 0 {
		has = list(names) + " has it"
	}
	return lockstep.Hint(fmt.Errorf("%w: HEAD is detached at %s; %s", lockstep.ErrRefused, short(s.Head), has), "git switch to the branch that is meant; or set branch: HEAD to roll back from whatever is checked out")
}

// draft is a plan in the making.
type draft struct {
	*work
	state  State
	point  Point
	now    time.Time
	params params
}

func (d *draft) common(ctx context.Context, option Option) (params, error) {
	s := d.settings
	p := params{Head: d.state.Head, Branch: d.state.Branch, Point: d.point.ID, Paths: s.Paths, At: d.now.UTC().Truncate(time.Second)}
	var err error
	if p.Reference, err = d.free(ctx, named(s.Reference, d.now), p.Head); err != nil {
		return p, err
	}
	if option != Restore {
		if p.Move = option == Reset && s.MoveBranch && p.Branch != ""; !p.Move {
			if p.Rollback, err = d.free(ctx, named(s.Rollback, d.now), ""); err != nil {
				return p, err
			}
		}
	}
	if p.Author, err = d.author(ctx); err != nil {
		return p, err
	}
	if len(p.Paths) > 0 {
		return p, nil
	}
	if option == Reset || option == Revert && len(d.point.Later) == 0 {
		p.Paths = []string{wholeTree}
		return p, nil
	}
	// Nobody has named paths: those that the migration has changed are meant.
	changed, err := d.changedBy(ctx, ids(d.point.Migration), nil)
	if err != nil {
		return p, err
	}
	all := set{}
	for _, files := range changed {
		for _, f := range files {
			all[f] = true
		}
	}
	if p.Paths = slices.Sorted(maps.Keys(all)); len(p.Paths) > maxPaths {
		return p, lockstep.Hint(fmt.Errorf("%w: the migration changed %d files", lockstep.ErrRefused, len(p.Paths)), "name the paths that are to be as before")
	}
	return p, nil
}

const maxPaths = 5000 // in a step

func ids(commits []Commit) []string {
	out := make([]string, len(commits))
	for i, c := range commits {
		out[i] = c.ID
	}
	return out
}

// author is who git says the person is, or who the settings say.
func (w *work) author(ctx context.Context) (string, error) {
	out, _, err := w.run(ctx, w.top, call{args: []string{"config", "-z", "--get-regexp", `^user\.(name|email)$`}, fine: []int{1}})
	if err != nil {
		return "", err
	}
	who := map[string]string{}
	for _, l := range words(out) { // the last of several is the one that counts
		key, value, _ := strings.Cut(l, "\n")
		who[key] = strings.TrimSpace(value)
	}
	author := who["user.name"] + " <" + who["user.email"] + ">"
	if _, _, err := splitAuthor(author); err != nil {
		return w.settings.Author, nil //nolint:nilerr // git knows none
	}
	return author, nil
}

// unrestore takes back what a quick rollback has left in the working tree, so that the
// full one begins with a clean one.
func (d *draft) unrestore(ctx context.Context) ([]rollback.Step, error) {
	if len(d.settings.Paths) == 0 || len(d.state.inWay(d.settings.Paths)) == 0 {
		return nil, nil
	}
	after, err := d.beside(ctx, d.point.ID, d.settings.Paths)
	if err != nil || len(after) > 0 {
		return nil, err
	}
	p := params{Head: d.point.ID, Point: d.state.Head, Paths: d.settings.Paths, Undo: true}
	return []rollback.Step{{
		ID: stepUnrestore, Target: TargetRestore, Phase: rollback.PhaseCode, Title: "Take back what a quick rollback left in the working tree",
		From: filesState(p.Head), To: filesState(p.Point), Params: encode(p), Predicted: time.Second,
		Changes: "files below the named paths, for a moment: the next steps bring them back", Manual: "git -C " + quoted(d.settings.Path) + p.restoreByHand()[len("git"):], UndoBy: "putting them back again",
	}}, nil
}

func (d *draft) reference() rollback.Step {
	p := params{Head: d.params.Head, Point: d.params.Point, Reference: d.params.Reference}
	return rollback.Step{
		ID: stepReference, Target: TargetReference, Phase: rollback.PhaseCode, Title: "Keep the head " + short(p.Head) + " in branch " + p.Reference,
		From: referenceState(p.Reference, ""), To: referenceState(p.Reference, p.Head), Params: encode(p), Predicted: 100 * time.Millisecond,
		Changes: "a branch more; no file changes. What there is now is recorded", Manual: d.command("branch", p.Reference, short(p.Head)), UndoBy: "deleting the branch",
	}
}

// command is one for a person.
func (d *draft) command(args ...string) string {
	return "git -C " + quoted(d.settings.Path) + " " + quotedAll(args)
}

func (d *draft) frame(id, target, title string) rollback.Step {
	return rollback.Step{
		ID: id, Target: target, Phase: rollback.PhaseCode, Title: title, From: d.params.begin(), To: d.params.end(), Params: encode(d.params),
		Risk: strings.Join(d.risks(), ". "),
	}
}

// risks are what the working tree itself may be in the way with.
func (d *draft) risks() []string {
	var r []string
	if d.state.Operation != "" {
		r = append(r, "a "+d.state.Operation+" is under way: end it first")
	}
	if err := dirtyError(d.state.inWay(d.params.Paths)); err != nil {
		r = append(r, "it will be refused unless this is put away: "+err.Error())
	}
	if d.state.Branch == "" {
		r = append(r, "HEAD is detached: the way back leads to a commit, not to a branch")
	}
	return r
}

func (d *draft) revert(ctx context.Context) (rollback.Step, error) {
	h, err := d.history(ctx, d.params.Head)
	if err != nil {
		return rollback.Step{}, err
	}
	mine := set{}
	for _, c := range d.point.Migration {
		mine[c.ID] = true
	}
	after := h.reach(h.reach(nil, d.point.ID), d.params.Head)
	if d.params.Picks, err = h.picks(d.point.ID, mine, h.reverted(after)); err != nil {
		return rollback.Step{}, err
	}
	if len(d.params.Picks) == 0 {
		return rollback.Step{}, fmt.Errorf("%w: nothing to take back after %s", lockstep.ErrNotFound, d.point.Commit)
	}
	changed, err := d.changedBy(ctx, ids(d.point.Later), d.params.Paths)
	if err != nil {
		return rollback.Step{}, err
	}
	d.params.Kept = map[string]string{}
	for _, c := range d.point.Later {
		for _, f := range changed[c.ID] {
			d.params.Kept[f] = c.String()
		}
	}
	s := d.frame(stepRevert, TargetRevert, fmt.Sprintf("Take back %s on branch %s, newest first", count(len(d.params.Picks), "commit"), d.params.Rollback))
	risks, err := d.rehearse(ctx)
	if err != nil {
		return s, err
	}
	s.Risk = strings.Join(append(d.risks(), risks...), ". ")
	s.Changes = fmt.Sprintf("the working tree, to a new branch; %s stays where it is", orNone(d.params.Branch))
	s.Predicted = time.Second + time.Duration(len(d.params.Picks))*50*time.Millisecond
	s.Manual = byHand(d.settings.Path, d.params.Head, d.params.Rollback, d.params.Picks)
	s.UndoBy = "going back to " + strings.TrimPrefix(d.params.begin(), "at ") + "; the commits stay as branch " + d.params.Rollback + "-undone"
	return s, nil
}

func orNone(branch string) string {
	if branch == "" {
		return "every branch"
	}
	return "branch " + branch
}

// rehearse makes the commits that the step will make, which nobody sees, and says what
// will be in the way of it.
func (d *draft) rehearse(ctx context.Context) ([]string, error) {
	var risks []string
	for _, f := range slices.Sorted(maps.Keys(d.params.Kept)) {
		risks = append(risks, f+" will differ from the point by "+d.params.Kept[f]+", which is not the migration's and stays")
	}
	if len(risks) > listed {
		risks = append(risks[:listed], count(len(risks)-listed, "other file")+" likewise")
	}
	a, err := d.apply(ctx, d.params, func(string, int64, int64) {})
	if err != nil {
		if !errors.Is(err, lockstep.ErrRefused) {
			return nil, err
		}
		return append(risks, "as things are it will be refused: "+err.Error()), nil
	}
	left, err := d.unlike(ctx, a.tip, d.params)
	if err != nil {
		return nil, err
	}
	if len(left) > 0 {
		risks = append(risks, "as things are it will be refused: these would still be unlike the point: "+list(left))
	}
	return risks, nil
}

func (d *draft) reset() rollback.Step {
	s := d.frame(stepReset, TargetReset, "Go to "+short(d.point.ID)+" on branch "+d.params.Rollback)
	s.Changes = fmt.Sprintf("the working tree, to a new branch at %s; %s stays where it is, and %s keeps the old head", d.point.Commit, orNone(d.params.Branch), d.params.Reference)
	s.Manual = d.command("switch", "-c", d.params.Rollback, short(d.point.ID))
	s.UndoBy = "going back to " + strings.TrimPrefix(d.params.begin(), "at ")
	if d.params.Move {
		s.Title = "Move branch " + d.params.Branch + " back to " + short(d.point.ID)
		s.Changes = fmt.Sprintf("branch %s itself and the working tree; %s keeps the old head. Whoever has fetched %s must be told", d.params.Branch, d.params.Reference, d.params.Branch)
		s.Manual = d.command("reset", "--keep", short(d.point.ID))
		s.UndoBy = "moving it to " + short(d.params.Head) + " again"
	}
	for _, c := range d.point.Later {
		s.Loss = append(s.Loss, fmt.Sprintf("%s by %s is not on branch %s (branch %s keeps it)", c, oneLine(c.Author, 60), d.params.endBranch(), d.params.Reference))
	}
	s.Predicted = time.Second
	return s
}

func (d *draft) restore(ctx context.Context) (rollback.Step, error) {
	p := params{Head: d.params.Head, Point: d.params.Point, Paths: d.params.Paths}
	changed, err := d.changedBy(ctx, ids(d.point.Later), p.Paths)
	if err != nil {
		return rollback.Step{}, err
	}
	s := d.frame(stepRestore, TargetRestore, fmt.Sprintf("Put %s back to %s", count(len(p.Paths), "named path"), short(p.Point)))
	s.From, s.To, s.Params = filesState(p.Head), filesState(p.Point), encode(p)
	var risks []string
	if d.state.Operation != "" {
		risks = d.risks()[:1]
	}
	for _, c := range d.point.Later {
		if files := changed[c.ID]; len(files) > 0 {
			risks = append(risks, fmt.Sprintf("%s changed %s too; that goes from the working tree, and stays in the history", c, list(files)))
		}
	}
	s.Risk = strings.Join(risks, ". ")
	s.Changes = "files below the named paths, on disk and in the index; no branch, no commit: git status will show them"
	s.Manual = "git -C " + quoted(d.settings.Path) + p.restoreByHand()[len("git"):]
	s.UndoBy = "putting them to what " + short(p.Head) + " has"
	s.Predicted = time.Second
	return s, nil
}
