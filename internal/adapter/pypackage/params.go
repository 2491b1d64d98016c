package pypackage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// params are a step's own. Paths are absolute, or from Root.
type params struct {
	Settings
	Key   string `json:"key"`   // of the plan: where in Aside things lie
	Aside string `json:"aside"` // outside of Root
	// InitHash is the SHA-256 of Init at the rollback point. InitBody is its content, when
	// it is known: without it the file can be checked, and not be written.
	InitHash string `json:"init_sha256,omitempty"`
	InitBody []byte `json:"init_body,omitempty"`
	// The rest is of the step that takes another back.
	Restore    bool     `json:"restore,omitempty"`
	Moves      []move   `json:"moves,omitempty"`
	InitBefore *content `json:"init_before,omitempty"`
	Before     *Version `json:"before,omitempty"`
}

// move is one thing that lies aside, or is about to.
type move struct {
	Path   string `json:"path"`   // from Root
	Slot   string `json:"slot"`   // where it lies
	Digest string `json:"digest"` // of all that is in it
}

// content is a small file.
type content struct {
	Body []byte      `json:"body"`
	Mode fs.FileMode `json:"mode"`
	Gone bool        `json:"gone,omitempty"` // there was none
}

// kept is what a Do has come to.
type kept struct {
	Before *Version `json:"before,omitempty"` // of the package, before anything was done
	After  *Version `json:"after,omitempty"`  // and when it was reinstalled
	Moves  []move   `json:"moves,omitempty"`  // each is here before it is made
	// Init is what was there before it was written.
	Init        *content `json:"init,omitempty"`
	Reinstalled bool     `json:"reinstalled,omitempty"`
	Said        string   `json:"said,omitempty"` // the end of what the reinstall said
}

const maxInit = 1 << 20 // bytes of an __init__.py

// read opens a step. k is nil when nothing was kept.
func read(at rollback.At) (p params, k *kept, err error) {
	if err := decode(at.Step.Params, &p); err != nil {
		return p, nil, fmt.Errorf("step %s: %w parameters: %w", at.Step.ID, lockstep.ErrInvalid, err)
	}
	if err := p.check(); err != nil {
		return p, nil, fmt.Errorf("step %s: %w", at.Step.ID, err)
	}
	if len(at.Kept) > 0 {
		k = &kept{}
		if err := json.Unmarshal(at.Kept, k); err != nil {
			return p, nil, fmt.Errorf("step %s: what was kept: %w: %w", at.Step.ID, lockstep.ErrCorrupt, err)
		}
	}
	return p, k, nil
}

func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// check is for parameters that come from a journal: what they name will be moved.
func (p params) check() error {
	if err := p.Check(); err != nil {
		return err
	}
	switch {
	case !filepath.IsAbs(p.Root) || !filepath.IsAbs(p.Aside):
		return fmt.Errorf("%w parameters: root %.80q and aside %.80q must be absolute", lockstep.ErrInvalid, p.Root, p.Aside)
	case within(p.Aside, p.Root) || within(p.Root, p.Aside):
		return lockstep.Hint(fmt.Errorf("%w aside: %s and the package %s are in each other", lockstep.ErrInvalid, p.Aside, p.Root), "name a directory outside of the package")
	case !validKey(p.Key):
		return fmt.Errorf("%w key %.80q: want letters, digits, dots and hyphens", lockstep.ErrInvalid, p.Key)
	case len(p.InitBody) > maxInit:
		return fmt.Errorf("%w init: %d bytes, more than %d", lockstep.ErrInvalid, len(p.InitBody), maxInit)
	case len(p.InitBody) > 0 && hash(p.InitBody) != p.InitHash:
		return fmt.Errorf("%w init: its content is not that of its hash", lockstep.ErrInvalid)
	case p.InitHash != "" && !sha256Hex.MatchString(p.InitHash):
		return fmt.Errorf("%w init: %.80q is no SHA-256 in hexadecimal", lockstep.ErrInvalid, p.InitHash)
	case p.InitHash != "" && p.Init == "":
		return fmt.Errorf("%w init: a content for no file", lockstep.ErrInvalid)
	}
	for _, m := range p.Moves {
		if !isBelow(m.Path) || filepath.Dir(m.Slot) != p.aside() {
			return fmt.Errorf("%w move of %.80q from %.80q", lockstep.ErrInvalid, m.Path, m.Slot)
		}
	}
	return nil
}

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

func validKey(key string) bool {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}
	return key != "" && len(key) <= 128 && key[0] != '.' && !bytes.ContainsFunc([]byte(key), bad)
}

// aside is the directory of this plan.
func (p params) aside() string { return filepath.Join(p.Aside, p.Key) }

// slot is where the n-th thing lies.
func (p params) slot(n int, name string) string {
	return filepath.Join(p.aside(), strconv.Itoa(n)+"-"+filepath.Base(name))
}

// command is the reinstall with its interpreter.
func (p params) command() []string {
	args := slices.Clone(p.Reinstall)
	for i := range args {
		if args[i] == interpreter {
			args[i] = p.Python
		}
	}
	return args
}

// writable says whether the content of Init is known: an empty file has no bytes.
func (p params) writable() bool { return p.InitHash != "" && hash(p.InitBody) == p.InitHash }

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func encode(v any) (json.RawMessage, error) {
	body, err := json.Marshal(v)
	if err != nil { // strings, numbers and lists; it cannot fail
		return nil, fmt.Errorf("%w: %w", lockstep.ErrInvalid, err)
	}
	return body, nil
}
