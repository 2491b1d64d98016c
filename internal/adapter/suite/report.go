package suite

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"lockstep/internal/lockstep"
)

const maxReport = 64 << 20

// stamp tells whether a report file was written anew.
type stamp struct {
	at   time.Time
	size int64
	file os.FileInfo
}

func stampOf(s Suite) stamp {
	info, err := os.Stat(filepath.Join(s.Dir, s.JUnit))
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size(), info}
}

// readReport reads the report file. ErrInvalid: it is not there, it is the one that was
// there before the run, or it is too long; a report of another run says nothing of this one.
func readReport(s Suite, before stamp) ([]byte, error) {
	now := stampOf(s)
	switch {
	case now.file == nil:
		return nil, fmt.Errorf("%w report: the run wrote no %s", lockstep.ErrInvalid, s.JUnit)
	case before.file != nil && os.SameFile(before.file, now.file) && before.at.Equal(now.at) && before.size == now.size:
		return nil, fmt.Errorf("%w report: %s is older than the run", lockstep.ErrInvalid, s.JUnit)
	}
	f, err := os.Open(filepath.Join(s.Dir, s.JUnit))
	if err != nil {
		return nil, fmt.Errorf("%w report: %w", lockstep.ErrInvalid, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(f, maxReport+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w report: %w", lockstep.ErrInvalid, err)
	case len(body) > maxReport:
		return nil, fmt.Errorf("%w report: more than %d bytes", lockstep.ErrInvalid, maxReport)
	}
	return body, nil
}
