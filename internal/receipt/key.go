package receipt

import (
	"fmt"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// sortKey is the sort key of an item of a receipt, cut at its levels. Each level is
// the beginning of the whole text, so cutting allocates nothing.
type sortKey struct {
	receipt string // "RECEIPT#00001"
	line    string // "RECEIPT#00001#LINE#00007", "" when the item is above lines
	word    string // "RECEIPT#00001#LINE#00007#WORD#00003", "" when above words
	rest    string // what follows the lowest level: "", "PLACE", "LABEL#TAX"
}

// parseSort cuts s. ok is false when it does not begin with a numbered receipt.
func parseSort(s string) (k sortKey, ok bool) {
	end, ok := level(s, 0, "RECEIPT#")
	if !ok {
		return sortKey{}, false
	}
	k.receipt = s[:end]
	if e, ok := level(s, end, "#LINE#"); ok {
		k.line, end = s[:e], e
		if e, ok := level(s, end, "#WORD#"); ok {
			k.word, end = s[:e], e
		}
	}
	if end < len(s) {
		k.rest = s[end+1:]
	}
	return k, true
}

// level reads name and a number at s[at:] and returns where the number ends. The
// number must end the text or be followed by '#'.
func level(s string, at int, name string) (end int, ok bool) {
	if !strings.HasPrefix(s[at:], name) {
		return at, false
	}
	start := at + len(name)
	end = start
	for end < len(s) && '0' <= s[end] && s[end] <= '9' {
		end++
	}
	return end, end > start && (end == len(s) || s[end] == '#')
}

// recordID is the Chroma id of the line or word whose sort key is sort (DOMAIN 5).
func recordID(partition, sort string) string { return partition + "#" + sort }

// parseRecord cuts the part of a record id that follows the partition. ok is false
// unless the id is one that collection c may hold.
func parseRecord(c lockstep.Collection, partition, id string) (k sortKey, ok bool) {
	if len(id) <= len(partition) || id[len(partition)] != '#' || !strings.HasPrefix(id, partition) {
		return k, false
	}
	if k, ok = parseSort(id[len(partition)+1:]); !ok || k.line == "" || k.rest != "" {
		return k, false
	}
	return k, (k.word != "") == (c == Words)
}

// labelName is the label of a RECEIPT_WORD_LABEL, which lives only in its sort key.
func (k sortKey) labelName() string {
	name, ok := strings.CutPrefix(k.rest, "LABEL#")
	if !ok || k.word == "" {
		return ""
	}
	return strings.ToUpper(name)
}

// runImports returns what the INSERT of a run asks for, and whether m is one.
func runImports(m *lockstep.Message, index int) []handler.ImportRef {
	if m.Change.Entity != EntityRun || m.Change.Event != lockstep.Insert {
		return nil
	}
	if k, ok := parseSort(m.Change.Key.Sort); !ok || k.line != "" {
		return nil
	}
	var refs []handler.ImportRef
	if p := m.Change.New.Str(attrLinesPrefix); p != "" {
		refs = append(refs, handler.ImportRef{Collection: Lines, Location: p, Message: index})
	}
	if p := m.Change.New.Str(attrWordsPrefix); p != "" {
		refs = append(refs, handler.ImportRef{Collection: Words, Location: p, Message: index})
	}
	return refs
}

// checkImport returns lockstep.ErrInvalid when an import holds a record that is not
// of the receipt whose run announced it: such a record is not in the view, so an
// update of it would be blind.
func checkImport(im *handler.Import, partition, receipt string) error {
	for i := range im.Embeddings {
		id := im.Embeddings[i].ID
		if k, ok := parseRecord(im.Ref.Collection, partition, id); !ok || k.receipt != receipt {
			return fmt.Errorf("import %s: %w: record %.200q is not of %s of %s#%s", im.Ref.Location, lockstep.ErrInvalid, id, im.Ref.Collection, partition, receipt)
		}
	}
	return nil
}
