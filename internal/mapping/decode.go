package mapping

import (
	"regexp"
	"slices"
	"strings"

	"lockstep/internal/config"
	"lockstep/internal/lockstep"
)

// Limits of a mapping.
const (
	maxCollections = 64
	maxEntities    = 256 // with the imports
	maxRecords     = 16  // per entity
)

// decoder gathers a mapping; its mistakes go to the nodes.
type decoder struct {
	h       *Handler
	names   map[string]bool // of entities
	writers map[recordKey]bool
}

func decode(n *config.Node) *Handler {
	d := decoder{
		h: &Handler{
			owned:  map[lockstep.Collection]map[string]bool{},
			owners: map[lockstep.Collection]owner{},
		},
		names:   map[string]bool{},
		writers: map[recordKey]bool{},
	}
	m := n.Map("name", "version", "key", "collections", "entities", "imports")
	s := &d.h.spec
	s.Name = m.Need("name").Text("")
	s.Version = m.Need("version").Text("")
	d.key(m.Get("key"))
	for _, e := range atMost(m.Need("collections").Entries().All(), maxCollections, m.Get("collections"), "collections") {
		d.collection(e)
	}
	if c := m.Get("collections"); c != nil && len(s.Collections) == 0 {
		c.Reject("want at least one collection")
	}
	entities := m.Need("entities")
	for _, e := range atMost(entities.List(), maxEntities, entities, "entities") {
		d.entity(e)
	}
	for _, e := range atMost(m.Get("imports").List(), maxEntities-len(s.Entities), m.Get("imports"), "imports") {
		d.imports(e)
	}
	d.h.prefixes = covering(d.h.rules)
	return d.h
}

func atMost[T any](list []T, limit int, n *config.Node, noun string) []T {
	if len(list) > limit {
		n.Reject("%d %s, at most %d", len(list), noun, max(limit, 0))
		return nil
	}
	return list
}

func (d *decoder) key(n *config.Node) {
	m := n.Map("partition", "sort")
	if n == nil {
		d.h.spec.Key = keySpec{"PK", "SK"}
		return
	}
	d.h.spec.Key = keySpec{m.Need("partition").Text(""), m.Get("sort").Text("")}
}

func (d *decoder) collection(e config.Entry) {
	name := lockstep.Collection(e.Key)
	if err := name.Check(); err != nil {
		e.Reject("%v", err)
	} else if name.Builtin() {
		e.Reject("%q is one of Lockstep's own collections", e.Key)
	}
	m := e.Value.Map("dimension", "space", "id")
	c := collectionSpec{
		Name:      e.Key,
		Dimension: int(m.Get("dimension").Int(0, 0, lockstep.MaxDimension)),
		Space:     m.Get("space").Enum("l2", config.Spaces()...),
	}
	idNode := m.Need("id")
	id := idNode.Map("pattern", "partition")
	var o owner
	if idNode != nil {
		o.pattern, c.IDPattern = pattern(id.Need("pattern"))
		c.IDPartition = id.Need("partition").Text("")
		o.partition = templateOver(id.Get("partition"), groupsOf("", o.pattern))
	}
	d.h.owners[name] = o
	d.h.owned[name] = map[string]bool{ImportSeqKey: false}
	d.h.spec.Collections = append(d.h.spec.Collections, c)
}

func (d *decoder) entity(n *config.Node) {
	m := n.Map("entity", "match", "records")
	s := entitySpec{Entity: d.name(m.Need("entity"))}
	r := rule{entity: s.Entity}
	s.Match = d.match(m.Need("match"), &r)
	records := m.Need("records")
	if records != nil && len(records.List()) == 0 {
		records.Reject("want at least one record that the entity feeds")
	}
	for _, rn := range atMost(records.List(), maxRecords, records, "records") {
		spec, rr := d.record(rn, keyGroups(r))
		s.Records = append(s.Records, spec)
		r.records = append(r.records, rr)
	}
	d.h.rules = append(d.h.rules, r)
	d.h.spec.Entities = append(d.h.spec.Entities, s)
}

func (d *decoder) name(n *config.Node) string {
	s := n.Text("")
	if s != "" && d.names[s] {
		n.Reject("entity %q is described twice", s)
	}
	d.names[s] = true
	return s
}

func (d *decoder) match(n *config.Node, r *rule) matchSpec {
	m := n.Map("partition", "sort")
	var s matchSpec
	if n == nil {
		return s
	}
	r.partition, s.Partition = pattern(m.Need("partition"))
	if sortNode := m.Get("sort"); sortNode != nil {
		if d.h.spec.Key.Sort == "" {
			sortNode.Reject("the table has no sort key; remove this, or name key.sort")
		}
		r.sort, s.Sort = pattern(sortNode)
		return s
	}
	s.Sort = `(?s).*`
	r.sort = regexp.MustCompile(`\A(?:` + s.Sort + `)\z`)
	return s
}

// pattern returns a whole-text expression and its source. Two groups of one name
// are refused, because a template could not say which it means.
func pattern(n *config.Node) (*regexp.Regexp, string) {
	re := n.Pattern()
	if re == nil {
		return nil, ""
	}
	seen := map[string]bool{}
	for _, name := range re.SubexpNames() {
		if name != "" && seen[name] {
			n.Reject("the group %q is named twice", name)
		}
		seen[name] = true
	}
	return re, n.Text("")
}

// groupsOf lists the references that re offers; nil when re is wrong itself.
func groupsOf(prefix string, re *regexp.Regexp) []string {
	if re == nil {
		return nil
	}
	out := []string{}
	for _, name := range re.SubexpNames() {
		if name != "" {
			out = append(out, prefix+name)
		}
	}
	return out
}

func keyGroups(r rule) []string {
	if r.partition == nil || r.sort == nil {
		return nil
	}
	out := []string{"partition", "sort"}
	out = append(out, groupsOf("partition.", r.partition)...)
	return append(out, groupsOf("sort.", r.sort)...)
}

// template reads a template over the groups. nil groups were wrong, and reported,
// themselves.
func templateOver(n *config.Node, groups []string) template {
	s := n.Text("")
	t, err := parseTemplate(s)
	if err != nil {
		n.Reject("%v", err)
	}
	for _, ref := range t.refs() {
		if groups != nil && !slices.Contains(groups, ref) {
			n.Reject("{%s} is not a group of the pattern; there are: %s", ref, strings.Join(groups, ", "))
		}
	}
	return t
}

func (d *decoder) declared(n *config.Node) lockstep.Collection {
	s := n.Text("")
	c := lockstep.Collection(s)
	if _, ok := d.h.owners[c]; s != "" && !ok {
		names := make([]string, len(d.h.spec.Collections))
		for i, spec := range d.h.spec.Collections {
			names[i] = spec.Name
		}
		n.Enum("", names...)
	}
	return c
}

func (d *decoder) imports(n *config.Node) {
	m := n.Map("entity", "match", "sources")
	s := importSpec{Entity: d.name(m.Need("entity"))}
	r := rule{entity: s.Entity}
	s.Match = d.match(m.Need("match"), &r)
	sources := m.Need("sources")
	if sources != nil && len(sources.List()) == 0 {
		sources.Reject("want at least one source: {collection, attribute, ids}")
	}
	seen := map[lockstep.Collection]bool{}
	for _, sn := range atMost(sources.List(), maxRecords, sources, "sources") {
		sm := sn.Map("collection", "attribute", "ids")
		collection := sm.Need("collection")
		im := importRule{collection: d.declared(collection), ids: templateOver(sm.Need("ids"), keyGroups(r))}
		if seen[im.collection] {
			collection.Reject("one item imports into a collection once; two sources would have the same age")
		}
		seen[im.collection] = true
		im.name = sm.Need("attribute").Text("")
		im.attribute = attributePath(sm.Get("attribute"))
		s.Sources = append(s.Sources, locationSpec{string(im.collection), im.name, sm.Get("ids").Text("")})
		r.imports = append(r.imports, im)
	}
	d.h.rules = append(d.h.rules, r)
	d.h.spec.Imports = append(d.h.spec.Imports, s)
}

// covering returns the fewest sort key prefixes under which every item that feeds
// a record is found.
func covering(rules []rule) []string {
	var all []string
	for _, r := range rules {
		if len(r.records) == 0 || r.sort == nil {
			continue
		}
		all = append(all, literalPrefix(r.sort))
	}
	slices.Sort(all)
	var out []string
	for _, p := range all {
		if len(out) == 0 || !strings.HasPrefix(p, out[len(out)-1]) {
			out = append(out, p)
		}
	}
	return out
}

// literalPrefix returns the text with which everything begins that re matches. re
// is anchored by config.Pattern, which hides the prefix from package regexp.
func literalPrefix(re *regexp.Regexp) string {
	source := strings.TrimSuffix(strings.TrimPrefix(re.String(), `\A(?:`), `)\z`)
	bare, err := regexp.Compile(source)
	if err != nil {
		return ""
	}
	prefix, _ := bare.LiteralPrefix()
	return prefix
}
