//go:build interop

package interop

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstep/internal/change"
)

// pythons returns the interpreters that make interop has prepared, oldest Chroma first.
func pythons(t *testing.T) []string {
	t.Helper()
	env := os.Getenv("LOCKSTEP_INTEROP_PYTHONS")
	if env == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("LOCKSTEP_INTEROP_PYTHONS is not set: run \"make interop\"")
		}
		t.Skip("NOT TESTED: LOCKSTEP_INTEROP_PYTHONS is not set; run \"make interop\"")
	}
	return strings.Split(env, ":")
}

func script(name string) string { return filepath.Join("..", "..", "scripts", "interop", name) }

// run runs a command and returns its stdout, and its exit status.
func run(t *testing.T, env []string, name string, args ...string) (string, int) {
	t.Helper()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	status := cmd.ProcessState.ExitCode()
	if err != nil {
		t.Logf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, said.String())
	}
	return out.String() + said.String(), status
}

func must(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	out, status := run(t, env, name, args...)
	if status != 0 {
		t.Fatalf("%s %s ended with %d: %s", filepath.Base(name), strings.Join(args, " "), status, out)
	}
	return out
}

type recorded struct {
	Records int
	Images  []string
	Runs    []string
	lambda  string
	raw     string
}

// record starts an emulator, lets a script write to a table there, and returns its
// stream as the real API told it.
func record(t *testing.T, python, dir string) recorded {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(python), "moto_server"), "-H", "127.0.0.1", "-p", fmt.Sprint(addr.Port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	url := "http://" + addr.String()
	waitFor(t, "the emulator", func() bool {
		res, err := http.Get(url)
		if err == nil {
			_ = res.Body.Close()
		}
		return err == nil
	})
	r := recorded{lambda: filepath.Join(dir, "lambda.ndjson"), raw: filepath.Join(dir, "raw.json")}
	out := must(t, nil, python, script("emulator_stream.py"), url, r.lambda, r.raw)
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s did not come in time", what)
}

func decoded(t *testing.T, file string) []change.Decoded {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out []change.Decoded
	for d, err := range change.Decode(t.Context(), f, "stream", change.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		if d.Bad != nil {
			t.Errorf("%s: %s: %.300s", filepath.Base(file), d.Bad.Reason, d.Bad.Body)
		}
		d.Message.Body = nil // the two shapes are kept as they came
		out = append(out, d)
	}
	return out
}

// TestInteropAStreamOfAnEmulatorBecomesAnIndexThatChromaOpens is the whole data line
// between its real ends.
func TestInteropAStreamOfAnEmulatorBecomesAnIndexThatChromaOpens(t *testing.T) {
	all := pythons(t)
	dir := t.TempDir()
	bin := filepath.Join(dir, "lockstep")
	must(t, []string{"CGO_ENABLED=0"}, "go", "build", "-o", bin, "lockstep/cmd/lockstep")
	stream := record(t, all[len(all)-1], dir)
	if stream.Records < 20 {
		t.Fatalf("the emulator recorded %d records", stream.Records)
	}
	if diff := cmp.Diff(decoded(t, stream.lambda), decoded(t, stream.raw)); diff != "" {
		t.Errorf("the same stream in the two shapes decodes to different messages:\n%s", diff)
	}
	for _, python := range all {
		version := strings.TrimSpace(must(t, nil, python, "-c", "import chromadb; print(chromadb.__version__)"))
		t.Run("chromadb "+version, func(t *testing.T) { wholeLine(t, bin, python, stream) })
	}
}

func wholeLine(t *testing.T, bin, python string, stream recorded) {
	dir := t.TempDir()
	writeImports(t, python, filepath.Join(dir, "imports"), stream)
	cfg := filepath.Join(dir, "lockstep.yaml")
	data := filepath.Join(dir, "data")
	text := fmt.Sprintf("version: 1\ndata: %s\nreceipts: {labels: csv}\nimports: {directory: %s}\nfollower:\n  chroma: {directory: %s, command: [%s], every: 100ms}\n",
		data, filepath.Join(dir, "imports"), filepath.Join(data, "chroma"), python)
	if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"LOCKSTEP_CONFIG=" + cfg}
	lockstep := func(args ...string) string { t.Helper(); return must(t, env, bin, args...) }

	serve(t, env, bin, data, stream.lambda)
	current := filepath.Join(data, "chroma", "current")
	first, second := stream.Images[0], stream.Images[1]
	got := read(t, python, current, first)
	word := "IMAGE#" + first + "#RECEIPT#00001#LINE#00001#WORD#0000"
	if got.Words != 5 || got.Lines != 2 || got.Metadata["merchant_name"] != "Second Shop" || got.Metadata["phone_number"] != nil ||
		got.Metadata["valid_labels"] != ",TAX," || got.Nearest != word+"1" || len(got.Gone) != 0 || len(got.Number) != 5 {
		t.Errorf("Chroma finds %+v", got)
	}
	if diff := cmp.Diff([]string{word + "1", word + "2"}, got.Where); diff != "" {
		t.Errorf("where: %s", diff)
	}
	if other := read(t, python, current, second); other.Metadata["merchant_name"] != "First Shop" || other.Metadata["valid_labels"] != ",TAX," || other.Metadata["invalid_labels"] != ",TIP," {
		t.Errorf("Chroma finds %+v of the second receipt", other)
	}

	if out := lockstep("blame", "words", word+"1"); !strings.Contains(out, "receipts@2+") || !strings.Contains(out, "message ") {
		t.Errorf("blame says %s", out)
	}
	if out := lockstep("verify", "--vectors", "--follower"); strings.Contains(out, "DIFFERS") || strings.Contains(out, "PROBLEM") {
		t.Errorf("verify says %s", out)
	}
	afterWrites(t, env, bin, python, dir, current, first)
}

// afterWrites lets Chroma write, which is noticed and repaired, goes on with another
// round of changes, and back to an earlier version and forward again.
func afterWrites(t *testing.T, env []string, bin, python, dir, current, image string) {
	t.Helper()
	must(t, nil, python, script("chroma_peer.py"), "write", current)
	place := func(name, shop string, seq string) {
		t.Helper()
		file := filepath.Join(dir, name)
		body := fmt.Sprintf(`{"eventID":%q,"eventName":"MODIFY","dynamodb":{"Keys":{"PK":{"S":"IMAGE#%s"},"SK":{"S":"RECEIPT#00001#PLACE"}},`+
			`"NewImage":{"PK":{"S":"IMAGE#%s"},"SK":{"S":"RECEIPT#00001#PLACE"},"merchant_name":{"S":%q}},"SequenceNumber":%q}}`, name, image, image, shop, seq)
		if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		must(t, env, bin, "ingest", file)
	}
	place("third", "Third Shop", "999999999999999999999999999990")
	if out, status := run(t, env, bin, "follow"); status != 5 || !strings.Contains(out, "diverged") {
		t.Errorf("a directory that Chroma wrote to: status %d, %s", status, out)
	}
	must(t, env, bin, "follow", "--repair")
	if got := read(t, python, current, image); got.Metadata["merchant_name"] != "Third Shop" {
		t.Errorf("after the repair Chroma finds %+v", got)
	}
	must(t, env, bin, "verify", "--follower")

	place("fourth", "Fourth Shop", "999999999999999999999999999991")
	if got := read(t, python, current, image); got.Metadata["merchant_name"] != "Fourth Shop" {
		t.Errorf("after another round Chroma finds %+v", got)
	}
	must(t, env, bin, "reset", "--to", "1", "--hold", "--yes")
	must(t, env, bin, "follow")
	if got := read(t, python, current, image); got.Metadata["merchant_name"] != "Second Shop" {
		t.Errorf("after the reset Chroma finds %+v", got)
	}
	must(t, env, bin, "replay")
	if got := read(t, python, current, image); got.Metadata["merchant_name"] != "Fourth Shop" {
		t.Errorf("after the replay Chroma finds %+v", got)
	}
	must(t, env, bin, "verify", "--follower")
	old := filepath.Join(dir, "old")
	must(t, env, bin, "checkout", "1", "--to", old)
	if got := read(t, python, filepath.Join(old, "current"), image); got.Metadata["merchant_name"] != "Second Shop" {
		t.Errorf("Chroma finds %+v in the checkout of version 1", got)
	}
}

// serve runs the server, posts a file to it, and stops it when the follower has come
// to the version of the answer.
func serve(t *testing.T, env []string, bin, data, file string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin, "up", "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), env...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	}()
	var addr struct{ URL string }
	waitFor(t, "the server", func() bool {
		b, err := os.ReadFile(filepath.Join(data, "server.json"))
		return err == nil && json.Unmarshal(b, &addr) == nil && get(t.Context(), addr.URL+"/healthz", &struct{}{}) == nil
	})
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(addr.URL+"/v1/changes", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var sum struct {
		Version  uint64
		Outcomes map[string]int
		Reasons  []string
	}
	if err := json.NewDecoder(res.Body).Decode(&sum); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("POST: %s %v", res.Status, err)
	}
	_ = res.Body.Close()
	if sum.Outcomes["parked"]+sum.Outcomes["malformed"] > 0 || sum.Outcomes["applied"] == 0 || sum.Outcomes["ignored"] != 1 {
		t.Errorf("the server says %+v", sum)
	}
	waitFor(t, "the follower", func() bool {
		var st struct {
			Version  uint64
			Follower struct {
				Version uint64
				State   string
				Error   string
			}
		}
		return get(t.Context(), addr.URL+"/v1/status", &st) == nil && st.Version >= sum.Version && st.Follower.Version == st.Version
	})
}

func get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	return json.NewDecoder(res.Body).Decode(into)
}

// found is what Chroma answers.
type found struct {
	Words, Lines                  int
	Metadata                      map[string]any
	Document, Nearest             string
	Where, Number, Contains, Gone []string
}

func read(t *testing.T, python, dir, image string) found {
	t.Helper()
	out := must(t, nil, python, script("chroma_peer.py"), "read", dir, image)
	var f found
	if err := json.NewDecoder(strings.NewReader(out[strings.Index(out, "{"):])).Decode(&f); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return f
}

// writeImports announces the first receipt's embeddings as NDJSON, and the second's as
// the legacy archive of a directory that this Chroma wrote.
func writeImports(t *testing.T, python, dir string, stream recorded) {
	t.Helper()
	for _, c := range []string{"lines", "words"} {
		line := "IMAGE#" + stream.Images[0] + "#RECEIPT#00001#LINE#00001"
		ids := []string{line}
		if c == "words" {
			ids = []string{line + "#WORD#00001", line + "#WORD#00002", line + "#WORD#00003"}
		}
		var body bytes.Buffer
		for i, id := range ids {
			v := [4]float32{0.5, 0.5, 0.5, 0.5} // no vector is that of the other receipt
			v[i] = 1
			rec := map[string]any{"id": id, "document": "document of " + id, "embedding": v, "metadata": map[string]any{"x": 0.5, "text": "t"}}
			if err := json.NewEncoder(&body).Encode(rec); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(dir, c, "delta", stream.Runs[0], "delta.ndjson"), body.Bytes())

		delta := filepath.Join(t.TempDir(), c)
		must(t, nil, python, script("chroma_peer.py"), "delta", delta, c, stream.Images[1])
		write(t, filepath.Join(dir, c, "delta", stream.Runs[1], "delta.tar.gz"), archive(t, delta))
	}
}

func write(t *testing.T, path string, body []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
}

// archive packs a directory as the legacy pipeline does: tar of ".".
func archive(t *testing.T, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{Name: "./" + name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err = tw.Write(body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
