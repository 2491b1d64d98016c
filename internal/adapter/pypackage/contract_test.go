package pypackage

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lockstep/internal/rollback/targettest"
)

func TestThePackageKeepsTheContractOfTargets(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		w := newWorld(t)
		before, version := w.digest(), w.run("import receipt_chroma.compaction as c; print(c.__name__, receipt_chroma.__version__)")
		return targettest.Case{Target: w.target(), Step: w.plan(), Same: func() error {
			if got := w.digest(); got != before {
				return fmt.Errorf("the tree is another: %s, not %s", got, before)
			}
			if got := w.run("import receipt_chroma.compaction as c; print(c.__name__, receipt_chroma.__version__)"); got != version {
				return fmt.Errorf("python says %q, not %q", got, version)
			}
			return nil
		}}
	})
}

func TestTheCheckOfImportsKeepsTheContractOfTargets(t *testing.T) {
	targettest.Run(t, func(t *testing.T) targettest.Case {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "handler.py"), []byte("import json\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		steps, err := PlanImports(t.Context(), ImportsSettings{Root: dir, Forbidden: []string{"receipt_chroma.compaction"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return targettest.Case{Target: Imports{}, Step: steps[0]}
	})
}
