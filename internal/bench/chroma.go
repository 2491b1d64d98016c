package bench

import (
	"bytes"
	"context"
	"encoding/json"
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

// chromaServer is a Chroma server on loopback with one collection of ours, spoken to
// by its HTTP API v2.
type chromaServer struct {
	process    *os.Process
	gone       chan error
	output     *bytes.Buffer
	base       string
	collection string
	client     *http.Client
}

const startWithin = 60 * time.Second // a cold Python import on a slow disk

// chromaVersion asks the interpreter which chromadb it has: what the server says of
// itself is always 1.0.0. ErrNotFound when it has none.
func chromaVersion(ctx context.Context, python string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, "-c", `import importlib.metadata as m; print(m.version("chromadb"))`).Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: it has no chromadb: %w", python, lockstep.ErrNotFound, err)
	}
	return string(bytes.TrimSpace(out)), nil
}

// chromaCommand finds the server's program in the interpreter's environment: the
// installed script, which is what people run.
func chromaCommand(python string) (string, error) {
	path, err := exec.LookPath(python)
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w", python, lockstep.ErrNotFound, err)
	}
	script := filepath.Join(filepath.Dir(path), "chroma")
	if _, err := os.Stat(script); err != nil {
		return "", fmt.Errorf("%s: %w: beside %s there is no program chroma", python, lockstep.ErrNotFound, path)
	}
	return script, nil
}

// startChroma starts a server on an empty directory and returns when it answers.
// ErrNotFound when the interpreter has no Chroma. stop ends the server.
func startChroma(ctx context.Context, python, dir string) (*chromaServer, error) {
	command, err := chromaCommand(python)
	if err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	// Not tied to ctx: it is always asked to end before it is killed.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command, "run", "--path", dir, "--host", "127.0.0.1", "--port", strconv.Itoa(port))
	cmd.Env = append(cmd.Environ(), "ANONYMIZED_TELEMETRY=False", "CHROMA_ANONYMIZED_TELEMETRY=False", "CHROMA_OTEL_COLLECTION_ENDPOINT=", "DO_NOT_TRACK=1")
	s := &chromaServer{
		gone: make(chan error, 1), output: &bytes.Buffer{}, base: "http://127.0.0.1:" + strconv.Itoa(port),
		client: &http.Client{Timeout: startWithin, Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: peerClients}},
	}
	cmd.Stdout, cmd.Stderr = s.output, s.output
	cmd.WaitDelay = stopWithin // for whoever else may hold its output
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command, err)
	}
	s.process = cmd.Process
	go func() { s.gone <- cmd.Wait() }()
	if err := s.ready(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("start %s: %w: %s", command, err, s.said())
	}
	return s, nil
}

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil || !ok {
		return 0, fmt.Errorf("find a free port: %w", lockstep.ErrUnavailable)
	}
	return addr.Port, nil
}

func (s *chromaServer) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		err := s.ask(ctx, http.MethodGet, "/api/v2/heartbeat", nil, nil)
		if err == nil {
			return nil
		}
		select {
		case gone := <-s.gone:
			s.gone <- gone
			return fmt.Errorf("it ended before it answered: %w", lockstep.ErrUnavailable)
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stop asks the process to end, waits, and kills it when it does not: Chroma may
// ignore SIGTERM while it shuts down slowly (CHROMA 5.15).
func (s *chromaServer) stop() {
	s.client.CloseIdleConnections()
	_ = s.process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case err := <-s.gone:
		s.gone <- err
		return
	case <-time.After(stopWithin):
	}
	_ = s.process.Kill()
	s.gone <- <-s.gone
}

// said returns the end of what a stopped server printed.
func (s *chromaServer) said() string {
	b := s.output.Bytes()
	return string(bytes.TrimSpace(b[max(0, len(b)-2000):]))
}

const chromaCollections = "/api/v2/tenants/default_tenant/databases/default_database/collections"

func (s *chromaServer) create(ctx context.Context) error {
	var made struct {
		ID string `json:"id"`
	}
	if err := s.ask(ctx, http.MethodPost, chromaCollections, map[string]any{"name": "words"}, &made); err != nil {
		return err
	}
	s.collection = chromaCollections + "/" + made.ID
	return nil
}

func (s *chromaServer) post(ctx context.Context, verb string, body, into any) error {
	return s.ask(ctx, http.MethodPost, s.collection+"/"+verb, body, into)
}

func (s *chromaServer) ask(ctx context.Context, method, path string, body, into any) error {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, sent)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w: %w", method, path, lockstep.ErrUnavailable, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w: %w", method, path, lockstep.ErrUnavailable, err)
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %w: Chroma answers %s: %.500s", method, path, lockstep.ErrRefused, res.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
