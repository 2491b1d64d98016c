package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"lockstep/internal/handler/handlertest"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
	"lockstep/internal/receipt/synth"
)

// TestAKilledServerLosesNothingAcknowledged is the acceptance of DESIGN 14: kill -9 in a
// loop during ingest, and no acknowledged change is missing, every time.
func TestAKilledServerLosesNothingAcknowledged(t *testing.T) {
	s := newServer(t)
	ctx := t.Context()
	moments := *seed
	if moments == 0 {
		moments = uint64(time.Now().UnixNano())
	}
	// The machine's own timing is not in the seed: it repeats the moments, not the history.
	t.Logf("go test ./internal/crashtest -crash.rounds=%d -crash.seed=%d", *rounds, moments)
	rng := rand.New(rand.NewPCG(moments, 0))
	for round := range *rounds {
		s.start(t)
		stop := s.clients(ctx, 3)
		time.Sleep(time.Duration(5+rng.IntN(150)) * time.Millisecond)
		s.kill(t)
		stop()
		x, err := examine(ctx, s.data, t.TempDir())
		if err != nil {
			t.Fatalf("round %d: %v", round+1, err)
		}
		for _, m := range s.feed.acked() {
			if err := x.has(m); err != nil {
				t.Fatalf("round %d, version %d: %v", round+1, x.head.Number(), err)
			}
		}
		if out, err := s.command(ctx, "verify").CombinedOutput(); err != nil {
			t.Fatalf("round %d: lockstep verify: %v\n%s", round+1, err, out)
		}
	}
	s.finish(t)
}

// finish delivers what is left, kills the server once more, and compares with the model.
func (s *server) finish(t *testing.T) {
	t.Helper()
	s.start(t)
	s.feed.end()
	s.clients(t.Context(), 2)()
	s.kill(t)
	x, err := examine(t.Context(), s.data, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	model := handlertest.NewIndex(receipt.V2(receipt.V2Config{}), s.feed.g.Import)
	for part := range slices.Chunk(s.feed.all, 50) {
		if _, err := model.Apply(t.Context(), part...); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.equals(model); err != nil {
		t.Errorf("version %d: %v", x.head.Number(), err)
	}
	acked := len(s.feed.acked())
	t.Logf("%d kills, %d changes acknowledged, %d versions", *rounds+1, acked, x.head.Number())
	if acked < 20**rounds {
		t.Errorf("only %d changes were acknowledged: the server was hardly at work when it was killed", acked)
	}
}

// server is the real program on one data directory.
type server struct {
	bin, data, config string
	feed              *feed
	cmd               *exec.Cmd
	url               string
	log               bytes.Buffer
}

func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{bin: built(t), data: filepath.Join(dir, "data"), config: filepath.Join(dir, "lockstep.yaml")}
	imports := filepath.Join(dir, "imports")
	config := fmt.Sprintf("version: 1\nimports: {directory: %q}\nfollower: {chroma: {enabled: \"off\"}}\n", imports)
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.feed = newFeed(imports)
	t.Cleanup(func() {
		if s.cmd != nil {
			s.kill(t)
		}
	})
	return s
}

var (
	building sync.Once
	buildDir string
	errBuild error
)

// built returns the program, which is built once for all tests that run it; TestMain
// removes it.
func built(t *testing.T) string {
	t.Helper()
	if building.Do(build); errBuild != nil {
		t.Fatal(errBuild)
	}
	return filepath.Join(buildDir, "lockstep")
}

func build() {
	if buildDir, errBuild = os.MkdirTemp("", "crashtest-"); errBuild != nil {
		return
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(buildDir, "lockstep"), "./cmd/lockstep")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		errBuild = fmt.Errorf("build: %w\n%s", err, out)
	}
}

func unbuild() error {
	if buildDir == "" {
		return nil
	}
	return os.RemoveAll(buildDir)
}

func (s *server) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.bin, append([]string{"--config", s.config, "--data", s.data}, args...)...)
	cmd.Env = []string{"HOME=" + filepath.Dir(s.data), "USER=crashtest"}
	return cmd
}

// start runs the server and waits until it says where it answers.
func (s *server) start(t *testing.T) {
	t.Helper()
	s.log.Reset()
	s.cmd = s.command(context.WithoutCancel(t.Context()), "up", "--listen", "127.0.0.1:0")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		var at struct {
			URL string
			PID int
		}
		b, err := os.ReadFile(filepath.Join(s.data, "server.json"))
		if err == nil && json.Unmarshal(b, &at) == nil && at.PID == s.cmd.Process.Pid {
			s.url = at.URL
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.kill(t)
	t.Fatalf("the server does not start:\n%s", &s.log)
}

// kill ends the server as a power switch does, by its id only, and waits for it.
func (s *server) kill(t *testing.T) {
	t.Helper()
	cmd := s.cmd
	s.cmd = nil
	if err := cmd.Process.Kill(); err != nil {
		t.Fatalf("kill: %v; the server says:\n%s", err, &s.log)
	}
	if err := cmd.Wait(); cmd.ProcessState.Exited() {
		t.Fatalf("the server had ended by itself: %v\n%s", err, &s.log)
	}
}

// clients begins to send, and returns what waits for all of them to have ended: when
// nothing is left, or when the server does not answer any more.
func (s *server) clients(ctx context.Context, n int) (wait func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for {
				batch := s.feed.take()
				if len(batch) == 0 {
					return
				}
				ok := s.post(ctx, batch)
				s.feed.answer(batch, ok)
				if !ok {
					return
				}
			}
		})
	}
	return wg.Wait
}

func (s *server) post(ctx context.Context, batch []lockstep.Message) bool {
	var body bytes.Buffer
	for _, m := range batch {
		body.Write(m.Body)
		body.WriteByte('\n')
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/changes", &body)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil && res.StatusCode == http.StatusOK
}

// feed is a table of receipts that somebody edits all the time.
type feed struct {
	imports string
	g       *synth.Generator

	mu    sync.Mutex // guards everything below
	rng   *rand.Rand
	all   []lockstep.Message // everything there is so far, in stream order
	open  []lockstep.Message // not acknowledged and in nobody's hands
	done  []lockstep.Message
	ended bool
}

func newFeed(imports string) *feed {
	f := &feed{imports: imports, rng: rand.New(rand.NewPCG(1, 2))}
	f.g = synth.New(11, synth.Options{
		Receipts: 40, Lines: synth.Range{Min: 1, Max: 3}, Words: synth.Range{Min: 1, Max: 3}, Dimension: 8,
	})
	for e := range f.g.Events() {
		f.add(e)
	}
	for i := range f.g.Len() {
		f.embed(i)
	}
	return f
}

func (f *feed) add(e synth.Event) {
	f.all, f.open = append(f.all, e.Message()), append(f.open, e.Message())
}

func (f *feed) embed(index int) {
	for _, o := range f.g.Objects(f.g.Receipt(index)) {
		path := filepath.Join(f.imports, filepath.FromSlash(o.Key))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			panic(err)
		}
		if err := os.WriteFile(path, o.Body, 0o600); err != nil {
			panic(err)
		}
	}
}

// take returns a few messages, now and then one that was acknowledged before, and edits
// the table when nothing is left. No messages: the feed has ended.
func (f *feed) take() []lockstep.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.open) < 20 && !f.ended {
		for _, edit := range f.g.Edits(1) {
			if edit.Kind == "re-embedded" {
				if len(f.g.Embeddings(f.g.Receipt(edit.Receipt), receipt.Words)) == 0 {
					continue // an empty import is refused, and its receipt would wait for ever
				}
				f.embed(edit.Receipt)
			}
			for _, e := range edit.Events {
				f.add(e)
			}
		}
	}
	n := min(len(f.open), 1+f.rng.IntN(12))
	batch := slices.Clone(f.open[:n])
	f.open = f.open[n:]
	if len(f.done) > 0 && len(batch) > 0 && f.rng.IntN(4) == 0 {
		batch = append(batch, f.done[f.rng.IntN(len(f.done))])
	}
	return batch
}

// answer takes the batch back: it is acknowledged, or nobody knows and it comes again.
func (f *feed) answer(batch []lockstep.Message, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ok {
		f.done = append(f.done, batch...)
		return
	}
	f.open = append(f.open, batch...)
}

func (f *feed) acked() []lockstep.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.done)
}

// end stops the editing.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
}
