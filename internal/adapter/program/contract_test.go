package program

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/handler"
	"lockstep/internal/handler/handlertest"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/receipt/synth"
)

const examples = "../../../examples/handlers"

// python returns the interpreter itself: a launcher in its place would need an
// environment.
func python(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("python3 is missing: %v", err)
		}
		t.Skipf("SKIPPED, nothing was checked: python3 is missing: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func example(t *testing.T, name string) *Program {
	t.Helper()
	spec := Spec{Command: []string{"./" + name}, Dir: examples, CallTimeout: time.Minute}
	if strings.HasSuffix(name, ".py") {
		spec = Spec{Command: []string{python(t), "-S", name}, Name: name, Dir: examples, CallTimeout: time.Minute}
	}
	p := open(t, spec, Options{})
	if _, err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// told is one change of an item, nil for its removal.
func told(partition, sort string, seq int, event lockstep.Event, image lockstep.Item) lockstep.Message {
	return lockstep.Message{
		ID: fmt.Sprintf("%s/%s/%d", partition, sort, seq), Group: partition, Source: "test", Body: []byte(`{"eventID":"ev"}`),
		Change: lockstep.Change{
			Key: lockstep.ItemKey{Partition: partition, Sort: sort}, Event: event, Seq: lockstep.Sequence(fmt.Sprint(seq)), New: image,
			At: time.Date(2026, 1, 5, 9, 0, seq, 0, time.UTC),
		},
	}
}

func text(s string) lockstep.Attr { return lockstep.Attr{Type: lockstep.AttrS, Text: s} }

// The marks have attributes that look like structure to whoever does not parse.
func TestTheShellExampleKeepsTheContract(t *testing.T) {
	tricky := lockstep.Item{
		"view": text(`],"view":{"records":{`), "items": text(`},"items":[{"partition":"NOTE#x`), `"image":null`: text(`"entity":"MARK","image":null,"seq":"`),
		"image": {Type: lockstep.AttrM, Map: lockstep.Item{"records": {Type: lockstep.AttrL, List: []lockstep.Attr{{Type: lockstep.AttrNull}}}}},
	}
	handlertest.Run(t, example(t, "echo.sh"), handlertest.Fixture{Convergent: true, Messages: []lockstep.Message{
		told("NOTE#a", "MARK", 1, lockstep.Insert, tricky),
		told("NOTE#b-2", "MARK", 2, lockstep.Insert, lockstep.Item{"n": text("1")}),
		told("NOTE#a", "MARK", 3, lockstep.Modify, lockstep.Item{"n": text("2")}),
		told("NOTE#b-2", "MARK", 4, lockstep.Remove, nil),
		told("NOTE#c", "MARK", 5, lockstep.Insert, tricky),
		told("NOTE#b-2", "OTHER", 6, lockstep.Insert, tricky),
		told("NOTE#c", "MARK", 7, lockstep.Remove, nil),
		told("NOTE#c", "MARK", 8, lockstep.Insert, lockstep.Item{}),
	}})
}

func TestTheProductExampleKeepsTheContract(t *testing.T) {
	info := func(name, price string, tags ...string) lockstep.Item {
		it := lockstep.Item{"name": text(name), "brand": {Type: lockstep.AttrNull}, "price": {Type: lockstep.AttrN, Text: price}}
		if len(tags) > 0 {
			it["tags"] = lockstep.Attr{Type: lockstep.AttrSS, Set: tags}
		}
		return it
	}
	body := func(s string) lockstep.Item { return lockstep.Item{"text": text(s)} }
	h := example(t, "products.py")
	handlertest.Run(t, h, handlertest.Fixture{Convergent: true, Messages: []lockstep.Message{
		told("PRODUCT#1|%", "INFO", 1, lockstep.Insert, info("Käse", "12", "food", "fresh")),
		told("PRODUCT#1|%", "TEXT#de", 2, lockstep.Insert, body("Ein milder Käse 🧀")),
		told("PRODUCT#1|%", "TEXT#en", 3, lockstep.Insert, body("a mild cheese")),
		told("PRODUCT#2", "TEXT#en", 4, lockstep.Insert, body("no name yet")),
		told("PRODUCT#2", "INFO", 5, lockstep.Insert, info("Lamp", "1.5E1")),
		told("PRODUCT#1|%", "INFO", 6, lockstep.Modify, info("Käse", "12.50")),
		told("PRODUCT#1|%", "TEXT#de", 7, lockstep.Remove, nil),
		told("PRODUCT#2", "STOCK", 8, lockstep.Insert, body("x")),
		told("PRODUCT#2", "TEXT#en", 9, lockstep.Modify, body("")),
		told("PRODUCT#2", "TEXT#en", 10, lockstep.Modify, body("a lamp")),
		told("PRODUCT#2", "INFO", 11, lockstep.Remove, nil),
	}})

	x := handlertest.NewIndex(h, nil)
	if _, err := x.Apply(t.Context(), told("PRODUCT#3", "TEXT#en", 1, lockstep.Insert, lockstep.Item{"text": {Type: lockstep.AttrBool, Truth: true}})); err != nil {
		t.Fatal(err)
	}
	if len(x.Parked) != 1 {
		t.Error("an attribute of the wrong type was not parked")
	}
}

// small is a table of receipts that is quick to fold and still has every entity.
func small(seed uint64, place synth.Place, receipts int) *synth.Generator {
	return synth.New(seed, synth.Options{
		Receipts: receipts, Lines: synth.Range{Min: 2, Max: 4}, Words: synth.Range{Min: 1, Max: 3},
		Dimension: 4, Labels: 40, Letters: 1, Place: place,
	})
}

// history is the creation of all receipts, one edit of every kind and n more.
func history(t *testing.T, g *synth.Generator, n int) []lockstep.Message {
	var ms []lockstep.Message
	for e := range g.Events() {
		ms = append(ms, e.Message())
	}
	var edits []synth.Edit
	for i, kind := range synth.Kinds() {
		edit, err := g.Edit(i%g.Len(), kind)
		if err != nil {
			t.Fatal(err)
		}
		edits = append(edits, edit)
	}
	for _, edit := range append(edits, g.Edits(n)...) {
		for _, e := range edit.Events {
			ms = append(ms, e.Message())
		}
	}
	return ms
}

func TestTheReceiptExampleKeepsTheContract(t *testing.T) {
	g := small(7, synth.BothItems, 2)
	handlertest.Run(t, example(t, "receipts_places.py"), handlertest.Fixture{Messages: history(t, g, 20), Source: g.Import, Convergent: true})
}

// A handler of this module behind the protocol is the same handler: nothing is lost
// on the way, in either direction.
func TestNothingIsLostOnTheWay(t *testing.T) {
	agree(t, open(t, helperSpec(t, "receipts"), Options{}), 150)
}

// docs/exec.md states this agreement.
func TestTheReceiptExampleAgreesWithReceipts2(t *testing.T) {
	agree(t, example(t, "receipts_places.py"), 400)
}

// agree folds the same traffic, in order and out of order, through h and receipts@2
// and compares the whole index after every batch.
func agree(t *testing.T, h handler.Handler, edits int) {
	t.Helper()
	messages, batches := 0, 0
	for seed, place := range map[uint64]synth.Place{11: synth.PlaceItems, 12: synth.MetadataItems, 13: synth.BothItems} {
		g := small(seed, place, 6)
		ms := history(t, g, edits)
		late := slices.Clone(ms)
		for i := 0; i+40 < len(late); i += 41 { // some arrive much later
			late[i], late[i+40] = late[i+40], late[i]
		}
		for _, stream := range [][]lockstep.Message{ms, late} {
			got, want := handlertest.NewIndex(h, g.Import), handlertest.NewIndex(receipt.V2(receipt.V2Config{}), g.Import)
			for batch := range slices.Chunk(stream, 25) {
				gotOutcomes, err := got.Apply(t.Context(), batch...)
				if err != nil {
					t.Fatal(err)
				}
				wantOutcomes, err := want.Apply(t.Context(), batch...)
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Parked) > 0 {
					t.Fatalf("parked: %s", got.Parked[0].Change.Key)
				}
				if diff := cmp.Diff(want.State(), got.State()); diff != "" {
					t.Fatalf("%s, after message %s (-receipts@2 +program):\n%.4000s", place, batch[len(batch)-1].ID, diff)
				}
				if diff := cmp.Diff(wantOutcomes, gotOutcomes); diff != "" {
					t.Fatalf("%s, after message %s: outcomes (-receipts@2 +program):\n%s", place, batch[len(batch)-1].ID, diff)
				}
				messages, batches = messages+len(batch), batches+1
			}
		}
	}
	t.Logf("the same %d times, over %d messages", batches, messages)
	if messages < 1000 {
		t.Error("too little traffic to say anything")
	}
}

func TestTheReceiptExampleRefusesAForeignImport(t *testing.T) {
	h := example(t, "receipts_places.py")
	g := small(7, synth.PlaceItems, 1)
	x := handlertest.NewIndex(h, func(ref handler.ImportRef) (handler.Import, error) {
		im, err := g.Import(ref)
		last := &im.Embeddings[len(im.Embeddings)-1]
		last.ID = strings.Replace(last.ID, "#RECEIPT#00001#", "#RECEIPT#00002#", 1)
		return im, err
	})
	for e := range g.Events() {
		if _, err := x.Apply(t.Context(), e.Message()); err != nil {
			t.Fatal(err)
		}
	}
	if len(x.Parked) != 1 || len(x.Records) != 0 {
		t.Errorf("%d parked, %d collections written", len(x.Parked), len(x.Records))
	}
}

func TestTheCodeIsWhatRuns(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("handler", "#!/bin/sh\n")
	write("main.py", "1")
	write("lib/a.py", "2")
	write("lib/deep/b.py", "3")
	write("lib/__pycache__/a.pyc", "4")
	spec := Spec{Command: []string{"./handler", "main.py", "-v"}, Dir: dir, Files: []string{"lib"}, Env: map[string]string{"LABELS": "array"}}
	code := func(s Spec) string {
		t.Helper()
		c, err := s.code()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := code(spec)
	for name, change := range map[string]func(*Spec){
		"an argument":            func(s *Spec) { s.Command = []string{"./handler", "main.py", "-w"} },
		"the environment":        func(s *Spec) { s.Env = map[string]string{"LABELS": "csv"} },
		"the program":            func(*Spec) { write("handler", "#!/bin/sh\n#\n") },
		"a file in the command":  func(*Spec) { write("main.py", "1.1") },
		"a file of a directory":  func(*Spec) { write("lib/deep/b.py", "3.1") },
		"a file in another file": func(*Spec) { write("lib/a.py", "2") },
		"what is not named":      func(*Spec) { write("README", "x") },
		"what running writes":    func(*Spec) { write("lib/__pycache__/a.pyc", "5") },
	} {
		before, s := code(spec), spec
		change(&s)
		same := name == "a file in another file" || name == "what is not named" || name == "what running writes"
		if (code(s) == before) != same {
			t.Errorf("%s: the same code: %t, want %t", name, !same, same)
		}
	}
	moved := spec
	moved.Dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(moved.Dir, "x"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	moved.Dir = filepath.Join(moved.Dir, "x")
	if code(moved) != code(spec) {
		t.Error("the same files in another directory are another revision")
	}
	spec.Files = []string{"lib/*.go"}
	if _, err := spec.code(); !errors.Is(err, lockstep.ErrInvalid) {
		t.Errorf("a pattern without a file: %v", err)
	}
	if first == "" {
		t.Error("no code")
	}
}

func TestChangedFilesAreAnotherRevision(t *testing.T) {
	spec := helperSpec(t, "plan answers and exits")
	file := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(file, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec.Files = []string{file}
	p := open(t, spec, Options{})
	if _, err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Plan(t.Context(), note("a", "x")); err != nil {
		t.Fatalf("the process that runs has the files of before: %v", err)
	}
	var err error
	eventually(t, "the process is replaced", func() bool {
		_, err = p.Plan(t.Context(), note("a", "x"))
		f, ok := errors.AsType[*Failure](err)
		return ok && f.Kind == KindStart
	})
	fails(t, err, KindStart, "its files have changed since the probe")
}

func TestASpecThatCannotBeIsRefused(t *testing.T) {
	for name, spec := range map[string]Spec{
		"command":       {},
		"env":           {Command: []string{"x"}, Env: map[string]string{"A=B": "c"}},
		"files":         {Command: []string{"x"}, Files: []string{"["}},
		"processes":     {Command: []string{"x"}, Processes: 65},
		"open_files":    {Command: []string{"x"}, OpenFiles: 1},
		"line_bytes":    {Command: []string{"x"}, LineBytes: -1},
		"mutations":     {Command: []string{"x"}, Mutations: -1},
		"stderr_bytes":  {Command: []string{"x"}, StderrBytes: -1},
		"start_timeout": {Command: []string{"x"}, StartTimeout: -1},
		"call_timeout":  {Command: []string{"x"}, CallTimeout: -1},
		"memory":        {Command: []string{"x"}, MemoryBytes: -1},
		"cpu_time":      {Command: []string{"x"}, CPUTime: -1},
	} {
		_, err := New(spec, Options{})
		if !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
