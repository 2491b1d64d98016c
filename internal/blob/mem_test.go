package blob_test

import (
	"testing"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
)

func TestMemKeepsTheContract(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return new(blob.Mem) })
}

func TestMemDatesObjectsByItsClock(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := &blob.Mem{Now: func() time.Time { return at }}
	if err := m.Create(t.Context(), "k", nil); err != nil {
		t.Fatal(err)
	}
	at = at.Add(time.Hour)
	for meta, err := range m.List(t.Context(), "", "") {
		if err != nil || !meta.Modified.Equal(at.Add(-time.Hour)) {
			t.Errorf("modified %v, %v; want the time of the create", meta.Modified, err)
		}
	}
}
