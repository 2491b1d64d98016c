package chromadir

import (
	"fmt"
	"io"
	"math"

	"lockstep/internal/lockstep"
)

// idMap is index_metadata.pickle: which HNSW label holds which record's vector.
type idMap struct {
	labels map[string]uint64
	maxSeq int64 // watermark of Chroma <= 0.5.5, which kept it here
	hasSeq bool
	dim    int // 0: not stated
}

// The class whose instance Python wrote (chromadb 0.4 to 0.6.3).
var persistentData = class{"chromadb.segment.impl.vector.local_persistent_hnsw", "PersistentData"}

// readIDMap reads the index metadata in either of its forms: a dict (Rust,
// local_hnsw.rs IdMap) or an instance of PersistentData (Python).
func readIDMap(r io.Reader, name string, size int64) (*idMap, error) {
	v, err := unpickle(r, name, size)
	if err != nil {
		return nil, err
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w: %s", name, lockstep.ErrCorrupt, fmt.Sprintf(format, args...))
	}
	d, _ := v.(*dict)
	if o, ok := v.(*object); ok {
		if o.class != persistentData {
			return nil, bad("an instance of %s.%s, want %s", o.class.module, o.class.name, persistentData.name)
		}
		d = o.state
	}
	if d == nil {
		return nil, bad("holds no index metadata")
	}
	m := &idMap{}
	if seq, ok := d.get("max_seq_id").(int64); ok {
		m.maxSeq, m.hasSeq = seq, true
	}
	if dim, ok := d.get("dimensionality").(int64); ok {
		if dim < 1 || dim > lockstep.MaxDimension {
			return nil, bad("%d dimensions", dim)
		}
		m.dim = int(dim)
	}
	forward, ok1 := d.get("id_to_label").(*dict)
	backward, ok2 := d.get("label_to_id").(*dict)
	if !ok1 || !ok2 {
		return nil, bad("id_to_label or label_to_id is missing")
	}
	if err := m.link(forward, backward); err != nil {
		return nil, bad("%v", err)
	}
	return m, nil
}

// link takes the ids over and makes sure that both directions say the same.
func (m *idMap) link(forward, backward *dict) error {
	m.labels = make(map[string]uint64, len(forward.entries))
	for _, e := range forward.entries {
		id, ok1 := e.key.(string)
		label, ok2 := e.value.(int64)
		if !ok1 || !ok2 || label < 0 || label > math.MaxUint32 {
			return fmt.Errorf("id_to_label holds a %T with a %T", e.key, e.value)
		}
		if _, twice := m.labels[id]; twice {
			return fmt.Errorf("id_to_label holds %q twice", id)
		}
		m.labels[id] = uint64(label)
	}
	if len(backward.entries) != len(m.labels) {
		return fmt.Errorf("%d ids and %d labels", len(m.labels), len(backward.entries))
	}
	seen := make(map[int64]struct{}, len(backward.entries))
	for _, e := range backward.entries {
		label, ok1 := e.key.(int64)
		id, ok2 := e.value.(string)
		if got, known := m.labels[id]; !ok1 || !ok2 || !known || got != uint64(label) {
			return fmt.Errorf("label_to_id has an entry that id_to_label lacks, for %q", id)
		}
		if _, twice := seen[label]; twice {
			return fmt.Errorf("label_to_id holds %d twice", label)
		}
		seen[label] = struct{}{}
	}
	return nil
}

func (d *dict) get(key string) any {
	for _, e := range d.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}
