package pypackage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lockstep/internal/imports"
	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// ImportsName is the name under which steps know Imports.
const ImportsName = "imports"

// The states of a step of Imports.
const (
	Residual  = "residual"  // something still imports what is gone
	Unread    = "unread"    // sources that cannot be read: nobody knows what they import
	Unchecked = "unchecked" // nothing is left, and nobody has put that on record
	Clean     = "clean"     // nothing is left
)

// Imports checks that nothing imports what is gone. It changes no file.
type Imports struct{}

var _ rollback.Target = Imports{}

// importsParams are a step's own.
type importsParams struct{ ImportsSettings }

// record is what a Do keeps: that somebody looked, and at how much.
type record struct {
	Files   int `json:"files"`
	Local   int `json:"local"`
	Skipped int `json:"skipped"`
}

// maxTold is how many places one error or step lists.
const maxTold = 50

// PlanImports returns the step that checks a tree, with what is found there now as what a
// person has to see to. ErrInvalid names every mistake in the settings; the other errors
// are those of imports.Residual.
func PlanImports(ctx context.Context, s ImportsSettings, needs []string) ([]rollback.Step, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	root, err := filepath.Abs(s.Root)
	if err != nil {
		return nil, fmt.Errorf("%w root %.80q: %w", lockstep.ErrInvalid, s.Root, err)
	}
	s.Root = root
	r, err := s.search(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan the check of imports: %w", err)
	}
	body, err := encode(importsParams{s})
	if err != nil {
		return nil, err
	}
	return []rollback.Step{{
		ID: ImportsName, Target: ImportsName, Phase: rollback.PhaseCode, Needs: needs, Params: body,
		Title: "Check that nothing imports " + s.what(), To: Clean,
		Deadline: 2 * time.Minute, Predicted: 2 * time.Second,
		Changes: "Nothing; it is known what is left.", Risk: "None: it only reads.",
		Manual: s.manual(r), UndoBy: "There is nothing to take back.",
	}}, nil
}

func (s ImportsSettings) what() string {
	return strings.Join(append(append([]string{}, s.Forbidden...), s.Patterns...), ", ")
}

// manual is the list of what a person has to remove, and how to make it again.
func (s ImportsSettings) manual(r imports.Residue) string {
	args := []string{"grep", "-rnF"}
	for _, m := range s.Forbidden {
		args = append(args, "-e", m)
	}
	lines := []string{"cd " + quoted(s.Root), shown(append(args, "."))}
	if len(r.Findings) > 0 {
		lines = append(lines, "# When this was planned, these were to be removed:")
		lines = append(lines, listed(r)...)
	}
	return strings.Join(lines, "\n")
}

// listed are the places, one a line, and the sources that nobody could read.
func listed(r imports.Residue) []string {
	var lines []string
	for _, f := range r.Findings {
		lines = append(lines, f.String())
	}
	for _, u := range r.Unread() {
		lines = append(lines, u.Path+": not read: "+u.Reason)
	}
	if over := len(lines) - maxTold; over > 0 {
		lines = append(lines[:maxTold], fmt.Sprintf("and %d more", over))
	}
	return lines
}

func (s ImportsSettings) search(ctx context.Context) (imports.Residue, error) {
	if err := checkRoot(s.Root); err != nil {
		return imports.Residue{}, err
	}
	root, err := os.OpenRoot(s.Root)
	if err != nil {
		return imports.Residue{}, fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	defer func() { _ = root.Close() }() // it was only read
	self := s.Package
	if self == "" {
		self = packageOf(s.Root)
	}
	return imports.Residual(ctx, root.FS(), imports.Search{
		Forbidden: s.Forbidden, Paths: s.Paths, Patterns: s.Patterns, Roots: s.SourceRoots, Package: self,
	})
}

// packageOf is the dotted name of a directory that is a package, "" of one that is none.
func packageOf(dir string) string {
	var parts []string
	for {
		if _, err := os.Stat(filepath.Join(dir, "__init__.py")); err != nil || dir == filepath.Dir(dir) {
			return strings.Join(parts, ".")
		}
		parts = append([]string{filepath.Base(dir)}, parts...)
		dir = filepath.Dir(dir)
	}
}

func readImports(at rollback.At) (importsParams, *record, error) {
	var p importsParams
	if err := decode(at.Step.Params, &p); err != nil {
		return p, nil, fmt.Errorf("step %s: %w parameters: %w", at.Step.ID, lockstep.ErrInvalid, err)
	}
	if err := p.Check(); err != nil {
		return p, nil, fmt.Errorf("step %s: %w", at.Step.ID, err)
	}
	if len(at.Kept) == 0 {
		return p, nil, nil
	}
	r := &record{}
	if err := json.Unmarshal(at.Kept, r); err != nil {
		return p, nil, fmt.Errorf("step %s: what was kept: %w: %w", at.Step.ID, lockstep.ErrCorrupt, err)
	}
	return p, r, nil
}

// Look searches the tree, every time anew. The errors are those of imports.Residual.
func (Imports) Look(ctx context.Context, at rollback.At) (rollback.Sight, error) {
	if err := ctx.Err(); err != nil {
		return rollback.Sight{}, err
	}
	p, kept, err := readImports(at)
	if err != nil {
		return rollback.Sight{}, err
	}
	r, err := p.search(ctx)
	if err != nil {
		return rollback.Sight{}, fmt.Errorf("step %s: %w", at.Step.ID, err)
	}
	return p.sight(r, kept), nil
}

func (p importsParams) sight(r imports.Residue, kept *record) rollback.Sight {
	unread := r.Unread()
	s := rollback.Sight{State: Clean, Detail: fmt.Sprintf("%d files read, none imports %s", r.Files, p.what())}
	if len(r.Skipped) > 0 {
		s.Detail += fmt.Sprintf("; %d were passed over", len(r.Skipped))
	}
	if len(r.Mentions) > 0 {
		s.Detail += fmt.Sprintf("; %d strings and comments still name it", len(r.Mentions))
	}
	switch {
	case len(r.Findings) > 0:
		s.State, s.Detail = Residual, fmt.Sprintf("%s imports of %s are left, the first at %s", count(r), p.what(), r.Findings[0])
	case len(unread) > 0:
		s.State, s.Detail = Unread, fmt.Sprintf("%d sources were not read, the first is %s: %s", len(unread), unread[0].Path, unread[0].Reason)
	case r.Files == 0:
		s.State, s.Detail = Unread, "no file was read"
	case kept == nil:
		s.State = Unchecked
	}
	clean := s.State == Clean || s.State == Unchecked
	s.Evidence = []rollback.Evidence{{Item: rollback.ItemNoImports, OK: clean, Text: s.Detail, Link: p.Root}}
	switch {
	case len(r.Findings) > 0:
		s.Evidence = append(s.Evidence, rollback.Evidence{Item: rollback.ItemLocal, OK: false, Text: s.Detail, Link: p.Root})
	case clean && r.Local > 0:
		text := fmt.Sprintf("%d import statements name modules of the tree, none names %s", r.Local, p.what())
		s.Evidence = append(s.Evidence, rollback.Evidence{Item: rollback.ItemLocal, OK: true, Text: text, Link: p.Root})
	}
	return s
}

func count(r imports.Residue) string {
	if r.Cut {
		return fmt.Sprintf("more than %d", len(r.Findings))
	}
	return fmt.Sprint(len(r.Findings))
}

// Do puts on record that nothing is left. ErrRefused when something is, or when a source
// cannot be read, with the places, one a line.
func (Imports) Do(ctx context.Context, at rollback.At, keep rollback.Keeper) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, _, err := readImports(at)
	if err != nil {
		return err
	}
	r, err := p.search(ctx)
	if err != nil {
		return fmt.Errorf("step %s: %w", at.Step.ID, err)
	}
	s := p.sight(r, &record{})
	if s.State != Clean {
		err := fmt.Errorf("step %s: %w: %s:\n  %s", at.Step.ID, lockstep.ErrRefused, s.Detail, strings.Join(listed(r), "\n  "))
		return lockstep.Hint(err, "remove these imports in "+p.Root+", or correct forbidden and paths, and go on")
	}
	body, err := encode(record{Files: r.Files, Local: r.Local, Skipped: len(r.Skipped)})
	if err != nil {
		return err
	}
	keep.Say(s.Detail, int64(r.Files), int64(r.Files))
	return keep.Keep(ctx, body)
}

// Undo has nothing to take back.
func (Imports) Undo(context.Context, rollback.At) (*rollback.Step, error) {
	return nil, nil //nolint:nilnil // the contract: there is nothing to take back
}
