package mapping

import (
	"strings"

	"lockstep/internal/config"
	"lockstep/internal/lockstep"
)

var kinds = map[string]lockstep.Kind{
	"string": lockstep.KindString,
	"int":    lockstep.KindInt,
	"float":  lockstep.KindFloat,
	"bool":   lockstep.KindBool,
	"list":   lockstep.KindList,
}

const maxPathParts = 32

func attributePath(n *config.Node) path {
	s := n.Text("")
	if s == "" {
		return nil
	}
	p := parsePath(s)
	for _, part := range p {
		if part == "" || len(p) > maxPathParts {
			n.Reject("want attribute names with single dots between them, at most %d, found %q", maxPathParts, s)
			return nil
		}
	}
	return p
}

func (d *decoder) record(n *config.Node, groups []string) (recordSpec, recordRule) {
	m := n.Map("collection", "id", "metadata", "document", "on_remove")
	r := recordRule{
		collection: d.declared(m.Need("collection")),
		id:         templateOver(m.Need("id"), groups),
		document:   attributePath(m.Get("document")),
	}
	onRemove := m.Get("on_remove").Enum("unset", "unset", "delete")
	r.deletes = onRemove == "delete"
	s := recordSpec{
		Collection: string(r.collection), ID: m.Get("id").Text(""),
		Document: m.Get("document").Text(""), OnRemove: onRemove,
	}
	if doc := m.Get("document"); doc != nil {
		d.claim(doc, r.collection, "")
	}
	for _, e := range m.Get("metadata").Entries().All() {
		fs, f := d.field(e, r.collection)
		s.Metadata = append(s.Metadata, fs)
		r.fields = append(r.fields, f)
	}
	return s, r
}

// claim notes that a rule writes a key of the collection, "" for the document,
// and refuses a second one: which of the two counted would depend on nothing the
// reader sees.
func (d *decoder) claim(n *config.Node, c lockstep.Collection, key string) {
	noun := "metadata key \"" + key + "\""
	if key == "" {
		noun = "document"
	}
	k := recordKey{c, key}
	if d.writers[k] {
		n.Reject("the %s of %s is set by another rule already; one rule sets one key", noun, c)
	}
	d.writers[k] = true
	if owned := d.h.owned[c]; owned != nil && key != "" {
		owned[key] = true
	}
}

func (d *decoder) field(e config.Entry, c lockstep.Collection) (fieldSpec, field) {
	switch {
	case e.Key == ImportSeqKey:
		e.Reject("the key %q is kept by Lockstep", e.Key)
	case strings.HasPrefix(e.Key, lockstep.ReservedPrefix):
		e.Reject("keys that begin with %q belong to Chroma", lockstep.ReservedPrefix)
	default:
		d.claim(e.Value, c, e.Key)
	}
	m := e.Value.Map("attribute", "type", "of", "default", "omit_empty")
	s := fieldSpec{
		Key:       e.Key,
		Attribute: m.Need("attribute").Text(""),
		Type:      m.Need("type").Enum("", "string", "int", "float", "bool", "list"),
		OmitEmpty: m.Get("omit_empty").Bool(false),
	}
	f := field{key: e.Key, attribute: attributePath(m.Get("attribute")), kind: kinds[s.Type], omitEmpty: s.OmitEmpty}
	if of := m.Get("of"); of != nil || f.kind == lockstep.KindList {
		s.Of = of.Enum("string", "string", "int", "float", "bool")
		f.of = kinds[s.Of]
		if f.kind != lockstep.KindList {
			of.Reject("only a list has an element type")
		}
	}
	if s.OmitEmpty && f.kind != lockstep.KindString {
		m.Get("omit_empty").Reject("only text can be empty; an empty list is always omitted")
	}
	if def := m.Get("default"); def != nil {
		f.fallback = fallback(def, f.kind)
		s.Default = f.fallback.Any()
	}
	return s, f
}

// Bounds of an int default: all of int64.
const (
	minInt = -1 << 63
	maxInt = 1<<63 - 1
)

func fallback(n *config.Node, kind lockstep.Kind) lockstep.Value {
	switch kind {
	case lockstep.KindString:
		return lockstep.String(n.Text(""))
	case lockstep.KindInt:
		return lockstep.Int(n.Int(0, minInt, maxInt))
	case lockstep.KindFloat:
		return lockstep.Float(n.Float(0, -1e300, 1e300))
	case lockstep.KindBool:
		return lockstep.Bool(n.Bool(false))
	case lockstep.KindList:
		n.Reject("a list has no default; without a value the key is unset")
	}
	return lockstep.Value{}
}
