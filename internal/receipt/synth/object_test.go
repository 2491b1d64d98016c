package synth

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/adapter/embedding"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// bucket holds the objects of one receipt.
type bucket []Object

func (b bucket) Open(_ context.Context, key string) (io.ReadCloser, int64, error) {
	for _, o := range b {
		if o.Key == key {
			return io.NopCloser(bytes.NewReader(o.Body)), int64(len(o.Body)), nil
		}
	}
	return nil, 0, lockstep.ErrNotFound
}

func (bucket) List(context.Context, string) ([]string, error) { return nil, nil }

// The import objects are those that the importer finds under the run's prefixes,
// and it reads from them what Import says.
func TestObjectsAreImportedAsImportSays(t *testing.T) {
	g := tiny()
	if _, err := g.Edit(0, "re-embedded"); err != nil {
		t.Fatal(err)
	}
	r := g.Receipt(0)
	importer := embedding.New(bucket(g.Objects(r)), embedding.Options{})
	for _, c := range []lockstep.Collection{"lines", "words"} {
		ref := handler.ImportRef{Collection: c, Location: string(c) + "/delta/" + r.RunID + "/"}
		got, err := importer.Import(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		want, err := g.Import(ref)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-generator +importer):\n%s", diff)
		}
	}
}
