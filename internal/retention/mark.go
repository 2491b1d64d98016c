package retention

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// mark is what must stay, as of one moment.
type mark struct {
	policy Policy
	now    time.Time // by the store's clock
	tree   *tree
	pins   []Pin
	modified,
	objects map[string]blob.Meta // entries; deltas, base parts, imports, pins and comparisons

	present  map[base.ID]bool // bases with a manifest
	newestOf map[string]uint64

	low     uint64 // the lowest entry that must stay
	roots   int
	bases   map[base.ID]bool
	deltas  map[string]bool // of the entries from low on
	imports imports
	// oldShadows are the ledgers of comparisons that can go.
	oldShadows map[string]bool
	warnings   []string
	frozen     bool // a root cannot be rebuilt as it is: take nothing more from it
}

// look reads the whole store once and works out what must stay.
func look(ctx context.Context, log *version.Log, p Policy, now time.Time, inUse InUse) (*mark, error) {
	m := &mark{policy: p, present: map[base.ID]bool{}, bases: map[base.ID]bool{}}
	var err error
	if m.now, err = storeTime(ctx, log.Store(), now); err != nil {
		return nil, err
	}
	if m.pins, err = Pins(ctx, log); err != nil {
		return nil, err
	}
	if m.newestOf, err = newestPins(ctx, log.Store(), pinPrefix); err != nil {
		return nil, err
	}
	// The objects before the head: what was written since is not among them, and so
	// cannot be deleted by mistake.
	if m.modified, err = listed(ctx, log.Store(), version.LogPrefix+"/"); err != nil {
		return nil, err
	}
	if m.objects, err = listed(ctx, log.Store(), deltaPrefix, base.Prefix, version.ImportPrefix, pinPrefix, shadowPrefix); err != nil {
		return nil, err
	}
	if err := m.markShadows(ctx, inUse); err != nil {
		return nil, err
	}
	if m.tree, err = readTree(ctx, log); err != nil {
		return nil, err
	}
	m.findBases()
	m.settle()
	return m, m.markImports(ctx, log)
}

const deltaPrefix = "delta/"

func listed(ctx context.Context, s blob.Store, prefixes ...string) (map[string]blob.Meta, error) {
	out := map[string]blob.Meta{}
	for _, prefix := range prefixes {
		for m, err := range s.List(ctx, prefix, "") {
			if err != nil {
				return nil, fmt.Errorf("list %s: %w", prefix, err)
			}
			out[m.Key] = m
		}
	}
	return out, nil
}

func (m *mark) findBases() {
	for key := range m.objects {
		if id, _, ok := base.ParseKey(key); ok && key == id.ManifestKey() {
			m.present[id] = true
		}
	}
}

// settle computes low and the bases to keep.
func (m *mark) settle() {
	t := m.tree
	if len(t.nodes) == 0 {
		m.low = t.low
		m.deltas = map[string]bool{}
		return
	}
	m.low = t.newest()
	joins := t.joins()
	for i := range t.nodes {
		n := t.low + uint64(i)
		if n == t.newest() || m.young(n) {
			m.keep(n, joins, fmt.Sprintf("version %d", n))
		}
	}
	m.keepPinned(joins)
	m.keepBacklog()
	m.keepSpare()
	m.keepNewestBases()
	if m.frozen {
		m.low = t.low
		for id := range m.present {
			m.bases[id] = true
		}
	}
	m.low = max(m.low, t.low)
	m.markDeltas()
}

// young says whether a version is kept for its age. One that the listing does not
// show has no age yet.
func (m *mark) young(n uint64) bool {
	o, ok := m.modified[logKey(n)]
	return !ok || o.Modified.Add(m.policy.Keep).After(m.now)
}

func logKey(n uint64) string { return fmt.Sprintf("%s/%020d", version.LogPrefix, n) }

// keep makes a version a root: what rebuilds it stays, and the way between it and
// the head.
func (m *mark) keep(n uint64, joins []uint64, what string) {
	m.roots++
	m.low = min(m.low, n)
	m.keepWay(m.tree.at(n).base, n, what)
	if join := joins[n-m.tree.low]; join != math.MaxUint64 {
		m.low = min(m.low, join+1)
	}
}

// keepWay keeps a base, nil for the empty index, and the way from it to version n.
func (m *mark) keepWay(ref *version.BaseRef, n uint64, what string) {
	from := uint64(0)
	if ref != nil {
		id := idOf(ref)
		from = id.Version
		m.bases[id] = true
		if !m.present[id] {
			m.freeze("%s cannot be rebuilt: its base %s is missing", what, id.String())
			return
		}
	}
	lowest, err := m.tree.way(from, n)
	if err != nil {
		m.freeze("%s cannot be rebuilt: %v", what, err)
		return
	}
	m.low = min(m.low, lowest)
}

// maxWarnings bounds what a plan says: one damage can concern every version.
const maxWarnings = 20

func (m *mark) freeze(format string, args ...any) {
	m.frozen = true
	m.warn(format+"; no version and no base will be removed", args...)
}

func (m *mark) warn(format string, args ...any) {
	if len(m.warnings) < maxWarnings {
		m.warnings = append(m.warnings, fmt.Sprintf(format, args...))
	}
}

func (m *mark) keepPinned(joins []uint64) {
	for _, p := range m.pins {
		if p.Expired(m.now.Add(-pinGrace)) {
			continue
		}
		if p.Base != "" {
			m.bases[base.ID{Version: p.Version, Unique: p.Base}] = true
			continue
		}
		if m.tree.at(p.Version) == nil {
			m.warn("pin %s names version %d, which does not exist any more", p.Name, p.Version)
			continue
		}
		m.keep(p.Version, joins, fmt.Sprintf("version %d, pinned by %s,", p.Version, p.Name))
	}
}

// keepBacklog keeps the messages that are still to be replayed. What was discarded
// is given up and keeps nothing.
func (m *mark) keepBacklog() {
	for _, s := range m.tree.head.Backlog {
		lowest, err := m.tree.way(s.From, s.To)
		if errors.Is(err, lockstep.ErrNotFound) || errors.Is(err, lockstep.ErrCorrupt) {
			m.freeze("the messages of versions %d to %d, which wait to be replayed, are not all there: %v", s.From+1, s.To, err)
			continue
		}
		m.low = min(m.low, lowest)
	}
}

// keepSpare keeps the further ways to rebuild the head: from the bases before the
// newest, and from nothing when there are not enough of them.
func (m *mark) keepSpare() {
	ways := 1 // keep has kept the first
	head := m.tree.newest()
	bases := m.tree.lineBases()
	for i := 1; i < len(bases) && ways < m.policy.Bases; i++ {
		id := idOf(bases[i])
		if !m.present[id] {
			continue
		}
		lowest, err := m.tree.way(id.Version, head)
		if err != nil {
			continue // it was given up before; the way from nothing then is, too
		}
		m.bases[id] = true
		m.low = min(m.low, lowest)
		ways++
	}
	if ways >= m.policy.Bases || len(bases) == 0 {
		return
	}
	if lowest, err := m.tree.way(0, head); err == nil {
		m.low = min(m.low, lowest)
	}
}

// keepNewestBases keeps the newest whole bases, whoever refers to them.
func (m *mark) keepNewestBases() {
	left := map[base.ID]bool{}
	for id := range m.present {
		left[id] = true
	}
	for range m.policy.Bases {
		var newest base.ID
		for id := range left {
			if id.Version > newest.Version || id.Version == newest.Version && id.Unique > newest.Unique {
				newest = id
			}
		}
		if delete(left, newest); newest != (base.ID{}) {
			m.bases[newest] = true
		}
	}
}

func (m *mark) markDeltas() {
	m.deltas = map[string]bool{}
	for i := m.low - m.tree.low; i < uint64(len(m.tree.nodes)); i++ {
		if key := m.tree.nodes[i].delta; key != "" {
			m.deltas[key] = true
		}
	}
}
