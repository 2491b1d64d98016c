package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// State is what a working tree is like now.
type State struct {
	Top       string `json:"top"`              // of the working tree
	Head      string `json:"head"`             // the commit; "": there is none yet
	Branch    string `json:"branch,omitempty"` // "": HEAD is detached
	Upstream  string `json:"upstream,omitempty"`
	Ahead     int    `json:"ahead,omitempty"`  // commits that the upstream has not
	Behind    int    `json:"behind,omitempty"` // commits that only the upstream has
	Dirty     []File `json:"dirty,omitempty"`
	Shallow   bool   `json:"shallow,omitempty"`   // the history is cut off
	Operation string `json:"operation,omitempty"` // what somebody has begun: merge, rebase, revert ...
}

// File is one path that differs from the head.
type File struct {
	Path string `json:"path"`
	How  Dirt   `json:"how"`
}

// Dirt says how a file differs from the head.
type Dirt string

// The kinds of dirt. A file that is staged and changed again has both.
const (
	Staged     Dirt = "staged"
	Unstaged   Dirt = "unstaged"
	Both       Dirt = "staged and unstaged"
	Untracked  Dirt = "untracked"
	Conflicted Dirt = "conflicted"
)

// State reads what there is. It changes nothing. ErrNotFound: there is no repository or
// no git.
func (r *Repo) State(ctx context.Context) (State, error) {
	w, err := r.open(ctx)
	if err != nil {
		return State{}, err
	}
	return w.state(ctx, r.settings.Paths)
}

// state lists what git does not follow file by file below the paths, and elsewhere by
// directory.
func (w *work) state(ctx context.Context, paths []string) (State, error) {
	out, err := w.look(ctx, "status", "--porcelain=v2", "--branch", "--untracked-files=normal", "--no-renames", "-z")
	if err != nil {
		return State{}, err
	}
	s, err := parseStatus(words(out))
	if err != nil {
		return State{}, err
	}
	if slices.ContainsFunc(s.Dirty, func(f File) bool { return f.How == Untracked && holdsAny(f.Path, paths) }) {
		others, err := w.look(ctx, withPaths([]string{"ls-files", "-z", "--others", "--exclude-standard"}, paths)...)
		if err != nil {
			return s, err
		}
		for _, f := range words(others) {
			s.Dirty = append(s.Dirty, File{f, Untracked})
		}
	}
	s.Top, s.Shallow = w.top, w.shallow
	s.Operation, err = operation(w.gitDir)
	return s, err
}

// holdsAny says whether a directory that git shows as one holds any of the paths. git
// shows a directory as one only when it follows nothing in it.
func holdsAny(dir string, paths []string) bool {
	return strings.HasSuffix(dir, "/") && slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(p, dir) })
}

// parseStatus reads "git status --porcelain=v2 --branch -z" without renames.
func parseStatus(lines []string) (State, error) {
	var s State
	for _, l := range lines {
		kind, rest, ok := strings.Cut(l, " ")
		if !ok {
			return s, fmt.Errorf("%w status line %q", lockstep.ErrCorrupt, l)
		}
		switch kind {
		case "#":
			s.header(rest)
		case "1", "u":
			// <XY> and the fields of its kind, then the path, which may hold blanks
			fields := strings.SplitN(rest, " ", map[string]int{"1": 8, "u": 10}[kind])
			path := fields[len(fields)-1]
			if len(fields) != map[string]int{"1": 8, "u": 10}[kind] || len(fields[0]) != 2 || path == "" {
				return s, fmt.Errorf("%w status line %q", lockstep.ErrCorrupt, l)
			}
			s.Dirty = append(s.Dirty, File{path, dirt(kind, fields[0])})
		case "?":
			s.Dirty = append(s.Dirty, File{rest, Untracked})
		case "!": // ignored: nobody asked
		default:
			return s, fmt.Errorf("%w status line %q", lockstep.ErrCorrupt, l)
		}
	}
	return s, nil
}

func (s *State) header(rest string) {
	name, value, _ := strings.Cut(rest, " ")
	switch name {
	case "branch.oid":
		if value != "(initial)" {
			s.Head = value
		}
	case "branch.head":
		if value != "(detached)" {
			s.Branch = value
		}
	case "branch.upstream":
		s.Upstream = value
	case "branch.ab":
		// Nothing is decided by them; what cannot be read stays 0.
		_, _ = fmt.Sscanf(value, "+%d -%d", &s.Ahead, &s.Behind)
	}
}

func dirt(kind, xy string) Dirt {
	switch {
	case kind == "u":
		return Conflicted
	case xy[1] == '.':
		return Staged
	case xy[0] == '.':
		return Unstaged
	}
	return Both
}

// operation says what somebody has begun in this working tree and not ended.
func operation(gitDir string) (string, error) {
	for _, o := range []struct{ file, name string }{
		{"rebase-merge", "rebase"},
		{"rebase-apply", "rebase"},
		{"MERGE_HEAD", "merge"},
		{"REVERT_HEAD", "revert"},
		{"CHERRY_PICK_HEAD", "cherry-pick"},
		{"sequencer", "revert or cherry-pick"},
		{"BISECT_LOG", "bisect"},
	} {
		_, err := os.Lstat(filepath.Join(gitDir, o.file))
		switch {
		case err == nil:
			return o.name, nil
		case !os.IsNotExist(err):
			return "", fmt.Errorf("%w: look into the git directory: %w", lockstep.ErrUnavailable, err)
		}
	}
	return "", nil
}

// place is where somebody stands: the short state that steps begin and end with.
func (s State) place() string { return place(s.Head, s.Branch) }

func place(head, branch string) string {
	if branch == "" {
		return "at " + short(head) + " on no branch"
	}
	return "at " + short(head) + " on " + branch
}

const shortID = 7

func short(id string) string { return id[:min(len(id), shortID)] }

// busy refuses a working tree in which somebody has begun something.
func (s State) busy() error {
	if s.Operation == "" {
		return nil
	}
	way := "git " + s.Operation + " --abort takes it back, --continue ends it"
	switch s.Operation {
	case "bisect":
		way = "git bisect reset ends it"
	case "revert or cherry-pick":
		way = "git status says which of the two; its --abort takes it back, --continue ends it"
	}
	return lockstep.Hint(fmt.Errorf("%w: a %s is under way in %s", lockstep.ErrRefused, s.Operation, s.Top), way)
}

// inWay lists what is not committed: everything that git follows, and what it does not
// follow inside the paths.
func (s State) inWay(paths []string) []File {
	var in []File
	for _, f := range s.Dirty {
		if f.How != Untracked || withinAny(strings.TrimSuffix(f.Path, "/"), paths) {
			in = append(in, f)
		}
	}
	return in
}

// dirtyError refuses a working tree with work in it, and names it.
func dirtyError(files []File) error {
	if len(files) == 0 {
		return nil
	}
	named := make([]string, len(files))
	for i, f := range files {
		named[i] = oneLine(f.Path, 200) + " (" + string(f.How) + ")"
	}
	return lockstep.Hint(fmt.Errorf("%w: the working tree has what is not committed: %s", lockstep.ErrRefused, list(named)),
		`commit it, or put it away with "git stash push --include-untracked"; nothing was touched. If a quick rollback left it, take that back first: "lockstep rollback undo"`)
}
