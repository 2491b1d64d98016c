package retention

import (
	"context"
	"errors"
	"strings"

	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// imports says which archived imports must stay: those of messages that a kept version
// holds, since a replay of it needs them, and all of them while messages are parked,
// whose versions may be gone.
type imports struct {
	all    bool
	owners map[string]bool
}

func (i *imports) live(key string) bool { return i.all || i.owners[version.OwnerOf(key)] }

// markImports reads the messages of the kept versions, but only when some import is old
// enough to go: the deltas are most of the store.
func (m *mark) markImports(ctx context.Context, log *version.Log) error {
	m.imports.all = true
	if m.frozen || len(m.tree.nodes) == 0 || !m.oldImports() {
		return nil
	}
	if parked, _ := m.tree.head.Collection(lockstep.Parked); parked.Records > 0 {
		return nil
	}
	owners := map[string]bool{}
	for n := m.low; n <= m.tree.newest(); n++ {
		d, err := log.Delta(ctx, n)
		switch {
		case errors.Is(err, lockstep.ErrNotFound), errors.Is(err, lockstep.ErrCorrupt):
			m.warn("no import will be removed: %v", err)
			return nil
		case err != nil:
			return err
		case d == nil:
			continue
		}
		for i := range d.Messages {
			owners[version.ImportOwner(d.Messages[i].ID)] = true
		}
	}
	m.imports = imports{owners: owners}
	return nil
}

func (m *mark) oldImports() bool {
	for key, o := range m.objects {
		if strings.HasPrefix(key, version.ImportPrefix) && m.orphaned(o) {
			return true
		}
	}
	return false
}
