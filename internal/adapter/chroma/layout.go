package chroma

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"lockstep/internal/durable"
	"lockstep/internal/lockstep"
)

// Names under the root of a follower.
const (
	currentName  = "current"       // symbolic link to the published directory
	lockName     = "lockstep.lock" // flock: one step at a time
	templateName = "template"      // an empty Chroma directory, kept for the next full build
)

// A built directory is named for its version and for the order of building: after
// a step backward the higher version is not the later build.
var buildPattern = regexp.MustCompile(`^v([0-9]{20})-([0-9]{6,18})$`)

func buildName(version, number uint64) string { return fmt.Sprintf("v%020d-%06d", version, number) }

// buildNumber returns the number in a build's name; ok is false for other names.
func buildNumber(name string) (n uint64, ok bool) {
	m := buildPattern.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(m[2], 10, 64)
	return n, err == nil
}

// nextBuildNumber is one more than the highest of names.
func nextBuildNumber(names []string) uint64 {
	var top uint64
	for _, name := range names {
		n, _ := buildNumber(name)
		top = max(top, n)
	}
	return top + 1
}

// current returns the published directory, "" when there is none. ErrRefused when
// root/current is not a link that a follower made.
func (d *Directory) current() (string, error) {
	link := filepath.Join(d.root, currentName)
	target, err := os.Readlink(link)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		err = fmt.Errorf("%w: %s is not a symbolic link: %w", lockstep.ErrRefused, link, err)
		return "", lockstep.Hint(err, "move what is there away, or give the follower an empty directory of its own")
	}
	if _, ok := buildNumber(target); !ok {
		err = fmt.Errorf("%w: %s points to %s, which no follower made", lockstep.ErrRefused, link, target)
		return "", lockstep.Hint(err, "remove the link, or give the follower an empty directory of its own")
	}
	return filepath.Join(d.root, target), nil
}

// Current returns the path of the published directory with the link resolved: what
// a reader has open, and stays the same when another version is published. "" when
// nothing was published. ErrRefused when root/current is not ours.
func (d *Directory) Current() (string, error) { return d.current() }

// builds lists the names of all built directories, latest build first.
func (d *Directory) builds() ([]string, error) {
	entries, err := os.ReadDir(d.root)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", d.root, err)
	}
	var names []string
	for _, e := range entries {
		if _, ok := buildNumber(e.Name()); ok && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		x, _ := buildNumber(a)
		y, _ := buildNumber(b)
		return cmp.Compare(y, x)
	})
	return names, nil
}

// removeUnfinished removes what a killed step left. The caller holds the lock, so
// nobody is building.
func (d *Directory) removeUnfinished() error {
	if err := durable.Sweep(d.root, time.Hour); err != nil {
		return fmt.Errorf("sweep %s: %w", d.root, err)
	}
	names, err := d.builds()
	if err != nil {
		return err
	}
	for _, name := range names {
		dir := filepath.Join(d.root, name)
		if _, err := os.Lstat(filepath.Join(dir, unfinishedName)); err != nil {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove the unfinished build %s: %w", dir, err)
		}
	}
	return nil
}

// prune removes built directories beyond Options.Keep, never the published one, the
// one before it, nor one that a process has open. What it cannot remove costs only
// space and is tried again after the next step.
func (d *Directory) prune(published, before string) {
	names, err := d.builds()
	if err != nil {
		return
	}
	for _, name := range surplus(names, published, before, d.opts.Keep) {
		dir := filepath.Join(d.root, name)
		if len(holdersOf(dir)) == 0 {
			_ = os.RemoveAll(dir)
		}
	}
}

// surplus chooses from names, latest first, what is beyond keep previous
// directories. The directory that was published just before counts as the first.
func surplus(names []string, published, before string, keep int) []string {
	left := max(keep, 0)
	var out []string
	if left > 0 && slices.Contains(names, before) && before != published {
		left--
	} else {
		before = ""
	}
	for _, name := range names {
		switch {
		case name == published || name == before:
		case left > 0:
			left--
		default:
			out = append(out, name)
		}
	}
	return out
}
