package git

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Settings say which repository is meant and what in it is the migration's. The zero
// value is a repository in the current directory of which nothing is known.
type Settings struct {
	Path string `yaml:"path"` // anywhere in the working tree; "": the current directory
	Git  string `yaml:"git"`  // the program; "": git
	// Branch must be checked out. "": any branch. HEAD: whatever is checked out, also
	// no branch at all.
	Branch string `yaml:"branch"`
	// Paths are the migrated files and directories, from the top of the working tree. In
	// the end they are as they were at the point.
	Paths   []string  `yaml:"paths"`
	Point   string    `yaml:"point"`   // the commit to go back to, when it is known
	Message string    `yaml:"message"` // regular expression over the messages of the migration's commits
	Since   time.Time `yaml:"since"`   // no commit before this is the migration's
	Until   time.Time `yaml:"until"`   // no commit after this is the migration's
	Also    []string  `yaml:"also"`    // commits that belong to the migration as well
	Option  Option    `yaml:"option"`  // "": revert
	// Reference and Rollback name the branches; {date} is the day of the plan.
	Reference string `yaml:"reference"` // "": migration-rollback-{date}
	Rollback  string `yaml:"rollback"`  // "": rollback-{date}
	// MoveBranch lets option reset move the branch that is checked out, instead of leaving
	// it and making another. Whoever has fetched it must be told.
	MoveBranch bool   `yaml:"move_branch"`
	Hooks      bool   `yaml:"hooks"`  // run the hooks of the repository
	Author     string `yaml:"author"` // "Name <address>" of new commits, where git knows none
}

// Option is a way back.
type Option string

// The ways back: the two of the full procedure, and that of the quick one.
const (
	Revert  Option = "revert"  // new commits take the migration's back; history stays
	Reset   Option = "reset"   // a branch at the point; what came after it is not on it
	Restore Option = "restore" // the named paths only, in the working tree, no commit
)

const (
	defaultReference = "migration-rollback-{date}"
	defaultRollback  = "rollback-{date}"
	defaultAuthor    = "Lockstep <lockstep@localhost>"
	wholeTree        = "."
	anything         = "HEAD" // as Settings.Branch
)

// resolved returns s with its defaults, or lockstep.ErrInvalid that names the field.
func (s Settings) resolved() (Settings, error) {
	for _, d := range []struct {
		at       *string
		fallback string
	}{{&s.Path, "."}, {&s.Git, "git"}, {&s.Reference, defaultReference}, {&s.Rollback, defaultRollback}, {&s.Author, defaultAuthor}, {(*string)(&s.Option), string(Revert)}} {
		if *d.at == "" {
			*d.at = d.fallback
		}
	}
	if !slices.Contains([]Option{Revert, Reset, Restore}, s.Option) {
		return s, invalid("option", string(s.Option), "want revert, reset or restore")
	}
	if _, _, err := splitAuthor(s.Author); err != nil {
		return s, err
	}
	if _, err := regexp.Compile(s.Message); err != nil {
		return s, invalid("message", s.Message, err.Error())
	}
	if !s.Since.IsZero() && !s.Until.IsZero() && s.Until.Before(s.Since) {
		return s, invalid("until", s.Until.Format(time.RFC3339), "it is before since")
	}
	day := time.Date(2006, 1, 2, 0, 0, 0, 0, time.UTC)
	for _, b := range []struct{ field, name string }{{"branch", s.Branch}, {"reference", named(s.Reference, day)}, {"rollback", named(s.Rollback, day)}} {
		if b.name != "" && !validBranch(b.name) || b.name == anything && b.field != "branch" {
			return s, invalid(b.field, b.name, "git takes no such name for a branch")
		}
	}
	if named(s.Reference, day) == named(s.Rollback, day) {
		return s, invalid("rollback", s.Rollback, "reference has the same name")
	}
	for _, c := range append(slices.Clone(s.Also), s.Point) {
		if strings.HasPrefix(c, "-") || strings.ContainsAny(c, "\x00\n") {
			return s, invalid("point", c, "it names no commit")
		}
	}
	var err error
	s.Paths, err = cleanPaths(s.Paths)
	return s, err
}

func invalid(field, value, why string) error {
	return fmt.Errorf("%w git %s: %q: %s", lockstep.ErrInvalid, field, value, why)
}

// cleanPaths returns the paths in git's spelling, sorted, without those below others.
func cleanPaths(paths []string) ([]string, error) {
	var all []string
	for _, p := range paths {
		c := path.Clean(p)
		if p == "" || path.IsAbs(p) || c == ".." || strings.HasPrefix(c, "../") || strings.ContainsRune(p, 0) {
			return nil, invalid("paths", p, "want a path inside the repository, from its top")
		}
		if c == ".git" || strings.HasPrefix(c, ".git/") {
			return nil, invalid("paths", p, "it belongs to git itself")
		}
		all = append(all, c)
	}
	slices.Sort(all)
	var kept []string
	for _, p := range slices.Compact(all) {
		if !slices.ContainsFunc(all, func(other string) bool { return other != p && within(p, other) }) {
			kept = append(kept, p)
		}
	}
	return kept, nil
}

// within says whether a path is another one or below it.
func within(p, dir string) bool {
	return dir == wholeTree || p == dir || strings.HasPrefix(p, dir+"/")
}

// withinAny says whether a path is one of the others or below one.
func withinAny(p string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return within(p, d) })
}

// named fills in the day.
func named(pattern string, now time.Time) string {
	return strings.ReplaceAll(pattern, "{date}", now.UTC().Format("20060102"))
}

// validBranch keeps the rules of git-check-ref-format.
func validBranch(name string) bool {
	if name == "" || name == "@" || strings.HasPrefix(name, "-") || strings.HasSuffix(name, ".") ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.ContainsAny(name, " ~^:?*[\\\x7f") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' })
}

var authorForm = regexp.MustCompile(`^([^<>\n\x00]*[^<>\n\x00\s])\s*<([^<>\n\x00]+)>$`)

// splitAuthor reads "Name <address>".
func splitAuthor(author string) (name, address string, err error) {
	m := authorForm.FindStringSubmatch(strings.TrimSpace(author))
	if m == nil {
		return "", "", invalid("author", author, "want Name <address>")
	}
	return m[1], m[2], nil
}
