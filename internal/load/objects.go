package load

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lockstep/internal/durable"
	"lockstep/internal/receipt/synth"
)

// PutObject writes an object into the directory that stands for the bucket of imports.
func PutObject(dir string, o synth.Object) error {
	name := filepath.Join(dir, filepath.FromSlash(o.Key))
	if err := errors.Join(durable.MkdirAll(filepath.Dir(name)), durable.Replace(name, o.Body)); err != nil {
		return fmt.Errorf("put %s: %w", o.Key, err)
	}
	return nil
}

// RemoveObjects removes the embeddings that load tests have put there, and says how
// many runs that were. The store has archived what was imported: nothing needs them.
func RemoveObjects(dir string) (runs int, err error) {
	var errs []error
	for _, collection := range []string{"lines", "words"} {
		below := filepath.Join(dir, collection, "delta")
		entries, err := os.ReadDir(below)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove embeddings: %w", err))
		}
		for _, e := range entries {
			if !ownRun(e.Name()) {
				continue
			}
			if err := os.RemoveAll(filepath.Join(below, e.Name())); err != nil {
				errs = append(errs, fmt.Errorf("remove embeddings: %w", err))
				continue
			}
			if collection == "lines" {
				runs++
			}
		}
	}
	return runs, errors.Join(errs...)
}

func ownRun(name string) bool { return len(name) > len(marker) && name[:len(marker)] == marker }
