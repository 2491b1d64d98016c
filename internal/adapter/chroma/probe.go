package chroma

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"lockstep/internal/lockstep"
)

const (
	startWithin = 60 * time.Second // a cold Python import on a slow disk
	stopWithin  = 10 * time.Second // Chroma may ignore SIGTERM while it shuts down slowly (CHROMA 5.15)
	askWithin   = 20 * time.Second
	attemptName = "lockstep.attempt" // output of the Chroma that makes a template
)

// probeName is the collection that Chroma creates to show how it writes one.
func probeName(space string) string { return "lockstep-probe-" + space }

// MakeTemplate lets the user's own Chroma initialise the folder into: it starts
// command once on a free loopback port (or, when command is a Python interpreter,
// runs chromadb in it), has one empty collection created per space, stops it, keeps
// the rows Chroma wrote for them, and empties the tables. It leaves no process
// behind. ErrRefused when the command does not do that or its tables are unknown,
// ErrUnavailable when it does not answer in time; into is then no template, and
// another call starts over.
func MakeTemplate(ctx context.Context, command []string, into string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(command) == 0 || command[0] == "" {
		return fmt.Errorf("%w template: no command", lockstep.ErrInvalid)
	}
	if err := emptyFolder(into); err != nil {
		return err
	}
	run := probeServer
	if isPython(command) {
		run = probePython
	}
	if err := run(ctx, command, into); err != nil {
		return err
	}
	return finishTemplate(ctx, into)
}

// quiet is the environment that keeps Chroma from calling anybody.
func quiet(cmd *exec.Cmd) {
	cmd.Env = append(cmd.Environ(),
		"ANONYMIZED_TELEMETRY=False", "CHROMA_ANONYMIZED_TELEMETRY=False",
		"CHROMA_OTEL_COLLECTION_ENDPOINT=", "DO_NOT_TRACK=1",
	)
}

// pythonProbe creates the probe collections through chromadb's own client.
const pythonProbe = `
import sys, chromadb
client = chromadb.PersistentClient(sys.argv[1], settings=chromadb.Settings(anonymized_telemetry=False))
for space in sys.argv[2:]:
    client.create_collection("lockstep-probe-" + space, configuration={"hnsw": {"space": space}}, embedding_function=None)
`

func probePython(ctx context.Context, command []string, into string) error {
	args := append([]string{}, command[1:]...)
	args = append(append(args, "-c", pythonProbe, into), spaces...)
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], args...)
	quiet(cmd)
	cmd.WaitDelay = time.Second
	var said tail
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		err = fmt.Errorf("%w: %s could not make a Chroma directory: %w: %s", lockstep.ErrRefused, command[0], err, said.String())
		return lockstep.Hint(err, adviceInstall)
	}
	return nil
}

// probeServer runs a Chroma server on the folder and creates the collections over HTTP.
func probeServer(ctx context.Context, command []string, into string) (err error) {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	args := append([]string{}, command[1:]...)
	args = append(args, "run", "--path", into, "--host", "127.0.0.1", "--port", strconv.Itoa(port))
	log, err := os.OpenFile(filepath.Join(into, attemptName), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("log of the template's Chroma: %w", err)
	}
	defer func() { _ = log.Close() }() // a help for people; nothing depends on it
	// Not tied to ctx: it is always asked to stop before it is killed, so that it
	// leaves no half-written database.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], args...)
	quiet(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		err = fmt.Errorf("%w: start %s: %w", lockstep.ErrRefused, command[0], err)
		return lockstep.Hint(err, adviceInstall)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	err = createProbes(ctx, "http://127.0.0.1:"+strconv.Itoa(port), gone)
	stop(cmd.Process, gone)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", command[0], err, lastWords(log))
	}
	if err := os.Remove(filepath.Join(into, attemptName)); err != nil {
		return fmt.Errorf("log of the template's Chroma: %w", err)
	}
	return nil
}

// stop ends a process and returns when it has gone.
func stop(p *os.Process, gone chan error) {
	_ = p.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case err := <-gone:
		gone <- err
		return
	case <-time.After(stopWithin):
	}
	_ = p.Kill()
	gone <- <-gone
}

func createProbes(ctx context.Context, base string, gone chan error) error {
	client := &http.Client{Timeout: askWithin, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for ask(ctx, client, http.MethodGet, base+"/api/v2/heartbeat", nil) != nil {
		select {
		case err := <-gone:
			gone <- err
			return fmt.Errorf("%w: it ended before it answered: %w", lockstep.ErrRefused, errors.Join(err, errEnded))
		case <-ctx.Done():
			return fmt.Errorf("%w: no heartbeat: %w", lockstep.ErrUnavailable, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	for _, space := range spaces {
		body, err := json.Marshal(map[string]any{
			"name": probeName(space), "configuration": map[string]any{"hnsw": map[string]any{"space": space}},
		})
		if err != nil {
			return fmt.Errorf("create %s: %w", probeName(space), err)
		}
		url := base + "/api/v2/tenants/default_tenant/databases/" + defaultDatabase + "/collections"
		if err := ask(ctx, client, http.MethodPost, url, body); err != nil {
			return fmt.Errorf("create %s: %w", probeName(space), err)
		}
	}
	return nil
}

var errEnded = errors.New("process ended")

// ask does one request and returns an error unless the answer is 2xx.
func ask(ctx context.Context, client *http.Client, method, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%w: Chroma answers %s: %s", lockstep.ErrRefused, resp.Status, answer)
	}
	return nil
}

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil || !ok {
		return 0, fmt.Errorf("find a free port: %w", errors.Join(err, lockstep.ErrUnavailable))
	}
	return addr.Port, nil
}

// maxWords bounds what is shown of a process's output.
const maxWords = 2 << 10

// lastWords returns the end of a log file.
func lastWords(f *os.File) string {
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	from := max(info.Size()-maxWords, 0)
	buf := make([]byte, info.Size()-from)
	n, _ := f.ReadAt(buf, from) // as much as there is
	return string(bytes.TrimSpace(buf[:n]))
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - maxWords; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(bytes.TrimSpace(t.b)) }
