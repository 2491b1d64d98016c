package imports

import (
	"fmt"

	"lockstep/internal/lockstep"
)

// Limits bound what is read of a tree. A zero field means the default.
type Limits struct {
	FileBytes int64 // a longer file is skipped, and listed; default 8 MiB
	Files     int   // files and directories of the tree, read or not; default 200,000
	Depth     int   // directories below each other; default 64
	Found     int   // imports listed; default 10,000
}

// The defaults of Limits.
const (
	DefaultFileBytes = 8 << 20
	DefaultFiles     = 200_000
	DefaultDepth     = 64
	DefaultFound     = 10_000
)

func (l Limits) resolved() (Limits, error) {
	if l.FileBytes == 0 {
		l.FileBytes = DefaultFileBytes
	}
	if l.Files == 0 {
		l.Files = DefaultFiles
	}
	if l.Depth == 0 {
		l.Depth = DefaultDepth
	}
	if l.Found == 0 {
		l.Found = DefaultFound
	}
	if l.FileBytes < 0 || l.FileBytes > 1<<30 || l.Files < 0 || l.Depth < 0 || l.Found < 0 {
		return l, fmt.Errorf("%w limits of the search: %+v, want positive numbers and files of at most 1 GiB", lockstep.ErrInvalid, l)
	}
	return l, nil
}
