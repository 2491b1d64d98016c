package crashtest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/change"
	"lockstep/internal/config"
	"lockstep/internal/history"
	"lockstep/internal/lockstep"
)

var (
	rounds = flag.Int("crash.rounds", 8, "how often the server is killed")
	seed   = flag.Uint64("crash.seed", 0, "of the moments; 0: by the clock")
)

// acked is what the client remembers: for each item the highest sequence number whose
// change was acknowledged.
type acked struct {
	mu    sync.Mutex // guards everything below
	seqs  map[lockstep.ItemKey]int
	total int
}

func (a *acked) note(keys []lockstep.ItemKey, seqs []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, k := range keys {
		a.seqs[k] = max(a.seqs[k], seqs[i])
		a.total++
	}
}

// TestNothingAcknowledgedIsLostByKills kills a server again and again while four
// clients send, and looks after each kill: DESIGN 3, items 1 to 3.
func TestNothingAcknowledgedIsLostByKills(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay: go test ./internal/crashtest -crash.rounds=%d -crash.seed=%d", *rounds, *seed)
	rng := rand.New(rand.NewPCG(*seed, 0))
	dir := t.TempDir()
	bin := filepath.Join(dir, "lockstep")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "lockstep/cmd/lockstep").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	data := filepath.Join(dir, "data")
	a := &acked{seqs: map[lockstep.ItemKey]int{}}
	next := 0
	for round := range *rounds {
		next = oneLife(t, bin, data, a, next, time.Duration(20+rng.IntN(280))*time.Millisecond)
		check(t, data, a, round)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d changes acknowledged, none lost", *rounds, a.total)
	if a.total < *rounds {
		t.Errorf("only %d changes were acknowledged: the test has not tested anything", a.total)
	}
}

// oneLife runs a server, sends to it, and kills it. It returns the next free sequence
// number.
func oneLife(t *testing.T, bin, data string, a *acked, next int, life time.Duration) int {
	t.Helper()
	var said strings.Builder
	cmd := exec.CommandContext(t.Context(), bin, "up", "--data", data, "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "PATH=") // no Chroma: not what is tested here
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url := waitFor(t, data, cmd, &said)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	const clients = 4
	for c := range clients {
		wg.Go(func() {
			for n := next + c; ctx.Err() == nil; n += clients {
				if send(ctx, url, c, n, a) != nil {
					return // the server is gone, or was about to
				}
			}
		})
	}
	time.Sleep(life)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it should be
	cancel()
	wg.Wait()
	return next + 1_000_000
}

// waitFor returns where the process answers.
func waitFor(t *testing.T, data string, cmd *exec.Cmd, said *strings.Builder) string {
	t.Helper()
	for range 400 {
		var addr app.Address
		b, err := os.ReadFile(filepath.Join(data, "server.json"))
		if err == nil && json.Unmarshal(b, &addr) == nil && addr.PID == cmd.Process.Pid {
			if res, err := http.Get(addr.URL + "/healthz"); err == nil {
				_ = res.Body.Close()
				return addr.URL
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	_ = cmd.Process.Kill()
	t.Fatalf("the server does not answer: %s", said.String())
	return ""
}

var errRefused = errors.New("not acknowledged")

// send posts a few changes of the client's own items and notes them when the answer
// says that they are in a version.
func send(ctx context.Context, url string, client, n int, a *acked) error {
	var body strings.Builder
	var keys []lockstep.ItemKey
	var seqs []int
	for i := range 1 + n%5 {
		k := lockstep.ItemKey{Partition: fmt.Sprintf("IMAGE#%d-%d", client, (n+i)%7), Sort: "RECEIPT#00001#PLACE"}
		seq := n*10 + i
		fmt.Fprintf(&body, `{"eventID":"e%d","eventName":"MODIFY","dynamodb":{"Keys":{"PK":{"S":%q},"SK":{"S":%q}},`+
			`"NewImage":{"PK":{"S":%q},"SK":{"S":%q},"merchant_name":{"S":"shop %d"}},"SequenceNumber":"%d"}}`+"\n",
			seq, k.Partition, k.Sort, k.Partition, k.Sort, seq, seq)
		keys, seqs = append(keys, k), append(seqs, seq)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/changes", strings.NewReader(body.String()))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK {
		return errRefused
	}
	a.note(keys, seqs)
	return nil
}

// check opens what the killed server left: every acknowledged change is in the mirror
// or was overtaken there, and all hashes close.
func check(t *testing.T, data string, a *acked, round int) {
	t.Helper()
	cfg := config.Default().WithData(data)
	cfg.Follower.Chroma.Enabled = "off"
	ix, err := app.OpenReader(t.Context(), cfg, app.Options{Now: time.Now})
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	defer func() {
		if err := ix.Close(); err != nil {
			t.Error(err)
		}
	}()
	view, err := ix.State.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := view.Close(); err != nil {
			t.Error(err)
		}
	}()
	for k, seq := range a.seqs {
		rec, _, ok, err := view.Record(lockstep.Table, k.RecordID())
		if err != nil || !ok {
			t.Errorf("round %d: %v was acknowledged up to %d and is not there (%v)", round, k, seq, err)
			continue
		}
		it, err := change.ParseMirror(rec)
		if err != nil {
			t.Errorf("round %d: %v", round, err)
			continue
		}
		if it.Seq.Compare(lockstep.Sequence(fmt.Sprint(seq))) < 0 {
			t.Errorf("round %d: %v was acknowledged up to %d and is at %s", round, k, seq, it.Seq)
		}
	}
	report, err := history.Verify(t.Context(), ix.Log, view, history.VerifyOptions{})
	if err != nil || !report.OK {
		t.Errorf("round %d: verify: %v %+v", round, err, report.Problems)
	}
}
