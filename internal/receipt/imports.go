package receipt

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// embedded is one record of an import, with what decides its rank.
type embedded struct {
	*handler.Embedding
	seq   lockstep.Sequence // of the import
	cause int
}

// addImport puts an import into the scope of its receipt.
func addImport(scopes *[]*scope, unit *handler.Unit, im *handler.Import) error {
	if im.Ref.Message < 0 || im.Ref.Message >= len(unit.Messages) {
		return fmt.Errorf("import %s: %w: it belongs to no message", im.Ref.Location, lockstep.ErrInvalid)
	}
	c := &unit.Messages[im.Ref.Message].Change
	k, ok := parseSort(c.Key.Sort)
	if !ok {
		return fmt.Errorf("import %s: %w: %q is not a run of a receipt", im.Ref.Location, lockstep.ErrInvalid, c.Key.Sort)
	}
	seq := c.Seq
	if run, ok := unit.View.Item(c.Key); ok && run.First != "" {
		seq = run.First
	}
	return scopeOf(scopes, k.receipt).add(im, c.Key.Partition, seq, im.Ref.Message)
}

// add checks the import and merges it in: sorted by id, per id the newest import.
func (s *scope) add(im *handler.Import, partition string, seq lockstep.Sequence, cause int) error {
	if err := checkImport(im, partition, s.receipt); err != nil {
		return err
	}
	if s.imports == nil {
		s.imports = map[lockstep.Collection][]embedded{}
	}
	list := s.imports[im.Ref.Collection]
	first := len(list) == 0
	list = slices.Grow(list, len(im.Embeddings))
	for i := range im.Embeddings {
		list = append(list, embedded{Embedding: &im.Embeddings[i], seq: seq, cause: cause})
	}
	if !first || !slices.IsSortedFunc(list, compareEmbedded) {
		slices.SortStableFunc(list, compareEmbedded)
	}
	s.imports[im.Ref.Collection] = slices.CompactFunc(list, func(a, b embedded) bool { return a.ID == b.ID })
	return nil
}

// compareEmbedded puts the newest import of an id first.
func compareEmbedded(a, b embedded) int {
	if c := strings.Compare(a.ID, b.ID); c != 0 {
		return c
	}
	return b.seq.Compare(a.seq)
}
