package branch

import (
	"errors"
	"slices"
	"testing"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/lockstep"
	"lockstep/internal/version"
)

func TestABranchIsAStore(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return NewStore(&blob.Mem{}, 0) })
}

func entry(n string) string { return version.LogPrefix + "/0000000000000000000" + n }

func TestABranchShowsItsParentAsItWasAndKeepsWhatIsItsOwn(t *testing.T) {
	ctx, parent := t.Context(), &blob.Mem{}
	for _, key := range []string{entry("1"), entry("2"), "pin/a", "import/x"} {
		if err := parent.Create(ctx, key, []byte("parent")); err != nil {
			t.Fatal(err)
		}
	}
	if err := parent.Hint(ctx, "hint/log", []byte("2")); err != nil {
		t.Fatal(err)
	}
	b := NewStore(parent, 1)
	for key, want := range map[string]string{entry("1"): "parent", "pin/a": "parent"} {
		if got, err := blob.ReadAll(ctx, b, key, 100); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", key, got, err)
		}
	}
	for _, key := range []string{entry("2"), "hint/log"} {
		if _, err := blob.ReadAll(ctx, b, key, 100); !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("%s of the parent shows: %v", key, err)
		}
	}
	if err := b.Create(ctx, entry("1"), nil); !errors.Is(err, blob.ErrExists) {
		t.Errorf("what the parent has is created again: %v", err)
	}
	if err := b.Delete(ctx, "pin/a"); !errors.Is(err, lockstep.ErrRefused) {
		t.Errorf("what the parent has is deleted: %v", err)
	}
	for _, key := range []string{entry("2"), "import/y"} {
		if err := b.Create(ctx, key, []byte("own")); err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	for meta, err := range b.List(ctx, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, meta.Key)
	}
	slices.Sort(keys)
	if want := []string{"import/x", "import/y", entry("1"), entry("2"), "pin/a"}; !slices.Equal(keys, want) {
		t.Errorf("it lists %q, want %q", keys, want)
	}
	if got, err := blob.ReadAll(ctx, parent, entry("2"), 100); err != nil || string(got) != "parent" {
		t.Errorf("the parent's entry holds %q, %v", got, err)
	}
	if err := b.Adopt(ctx, "import/"); err != nil {
		t.Fatal(err)
	}
	if got, err := blob.ReadAll(ctx, parent, "import/y", 100); err != nil || string(got) != "own" {
		t.Errorf("what was adopted holds %q, %v", got, err)
	}
}
