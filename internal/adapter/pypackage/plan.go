package pypackage

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// Wish is what a plan adds to the settings.
type Wish struct {
	Key   string // of the plan: what is moved aside lies under it
	Aside string // a directory outside of the package, made when it is needed
	// InitHash is the SHA-256 of Settings.Init at the rollback point, in hexadecimal.
	// InitBody is its content. With the content alone the hash is worked out; with the hash
	// alone the file is checked and not written. Neither: it is left as it is.
	InitHash string
	InitBody []byte // an empty file: not nil
	Needs    []string
}

// Plan returns the step that takes a package back. It looks at no file, and what it
// returns holds absolute paths. ErrInvalid names every mistake in the settings.
func Plan(s Settings, w Wish) ([]rollback.Step, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	p := params{Settings: s, Key: w.Key, InitHash: strings.ToLower(w.InitHash), InitBody: w.InitBody}
	if w.InitBody != nil && w.InitHash == "" {
		p.InitHash = hash(w.InitBody)
	}
	var err error
	if p.Root, err = filepath.Abs(s.Root); err != nil {
		return nil, fmt.Errorf("%w root %.80q: %w", lockstep.ErrInvalid, s.Root, err)
	}
	if w.Aside == "" {
		return nil, lockstep.Hint(fmt.Errorf("%w wish: no directory to move things to", lockstep.ErrInvalid), "name one outside of the package, such as one below the data directory")
	}
	if p.Aside, err = filepath.Abs(w.Aside); err != nil {
		return nil, fmt.Errorf("%w aside %.80q: %w", lockstep.ErrInvalid, w.Aside, err)
	}
	switch {
	case s.Python == "":
		p.Python = "python3"
	case strings.ContainsRune(s.Python, filepath.Separator) && !filepath.IsAbs(s.Python):
		p.Python = filepath.Join(p.Root, s.Python)
	}
	if len(p.Reinstall) == 0 {
		p.Reinstall = defaultReinstall()
	}
	if p.Timeout == 0 {
		p.Timeout = defaultTimeout
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	step, err := p.step(Name)
	if err != nil {
		return nil, err
	}
	step.Needs = w.Needs
	return []rollback.Step{*step}, nil
}

// step is the step for these parameters.
func (p params) step(id string) (*rollback.Step, error) {
	body, err := encode(p)
	if err != nil {
		return nil, err
	}
	what := strings.Join(p.Directories, ", ")
	if what == "" {
		what = "what is gone"
	}
	s := &rollback.Step{
		ID: id, Target: Name, Phase: rollback.PhaseCode, Params: body,
		// No From: what is there is moved and not deleted, so it need not be what it was when
		// this was planned. By then git may have removed a part of it.
		Title: "Remove " + what + " and reinstall the package", To: Removed,
		Deadline:  p.Timeout + time.Duration(len(p.MustImport)+len(p.MustFail)+2)*probeTimeout,
		Predicted: 20*time.Second + time.Duration(len(p.MustImport)+len(p.MustFail))*time.Second,
		Changes:   "files below " + p.Root + "; what is installed for " + p.Python,
		Risk:      "Low: what is removed is kept in " + p.aside() + ".",
		Manual:    manualRemoval(p), UndoBy: "Putting it back from " + p.aside() + " and reinstalling",
	}
	if p.Restore {
		s.Title, s.To = "Put "+what+" back and reinstall the package", Restored
		s.Risk = "Low: nothing is written over; what is in the way is refused."
		s.Manual, s.UndoBy = manualRestore(p), "Moving it aside again"
	}
	return s, nil
}

// turned is the id of the step that takes one back.
func turned(id string) string {
	if first, again := strings.CutPrefix(id, "undo-"); again {
		return first
	}
	return "undo-" + id
}
