package mapping

import (
	"fmt"
	"regexp"

	"lockstep/internal/lockstep"
)

// rule is what is done for the items of one entity: it feeds records, or it
// announces imports.
type rule struct {
	entity    string
	partition *regexp.Regexp
	sort      *regexp.Regexp
	records   []recordRule
	imports   []importRule
}

// recordRule says which record an item feeds, and with what.
type recordRule struct {
	collection lockstep.Collection
	id         template
	fields     []field
	document   path // nil: the imported document stays
	deletes    bool // the item's removal deletes the record
}

// importRule says where an item announces embeddings.
type importRule struct {
	collection lockstep.Collection
	attribute  path
	name       string // of the attribute, for people
	ids        template
}

// owner leads from a record id back to the partition of its items.
type owner struct {
	pattern   *regexp.Regexp
	partition template
}

// target is an item with the rule that takes it and the groups of its key.
type target struct {
	rule   *rule
	groups map[string]string
}

func (r *rule) match(key lockstep.ItemKey) (target, bool) {
	groups := map[string]string{"partition": key.Partition, "sort": key.Sort}
	if !addGroups(groups, r.partition, "partition.", key.Partition) || !addGroups(groups, r.sort, "sort.", key.Sort) {
		return target{}, false
	}
	return target{r, groups}, true
}

// match finds the rule of a message by the entity that classification gave it.
func (h *Handler) match(m lockstep.Message) (target, bool) {
	for i := range h.rules {
		if r := &h.rules[i]; r.entity == m.Change.Entity {
			return r.match(m.Change.Key)
		}
	}
	return target{}, false
}

// classify finds the rule of a mirrored item by its key. The entity in the mirror
// may be an earlier revision's word.
func (h *Handler) classify(key lockstep.ItemKey) (target, bool) {
	for i := range h.rules {
		if t, ok := h.rules[i].match(key); ok {
			return t, true
		}
	}
	return target{}, false
}

// checkOwner returns lockstep.ErrInvalid unless id is a record of the partition.
func (h *Handler) checkOwner(c lockstep.Collection, id, partition string) error {
	o := h.owners[c]
	groups := map[string]string{}
	if !addGroups(groups, o.pattern, "", id) {
		return fmt.Errorf("%w record id %.200q of %s: the collection's id pattern does not match", lockstep.ErrInvalid, id, c)
	}
	if p := o.partition.fill(groups); p != partition {
		return fmt.Errorf("%w record id %.200q of %s: it belongs to partition %.200q, not to %.200q", lockstep.ErrInvalid, id, c, p, partition)
	}
	return nil
}

// location returns what an insert announces, "" when the change announces
// nothing. A later change of the item announces nothing again: a new import is a
// new item.
func (im importRule) location(c lockstep.Change) string {
	if c.Event != lockstep.Insert {
		return ""
	}
	a, ok := im.attribute.find(c.New)
	if !ok || a.Type != lockstep.AttrS {
		return ""
	}
	return a.Text
}
