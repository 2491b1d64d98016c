package retention

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/base"
	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

// Reason says why an object can go.
type Reason string

// The reasons.
const (
	RetiredEntry Reason = "entry of a retired version"
	RetiredDelta Reason = "delta of a retired version"
	OldBase      Reason = "base that nothing kept is rebuilt from"
	OrphanDelta  Reason = "orphan: delta that no version names"
	OrphanBase   Reason = "orphan: part of an unfinished base"
	OldImport    Reason = "import of a message that no kept version holds"
	OldPin       Reason = "pin that was replaced or has run out"
	OldShadow    Reason = "comparison of a release that is long over"
)

// Plan is what one collection would delete, and why.
type Plan struct {
	Format   int              `json:"format"`
	N        uint64           `json:"n,omitempty"` // 0: not stored, a dry run
	At       time.Time        `json:"at"`          // by the store's clock
	Policy   Policy           `json:"policy"`
	Head     uint64           `json:"head"`
	Low      uint64           `json:"low"`   // versions below it are retired
	Roots    int              `json:"roots"` // versions kept for their own sake
	Items    []Item           `json:"items"`
	Objects  int              `json:"objects"` // in all, also those beyond the bound of Items
	Bytes    int64            `json:"bytes"`
	ByReason map[Reason]Total `json:"by_reason"`
	Warnings []string         `json:"warnings,omitempty"`
}

// Item is one object to be deleted.
type Item struct {
	Key      string    `json:"key"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"` // by the store's clock
	Reason   Reason    `json:"reason"`
}

// Total counts objects.
type Total struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

const (
	planFormat = 1
	// maxItems bounds a plan. What it has no room for is an orphan for the next one.
	maxItems     = 100_000
	maxPlanBytes = 256 << 20
	gcPrefix     = "gc/"
	gcPlan       = ".plan.json"
	gcCancel     = ".cancel"
	gcBegin      = ".begin"
	gcDone       = ".done"
)

func gcKey(n uint64, suffix string) string { return fmt.Sprintf("%s%020d%s", gcPrefix, n, suffix) }

// MakePlan looks what could be deleted at now, or at the store's time when that is
// earlier, and changes nothing but a hint. The result is a dry run until Store.
// ErrCorrupt when the log or a pin is damaged: then nothing is safe to delete.
func MakePlan(ctx context.Context, log *version.Log, policy Policy, now time.Time, inUse InUse) (Plan, error) {
	if err := ctx.Err(); err != nil {
		return Plan{}, err
	}
	policy, err := policy.resolved()
	if err != nil {
		return Plan{}, err
	}
	m, err := look(ctx, log, policy, now, inUse)
	if err != nil {
		return Plan{}, fmt.Errorf("plan a collection: %w", err)
	}
	p := Plan{
		Format: planFormat, At: m.now.UTC(), Policy: policy, Head: m.tree.newest(), Low: m.low, Roots: m.roots,
		Items: m.dead(), ByReason: map[Reason]Total{}, Warnings: m.warnings,
	}
	for _, it := range p.Items {
		t := p.ByReason[it.Reason]
		p.ByReason[it.Reason] = Total{t.Objects + 1, t.Bytes + it.Size}
		p.Objects++
		p.Bytes += it.Size
	}
	p.Items = p.Items[:min(len(p.Items), maxItems)]
	return p, nil
}

// Store writes a plan down under the next free number and returns it with that
// number, so that it can be executed, or cancelled by whoever needs what is in it.
func Store(ctx context.Context, s blob.Store, p Plan) (Plan, error) {
	if err := ctx.Err(); err != nil {
		return Plan{}, err
	}
	for {
		states, err := planStates(ctx, s)
		if err != nil {
			return Plan{}, fmt.Errorf("store the plan of a collection: %w", err)
		}
		p.N = 1
		for _, st := range states {
			p.N = max(p.N, st.N+1)
		}
		body, err := json.MarshalIndent(p, "", " ")
		if err != nil {
			return Plan{}, fmt.Errorf("store the plan of a collection: %w", err)
		}
		err = create(ctx, s, gcKey(p.N, gcPlan), append(body, '\n'))
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, blob.ErrExists) {
			return Plan{}, fmt.Errorf("store the plan of collection %d: %w", p.N, err)
		}
	}
}

// ReadPlan returns a stored plan. ErrNotFound when there is none of that number.
func ReadPlan(ctx context.Context, s blob.Store, n uint64) (Plan, error) {
	if err := ctx.Err(); err != nil {
		return Plan{}, err
	}
	body, err := blob.ReadAll(ctx, s, gcKey(n, gcPlan), maxPlanBytes)
	if err != nil {
		return Plan{}, fmt.Errorf("read the plan of collection %d: %w", n, err)
	}
	p, err := DecodePlan(body)
	if err == nil && p.N != n {
		err = fmt.Errorf("%w: it says its number is %d", lockstep.ErrCorrupt, p.N)
	}
	if err != nil {
		return Plan{}, fmt.Errorf("read the plan of collection %d: object %s: %w", n, gcKey(n, gcPlan), err)
	}
	return p, nil
}

// DecodePlan parses the object of a plan and refuses, with ErrCorrupt, one that
// names anything which no collection may delete.
func DecodePlan(body []byte) (Plan, error) {
	var p Plan
	if err := decodeStrict(body, planFormat, &p); err != nil {
		return Plan{}, err
	}
	if _, err := p.Policy.resolved(); err != nil {
		return Plan{}, fmt.Errorf("%w: %w", lockstep.ErrCorrupt, err)
	}
	for _, it := range p.Items {
		if !deletable(it.Key) || it.Size < 0 {
			return Plan{}, fmt.Errorf("%w: it would delete %.200q, which no collection may", lockstep.ErrCorrupt, it.Key)
		}
	}
	return p, nil
}

// deletable says whether a collection may delete such an object at all.
func deletable(key string) bool {
	if blob.CheckKey(key) != nil {
		return false
	}
	if strings.HasPrefix(key, shadowPrefix) {
		return shadowOf(key) != ""
	}
	for _, prefix := range []string{version.LogPrefix + "/", deltaPrefix, base.Prefix, version.ImportPrefix, pinPrefix} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// dead lists what need not stay: entries first, then deltas and pins oldest first,
// then bases, each by its manifest first, so that a base is never half there.
func (m *mark) dead() []Item {
	if len(m.tree.nodes) == 0 {
		return nil // an empty log is more likely the wrong store than a store to be emptied
	}
	var out []Item
	add := func(o blob.Meta, why Reason) { out = append(out, Item{o.Key, o.Size, o.Modified.UTC(), why}) }
	for _, o := range m.modified {
		if n, ok := parseNumber(strings.TrimPrefix(o.Key, version.LogPrefix+"/")); ok && n < m.low {
			add(o, RetiredEntry)
		}
	}
	retired := map[string]bool{}
	for i := uint64(0); i < m.low-m.tree.low; i++ {
		retired[m.tree.nodes[i].delta] = true
	}
	for _, o := range m.objects {
		if m.live(o) {
			continue
		}
		orphan := m.orphaned(o)
		switch id, _, isBase := base.ParseKey(o.Key); {
		case retired[o.Key]:
			add(o, RetiredDelta)
		case strings.HasPrefix(o.Key, shadowPrefix):
			add(o, OldShadow)
		case !orphan:
		case strings.HasPrefix(o.Key, deltaPrefix):
			add(o, OrphanDelta)
		case strings.HasPrefix(o.Key, version.ImportPrefix):
			add(o, OldImport)
		case strings.HasPrefix(o.Key, pinPrefix):
			add(o, OldPin)
		case isBase && m.present[id]:
			add(o, OldBase)
		case isBase:
			add(o, OrphanBase)
		}
	}
	slices.SortFunc(out, byOrder)
	return out
}

// orphaned says whether an object that nothing names is old enough to go.
func (m *mark) orphaned(o blob.Meta) bool { return !o.Modified.Add(m.policy.Orphans).After(m.now) }

func byOrder(a, b Item) int {
	kind := func(key string) int {
		switch {
		case strings.HasPrefix(key, version.LogPrefix+"/"):
			return 0
		case !strings.HasPrefix(key, base.Prefix):
			return 1
		}
		if id, _, ok := base.ParseKey(key); ok && key == id.ManifestKey() {
			return 2
		}
		return 3
	}
	if c := cmp.Compare(kind(a.Key), kind(b.Key)); c != 0 {
		return c
	}
	// Numbers of entries order their keys; for the rest, age does.
	if kind(a.Key) == 1 {
		if c := a.Modified.Compare(b.Modified); c != 0 {
			return c
		}
	}
	return strings.Compare(a.Key, b.Key)
}

// live says whether an object must stay because something refers to it.
func (m *mark) live(o blob.Meta) bool {
	switch {
	case strings.HasPrefix(o.Key, deltaPrefix):
		return m.deltas[o.Key]
	case strings.HasPrefix(o.Key, base.Prefix):
		id, _, ok := base.ParseKey(o.Key)
		return !ok || m.bases[id]
	case strings.HasPrefix(o.Key, version.ImportPrefix):
		return m.imports.live(o.Key)
	case strings.HasPrefix(o.Key, pinPrefix):
		return m.livePin(o.Key)
	case strings.HasPrefix(o.Key, shadowPrefix):
		return !m.oldShadows[shadowOf(o.Key)]
	}
	return true
}

// livePin says whether the object of a pin still says something: the newest of a
// name does, until a lease has run out. Other names keep their newest for good, so
// that a number is never used again.
func (m *mark) livePin(key string) bool {
	name, seq, ok := parsePinKey(key)
	if !ok {
		return true
	}
	if seq < m.newestOf[name] {
		return false
	}
	if !strings.HasPrefix(name, LeasePrefix) {
		return true
	}
	for _, p := range m.pins {
		if p.Name == name {
			return !p.Expired(m.now.Add(-m.policy.Orphans))
		}
	}
	return false
}
