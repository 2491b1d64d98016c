package local

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/blob"
	"lockstep/internal/blob/blobtest"
	"lockstep/internal/lockstep"
)

func open(t *testing.T, root string) *Blobs {
	t.Helper()
	b, err := OpenBlobs(root)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBlobsKeepTheContract(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, filepath.Join(t.TempDir(), "new", "store")) })
}

func TestADirectoryCanBecomeAStore(t *testing.T) {
	root := t.TempDir()
	now := time.Now()
	first, err := blob.Init(t.Context(), open(t, root), now, randomBytes{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := blob.OpenFormat(t.Context(), open(t, root))
	if err != nil || again.Store != first.Store {
		t.Errorf("opened again: %+v, %v; want identity %s", again, err, first.Store)
	}
}

func TestObjectsAreSeenByAnotherOpenOfTheDirectory(t *testing.T) {
	root := t.TempDir()
	if err := open(t, root).Create(t.Context(), "log/1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	other := open(t, root)
	if err := other.Create(t.Context(), "log/1", []byte("y")); !errors.Is(err, blob.ErrExists) {
		t.Errorf("create by another = %v, want ErrExists", err)
	}
	if body, err := blob.ReadAll(t.Context(), other, "log/1", 10); err != nil || string(body) != "x" {
		t.Errorf("read by another = %q, %v", body, err)
	}
}

func TestKeysThatAreDirectoriesOfOthersAreRefused(t *testing.T) {
	b := open(t, t.TempDir())
	for _, key := range []string{"a/b", "f"} {
		if err := b.Create(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a", "f/x", "f/x/y"} {
		if err := b.Create(t.Context(), key, nil); !errors.Is(err, lockstep.ErrInvalid) {
			t.Errorf("Create(%q) = %v, want ErrInvalid", key, err)
		}
	}
	if err := b.Delete(t.Context(), "a"); err != nil {
		t.Errorf("Delete of a directory = %v", err)
	}
	if _, _, err := b.Get(t.Context(), "a/b"); err != nil {
		t.Errorf("object is gone after Delete of its directory: %v", err)
	}
}

func TestOpenSweepsOldLeftoversOnly(t *testing.T) {
	root := t.TempDir()
	staging := filepath.Join(open(t, root).root, stagingName)
	old := time.Now().Add(-61 * time.Minute)
	for _, name := range []string{"~old.tmp", "~young.tmp"} {
		if err := os.WriteFile(filepath.Join(staging, name), []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(staging, "~old.tmp"), old, old); err != nil {
		t.Fatal(err)
	}
	b := open(t, root)
	left, err := os.ReadDir(staging)
	if err != nil || len(left) != 1 || left[0].Name() != "~young.tmp" {
		t.Errorf("left %v, %v; want only ~young.tmp", left, err)
	}
	for m, err := range b.List(t.Context(), "", "") {
		t.Errorf("a leftover is listed: %+v, %v", m, err)
	}
}

func TestForeignFilesAreNotListed(t *testing.T) {
	root := t.TempDir()
	b := open(t, root)
	if err := b.Create(t.Context(), "log/1", nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a b", "lost+found", "log/~x.tmp"} {
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("log", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for m, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Key)
	}
	if diff := cmp.Diff([]string{"log/1"}, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func TestAStoreBehindALinkIsListed(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	b := open(t, link)
	if err := b.Create(t.Context(), "log/1", nil); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		seen++
	}
	if seen != 1 {
		t.Errorf("%d objects listed, want 1", seen)
	}
}

func TestObjectsAreDatedByTheFileSystem(t *testing.T) {
	root := t.TempDir()
	b := open(t, root)
	if err := b.Create(t.Context(), "k", nil); err != nil {
		t.Fatal(err)
	}
	want := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(root, "k"), want, want); err != nil {
		t.Fatal(err)
	}
	rc, m, err := b.Get(t.Context(), "k")
	if err != nil || !m.Modified.Equal(want) {
		t.Fatalf("modified %v, %v; want %v", m.Modified, err, want)
	}
	rc.Close()
}

func TestOpenOfAFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBlobs(path); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("OpenBlobs of a file = %v, want ErrInvalid", err)
	}
}

type randomBytes struct{}

func (randomBytes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i)
	}
	return len(p), nil
}
