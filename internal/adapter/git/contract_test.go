package git

import (
	"testing"

	"lockstep/internal/rollback"
	"lockstep/internal/rollback/targettest"
)

func TestTheTargetsKeepTheContract(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		option Option
		step   string
		change func(*Settings)
		world  func(migrated)
	}{
		{name: "reference", option: Revert, step: stepReference},
		{name: "revert", option: Revert, step: stepRevert},
		{name: "reset", option: Reset, step: stepReset},
		{name: "reset the branch itself", option: Reset, step: stepReset, change: func(s *Settings) { s.MoveBranch = true }, world: func(m migrated) {
			m.git("branch", "migration-rollback-20260105")
		}},
		{name: "restore", option: Restore, step: stepRestore},
		{name: "detached", option: Revert, step: stepRevert, change: func(s *Settings) { s.Branch = "HEAD" }, world: func(m migrated) {
			m.git("switch", "--quiet", "--detach")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			targettest.Run(t, func(t *testing.T) targettest.Case {
				m := newMigrated(t)
				if c.world != nil {
					c.world(m)
				}
				r := m.repo(c.change)
				list := pristine
				if c.world != nil {
					list = func(t *testing.T, o Option) []rollback.Step { t.Helper(); return steps(t, r, o) }
				}
				s := stepOf(t, list(t, c.option), c.step)
				before := m.print()
				return targettest.Case{Target: Targets(r)[s.Target], Step: s, Same: func() error { return m.same(before) }}
			})
		})
	}
}
