package git

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/lockstep"
)

// merging is what "git merge-tree --write-tree -z --name-only --no-messages" answers.
type merging struct {
	tree      string
	conflicts []string // files
}

// parseMergeTree reads its output, given its exit status: 1 for conflicts.
func parseMergeTree(fields []string, status int) (merging, error) {
	if len(fields) == 0 || !objectID.MatchString(fields[0]) {
		return merging{}, fmt.Errorf("%w git merge-tree: no tree", lockstep.ErrCorrupt)
	}
	m := merging{tree: fields[0]}
	for _, f := range fields[1:] {
		if f != "" {
			m.conflicts = append(m.conflicts, f)
		}
	}
	slices.Sort(m.conflicts)
	m.conflicts = slices.Compact(m.conflicts)
	if status == 1 && len(m.conflicts) == 0 {
		m.conflicts = []string{"(git names no file)"}
	}
	if status != 1 && len(m.conflicts) > 0 {
		return m, fmt.Errorf("%w git merge-tree: a clean merge with conflicts in %s", lockstep.ErrCorrupt, list(m.conflicts))
	}
	return m, nil
}

// oldest git that merges without a working tree.
const needMajor, needMinor = 2, 38

// newEnough reads "git version 2.39.5 (Apple Git-154)".
func newEnough(version string) error {
	fields := strings.Fields(version)
	if len(fields) < 3 || fields[0] != "git" || fields[1] != "version" {
		return fmt.Errorf("%w git version %q", lockstep.ErrCorrupt, oneLine(version, 80))
	}
	parts := strings.SplitN(fields[2], ".", 3)
	var n [2]int
	for i := range n {
		if i >= len(parts) {
			return fmt.Errorf("%w git version %q", lockstep.ErrCorrupt, oneLine(version, 80))
		}
		v, err := strconv.Atoi(parts[i])
		if err != nil {
			return fmt.Errorf("%w git version %q", lockstep.ErrCorrupt, oneLine(version, 80))
		}
		n[i] = v
	}
	if n[0] > needMajor || n[0] == needMajor && n[1] >= needMinor {
		return nil
	}
	return lockstep.Hint(fmt.Errorf("%w: git %s cannot merge without a working tree, which option revert needs", lockstep.ErrRefused, fields[2]),
		fmt.Sprintf("install git %d.%d or newer, use option reset, or revert by hand", needMajor, needMinor))
}
