package config

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

func load(t *testing.T, text string) (Config, error) {
	t.Helper()
	return Load(strings.NewReader(text), "lockstep.yaml")
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "version: 1\n", "compact:\nfollower:\n"} {
		c, err := load(t, text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if d := cmp.Diff(Default(), c); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	body, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := load(t, string(body))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Version: 1, Data: "./d", Listen: "0.0.0.0:9000", TokenFile: "./token", Handler: "receipts@1",
		Receipts: Receipts{Labels: "csv"}, Imports: Imports{Directory: "./in", Bucket: "embeddings"},
		Compact: Compact{MaxMessages: 10, MaxBytes: 64 << 10, MaxDelay: time.Millisecond, BaseFactor: 2.5},
		Follower: Follower{Chroma: Chroma{
			Directory: "./c", Command: []string{"uvx", "chroma"}, Template: "./t",
			Every: 2 * time.Second, Keep: 3, Enabled: "off",
		}},
		Retention:   Retention{Keep: 24 * time.Hour},
		Environment: "prod",
		Programs: []Program{{
			Name: "py", Command: []string{"python3", "h.py"}, Dir: "./handlers", Env: map[string]string{"LANG": "C"},
			Files: []string{"lib/*.py"}, Processes: 2, Timeout: 3 * time.Second, MemoryBytes: 512 << 20,
			Start: 5 * time.Second, CPUTime: 2 * time.Second, OpenFiles: 64,
		}},
		Release: Release{
			Plan: "AllAtOnce", Watch: 2 * time.Second, Budget: 500 * time.Millisecond, ShadowLag: 64,
			Chain: []Link{{"dev", 48 * time.Hour, "./dev"}, {"prod", 0, ""}},
			Freeze: []Freeze{
				{Name: "weekend", Days: []string{"sat", "sun"}, Zone: "Europe/Berlin"},
				{Name: "closing", Begin: "2026-12-20", End: "2027-01-02"},
			},
		},
		Rollback:    Default().Rollback, // rollback_test.go reads that section
		Collections: map[lockstep.Collection]Collection{"words": {1536, "cosine"}, "lines": {0, "l2"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestChromaDirectoryFollowsData(t *testing.T) {
	c, err := load(t, "data: /var/lib/lockstep\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Follower.Chroma.Directory; got != "/var/lib/lockstep/chroma" {
		t.Errorf("chroma directory %q", got)
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	body, err := os.ReadFile("testdata/mistakes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = load(t, string(body))
	var p *Problems
	if !errors.As(err, &p) || !errors.Is(err, lockstep.ErrInvalid) {
		t.Fatalf("want Problems of class ErrInvalid, got %v", err)
	}
	got := err.Error() + "\n"
	const golden = "testdata/mistakes.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"tab", "compact:\n\tmax_messages: 1\n", "2:1: not YAML: found"},
		{"open bracket", "a: [1,\nb: 2\n", "not YAML"},
		{"not UTF-8", "data: a\nlisten: \xff\n", "2:9: byte 0xff is not UTF-8"},
		{"control character", "data: \x01\n", "1:7: control character 0x01"},
		{"anchor", "data: &a x\n", "an anchor (&a)"},
		{"unknown alias", "data: *a\n", "unknown anchor"},
		{"merge key", "<<: {data: x}\n", "a merge key"},
		{"tag", "data: !!binary aGk=\n", "a tag (!!binary)"},
		{"two documents", "data: x\n---\ndata: y\n", "a second document"},
		{"not a map", "- a\n", "want a map of keys, found a list"},
		{"key that is a number", "1: x\n", `key "1" reads as a number`},
		{"key that is a list", "? [a]\n: x\n", "a key that is a map, a list"},
		{"long", "# " + strings.Repeat("x", MaxFileBytes), "longer than 1MiB"},
		{"no port", "listen: localhost\n", "want host:port"},
		{"port of letters", "listen: localhost:http\n", "a port from 0 to 65535"},
		{"open to others", "listen: \":8765\"\n", "can be reached from other machines"},
		{"mapping missing", "handler: mapping\n", `key "mapping" is missing`},
		{"mapping unused", "mapping: ./m.yaml\n", "no effect without handler: mapping"},
		{"empty command", "follower: {chroma: {command: []}}\n", "found an empty list"},
		{"command as text", "follower: {chroma: {command: chroma}}\n", `want a list, found "chroma"`},
		{"collection name", "collections: {W: {}}\n", "collection name"},
		{"quoted integer", "compact: {max_messages: \"5\"}\n", "want an integer"},
		{"no value", "data:\n", "want text, found nothing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want %q in: %v", tc.want, err)
			}
			if err != nil && strings.Count(err.Error(), "\n") != 1 {
				t.Errorf("want one problem: %v", err)
			}
		})
	}
}

func TestAnAliasIsReportedOnceAndNotFollowed(t *testing.T) {
	_, err := load(t, "data: &a x\nlisten: *a\nimports: *a\nfollower: {chroma: {command: *a}}\n")
	var p *Problems
	if !errors.As(err, &p) || len(p.List) != 4 || !strings.Contains(err.Error(), "2:9: listen: an alias (*a)") {
		t.Errorf("got %v", err)
	}
}

func TestDepthIsBounded(t *testing.T) {
	for depth, refused := range map[int]bool{MaxDepth - 1: false, MaxDepth: true, 9000: true} {
		root, err := Parse(strings.NewReader("x: "+strings.Repeat("[", depth)+strings.Repeat("]", depth)), "f")
		if err != nil {
			t.Fatal(err)
		}
		if err := root.Err(); (err != nil) != refused {
			t.Errorf("%d lists in a map: %v", depth, err)
		}
	}
}

func TestLoopbackAddressesNeedNoToken(t *testing.T) {
	for _, a := range []string{"127.0.0.1:0", "localhost:80", "'[::1]:8765'", "127.9.9.9:1"} {
		if _, err := load(t, "listen: "+a+"\n"); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestReadErrorIsNotAProblemOfTheFile(t *testing.T) {
	_, err := Load(failing{}, "x")
	var p *Problems
	if err == nil || errors.As(err, &p) {
		t.Errorf("got %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk") }

func TestMappingInlineKeepsItsPlaces(t *testing.T) {
	c, err := load(t, "handler: mapping\nmapping:\n  name: p\n  naem: q\n")
	if err != nil {
		t.Fatal(err)
	}
	c.Mapping.Inline.Map("name")
	err = c.Mapping.Inline.Err()
	if err == nil || !strings.Contains(err.Error(), `lockstep.yaml:4:3: mapping.naem: unknown key "naem"; did you mean "name"?`) {
		t.Errorf("got %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	seeds := 0
	for _, name := range []string{"testdata/full.yaml", "testdata/mistakes.yaml"} {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(body))
		seeds++
	}
	for _, s := range []string{"", "a: &x [*x]", "? {a: b}\n: c", "handler: mapping\nmapping: {}\n", "\t", "listen: '[::1]:1'"} {
		f.Add(s)
		seeds++
	}
	if seeds == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Load(strings.NewReader(text), "f")
		if err == nil {
			if c.Data == "" || c.Listen == "" || c.Compact.MaxMessages < 1 || c.Compact.MaxBytes < 1 || c.Follower.Chroma.Keep < 1 {
				t.Fatalf("accepted an incomplete configuration: %+v", c)
			}
			if c.Handler != HandlerMapping && c.Mapping != (Mapping{}) {
				t.Fatalf("a mapping without its handler: %+v", c)
			}
			return
		}
		var p *Problems
		if !errors.As(err, &p) || len(p.List) == 0 {
			t.Fatalf("refused without a problem: %v", err)
		}
		lines := strings.Count(text, "\n") + 1
		for _, q := range p.List {
			if q.Text == "" || q.Line < 0 || q.Line > lines+1 {
				t.Fatalf("problem without text or beyond the file: %+v", q)
			}
		}
	})
}
