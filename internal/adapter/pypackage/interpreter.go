package pypackage

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// probeScript imports one module and says what came of it; versionScript says which
// version a package has. Both print one line of JSON after a word of their caller's, since
// a module may print what it likes.
var (
	//go:embed probe.py
	probeScript string
	//go:embed version.py
	versionScript string
)

const probeTimeout = time.Minute

// Version is the version of an installed package.
type Version struct {
	Text   string `json:"text,omitempty"`
	Source string `json:"source,omitempty"` // "__version__" or "metadata"
	Why    string `json:"why,omitempty"`    // why it is not known
}

// String is the version for people.
func (v *Version) String() string {
	switch {
	case v == nil:
		return "unknown"
	case v.Text == "":
		return "unknown (" + v.Why + ")"
	}
	return v.Text + " (" + v.Source + ")"
}

// python asks the interpreter of a package.
type python struct {
	program string
	around  surroundings
}

// ask runs a script in a fresh process and an empty directory, where nothing is
// importable that is not installed.
func (py python) ask(ctx context.Context, script string, into any, args ...string) error {
	dir, err := os.MkdirTemp("", "lockstep-import-")
	if err != nil {
		return fmt.Errorf("%w: make a directory to import in: %w", lockstep.ErrUnavailable, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is empty, and is swept with other temporary files
	mark := rand.Text()
	argv := append([]string{py.program, "-c", script, mark}, args...)
	status, said, err := py.around.run(ctx, call{args: argv, dir: dir, timeout: probeTimeout})
	if err != nil {
		return err
	}
	_, answer, ok := strings.Cut(said, mark)
	answer, _, _ = strings.Cut(answer, "\n")
	if !ok {
		return fmt.Errorf("%w: %s ended with status %d and no answer: %s", lockstep.ErrUnavailable, quoted(py.program), status, lastLines(said, 2))
	}
	if err := json.Unmarshal([]byte(answer), into); err != nil {
		return fmt.Errorf("%w answer of %s: %w", lockstep.ErrInvalid, quoted(py.program), err)
	}
	return nil
}

// version never fails for the package's own sake: one that is broken may be why it is
// rolled back.
func (py python) version(ctx context.Context, module string) (*Version, error) {
	if module == "" {
		return nil, nil //nolint:nilnil // nobody wants to know
	}
	v := &Version{}
	err := py.ask(ctx, versionScript, v, module)
	if err != nil && (ctx.Err() != nil || errors.Is(err, lockstep.ErrNotFound) || errors.Is(err, lockstep.ErrRefused)) {
		return nil, fmt.Errorf("version of %s: %w", module, err)
	}
	if err != nil {
		return &Version{Why: err.Error()}, nil //nolint:nilerr // that nobody knows it is an answer
	}
	return v, nil
}

// attempt is what came of one import.
type attempt struct {
	OK    bool     `json:"ok"`
	Where []string `json:"where,omitempty"` // the files or directories it was loaded from
	// Import says that the failure is an ImportError; Name is the module that it names.
	Import bool   `json:"import,omitempty"`
	Name   string `json:"name,omitempty"`
	Error  string `json:"error,omitempty"`
}

// probed are the imports that were tried, and what is wrong.
type probed struct {
	tried int
	wrong []string
}

func (r probed) text() string {
	if len(r.wrong) == 0 {
		return fmt.Sprintf("%d imports are as they must be", r.tried)
	}
	return strings.Join(r.wrong, "; ")
}

// probe tries every import of the settings.
func (py python) probe(ctx context.Context, s Settings) (probed, error) {
	var r probed
	try := func(entry string) (attempt, error) {
		r.tried++
		module, name, _ := strings.Cut(entry, ":")
		var a attempt
		if err := py.ask(ctx, probeScript, &a, module, name); err != nil {
			return a, fmt.Errorf("%s: %w", importLine(entry), err)
		}
		return a, nil
	}
	for _, entry := range s.MustImport {
		a, err := try(entry)
		switch {
		case err != nil:
			return r, err
		case !a.OK:
			r.wrong = append(r.wrong, fmt.Sprintf("%q must work and fails: %s", importLine(entry), a.Error))
		}
	}
	for _, entry := range s.MustFail {
		a, err := try(entry)
		if err != nil {
			return r, err
		}
		if why := stillThere(entry, a, s.MustFail); why != "" {
			r.wrong = append(r.wrong, why)
		}
	}
	return r, nil
}

// stillThere says what is wrong with an import that must fail. It must fail because the
// module is not there: another failure would hide one that is.
func stillThere(entry string, a attempt, all []string) string {
	module, _, _ := strings.Cut(entry, ":")
	switch {
	case a.OK:
		return fmt.Sprintf("%q must fail and works: it is loaded from %s", importLine(entry), strings.Join(a.Where, ", "))
	case !a.Import:
		return fmt.Sprintf("%q must fail for want of %s and fails for another reason: %s", importLine(entry), module, a.Error)
	case a.Name == module:
		return ""
	}
	// A module in a package that must be gone too fails by the name of that.
	if strings.HasPrefix(module, a.Name+".") && slices.Contains(all, a.Name) {
		return ""
	}
	return fmt.Sprintf("%q must fail for want of %s and fails for want of %s: %s", importLine(entry), module, a.Name, a.Error)
}
