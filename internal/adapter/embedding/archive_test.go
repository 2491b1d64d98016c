package embedding

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lockstep/internal/lockstep"
)

const someSegment = "9fc36ce0-414c-4fad-93e8-271dce00e7c0"

func TestArchivesThatThePipelineNeverMadeAreRefused(t *testing.T) {
	small := Options{MaxTotalBytes: 1 << 20, MaxMemberBytes: 1 << 18, MaxMembers: 5, MaxPathBytes: 64}
	db := member{name: "./chroma.sqlite3", body: []byte("x")}
	zeros := make([]byte, 1<<20)
	many := make([]member, 6)
	for i := range many {
		many[i] = member{name: string(rune('a' + i))}
	}
	for name, tt := range map[string]struct {
		members []member
		want    string
	}{
		"leaves the archive":            {[]member{{name: "../chroma.sqlite3", body: []byte("x")}}, "leaves"},
		"leaves it in the middle":       {[]member{{name: "a/../../chroma.sqlite3", body: []byte("x")}}, "leaves"},
		"absolute":                      {[]member{{name: "/etc/passwd", body: []byte("x")}}, "relative"},
		"backslash":                     {[]member{{name: `..\chroma.sqlite3`, body: []byte("x")}}, "relative"},
		"symlink":                       {[]member{{name: someSegment, kind: tar.TypeSymlink, link: "/etc"}, db}, "type"},
		"hardlink":                      {[]member{db, {name: someSegment + "/header.bin", kind: tar.TypeLink, link: "chroma.sqlite3"}}, "type"},
		"device":                        {[]member{{name: "chroma.sqlite3", kind: tar.TypeChar}}, "type"},
		"pipe":                          {[]member{{name: "chroma.sqlite3", kind: tar.TypeFifo}}, "type"},
		"twice":                         {[]member{db, db}, "twice"},
		"twice under two names":         {[]member{db, {name: "chroma.sqlite3", body: []byte("y")}}, "twice"},
		"many members":                  {many, "members"},
		"long path":                     {[]member{{name: strings.Repeat("a", 65)}}, "path of"},
		"large member":                  {[]member{{name: "chroma.sqlite3", body: zeros[:1<<18+1]}}, "bytes"},
		"bomb of what is not extracted": {[]member{{name: "a", body: zeros[:1<<18]}, {name: "b", body: zeros[:1<<18]}, {name: "c", body: zeros[:1<<18]}, {name: "d", body: zeros[:1<<18]}}, "larger"},
		"no database":                   {[]member{{name: "deeper/chroma.sqlite3", body: []byte("x")}}, "no chroma.sqlite3"},
	} {
		t.Run(name, func(t *testing.T) {
			d, im := bucket(t, small)
			put(t, d, "x.tgz", pack(t, tt.members...))
			_, err := imported(t, im, "words", "x.tgz")
			if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrInvalid with %q", err, tt.want)
			}
		})
	}
}

// A gzip of zeros states nothing about its size: only what comes out counts.
func TestABombStopsAtTheLimitOfWhatComesOut(t *testing.T) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	for range 64 {
		if _, err := z.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	d, im := bucket(t, Options{MaxTotalBytes: 1 << 20})
	whole := pack(t, member{name: "chroma.sqlite3", body: []byte("x")})
	put(t, d, "x.tgz", append(whole, out.Bytes()...)) // zeros after the end of the archive
	if _, err := imported(t, im, "words", "x.tgz"); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), "larger") {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestAnObjectBeyondItsLimitIsRefused(t *testing.T) {
	d, im := bucket(t, Options{MaxObjectBytes: 100})
	put(t, d, "x.ndjson", []byte(strings.Repeat(`{"id":"a","embedding":[1]}`+"\n", 10)))
	if _, err := imported(t, im, "words", "x.ndjson"); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestTornArchivesAreCorrupt(t *testing.T) {
	whole := file(t, chromaFixtures+"queue-1.5.9.tar.gz")
	for _, n := range []int{1, 5, 100, len(whole) / 2, len(whole) - 9, len(whole) - 1} {
		d, im := bucket(t, Options{})
		put(t, d, "x.tgz", whole[:n])
		if _, err := imported(t, im, "words", "x.tgz"); !errors.Is(err, lockstep.ErrCorrupt) {
			t.Errorf("cut to %d of %d bytes: got %v, want ErrCorrupt", n, len(whole), err)
		}
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-6] ^= 1 // the checksum
	d, im := bucket(t, Options{})
	put(t, d, "x.tgz", damaged)
	if _, err := imported(t, im, "words", "x.tgz"); !errors.Is(err, lockstep.ErrCorrupt) {
		t.Errorf("wrong checksum: got %v, want ErrCorrupt", err)
	}
}

// A file that is torn within a whole archive: the pipeline copied a live directory.
func TestATornPickleInADeltaIsCorruptAndNamed(t *testing.T) {
	d, im := bucket(t, Options{})
	if err := os.CopyFS(filepath.Join(string(d), "x"), os.DirFS(unpack(t, "hnsw-1.5.9.tar.gz"))); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(string(d), "x", "*", "index_metadata.pickle"))
	if err != nil || len(found) != 3 {
		t.Fatal(found, err)
	}
	for _, path := range found {
		if err := os.Truncate(path, 700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := imported(t, im, "words", "x"); !errors.Is(err, lockstep.ErrCorrupt) || !strings.Contains(err.Error(), "index_metadata.pickle") {
		t.Errorf("got %v, want ErrCorrupt that names the file", err)
	}
}

// FuzzExtract feeds archives of any shape to the extraction: whatever it answers,
// nothing may appear outside its folder, nor more than the limit inside.
func FuzzExtract(f *testing.F) {
	seeds := [][]byte{
		pack(f, member{name: "./chroma.sqlite3", body: []byte("x")}, member{name: someSegment + "/header.bin", body: []byte("y")}),
		pack(f, member{name: "../out", body: []byte("x")}),
		pack(f, member{name: someSegment, kind: tar.TypeSymlink, link: ".."}, member{name: someSegment + "/header.bin", body: []byte("y")}),
	}
	for _, s := range seeds {
		z, err := gzip.NewReader(bytes.NewReader(s))
		if err != nil {
			f.Fatal(err)
		}
		var plain bytes.Buffer
		if _, err := plain.ReadFrom(z); err != nil {
			f.Fatal(err)
		}
		f.Add(plain.Bytes())
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, plain []byte) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		around := t.TempDir()
		inside := filepath.Join(around, "inside")
		if err := os.Mkdir(inside, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(inside)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		im := New(Dir(around), Options{MaxTotalBytes: limit})
		_ = im.extract(t.Context(), &packed, root) // its error is free; what it leaves is not
		total := int64(0)
		err = filepath.WalkDir(around, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			name, err := filepath.Rel(inside, path)
			if err != nil || !wanted.MatchString(filepath.ToSlash(name)) || !e.Type().IsRegular() {
				t.Errorf("%s appeared: %v", path, err)
			}
			info, err := e.Info()
			total += info.Size()
			return err
		})
		if err != nil || total > limit+1 {
			t.Errorf("%d bytes extracted, limit %d, %v", total, limit, err)
		}
	})
}
