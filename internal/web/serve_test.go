package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lockstep/internal/web"
)

// surface serves h until stop is called; done then has what Serve returned.
func surface(t *testing.T, h http.Handler) (address string, stop func(), done <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	end := make(chan error, 1)
	go func() { end <- web.Serve(ctx, l, h) }()
	return l.Addr().String(), cancel, end
}

// within waits for the end of Serve and wants it to be without error.
func within(t *testing.T, limit time.Duration, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("the end of ctx is an error: %v", err)
		}
	case <-time.After(limit):
		t.Fatalf("the surface did not end within %s", limit)
	}
}

func TestTheSurfaceEndsAtOnceWhenNobodyIsThere(t *testing.T) {
	s := serve(t, web.Options{})
	address, stop, done := surface(t, web.Handler(s, web.Options{Now: time.Now}))
	// The connection stays open, idle.
	if code, b := call(t, http.MethodGet, "http://"+address+"/healthz", nil); code != http.StatusOK {
		t.Fatalf("status %d: %s", code, b)
	}
	stop()
	within(t, 3*time.Second, done)
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("it still listens")
	}
}

// begin sends the head of a request and the first part of its body.
func begin(t *testing.T, address, part string, length int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	// The answer to Expect says that the handler has begun to read.
	if _, err := fmt.Fprintf(conn, "POST /v1/changes HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", length); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(io.LimitReader(conn, int64(len("HTTP/1.1 100 Continue\r\n\r\n")))).ReadString('\n')
	if err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q: %v", line, err)
	}
	if _, err := io.WriteString(conn, part); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestARequestThatWasTakenIsStillAnswered(t *testing.T) {
	s := serve(t, web.Options{})
	address, stop, done := surface(t, web.Handler(s, web.Options{Now: time.Now}))
	body := record(1, 1)
	conn := begin(t, address, body[:20], len(body))
	stop()
	time.Sleep(100 * time.Millisecond)
	if _, err := io.WriteString(conn, body[20:]); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || err != nil {
		t.Errorf("status %d: %s, %v", res.StatusCode, b, err)
	}
	within(t, 3*time.Second, done)
	if version, _ := s.held(t); version != 1 {
		t.Errorf("version %d", version)
	}
}

func TestARequestThatHangsDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel() // it waits for the whole grace
	s := serve(t, web.Options{})
	address, stop, done := surface(t, web.Handler(s, web.Options{Now: time.Now}))
	begin(t, address, "{", 1000)
	stop()
	within(t, 15*time.Second, done)
}

func TestAListenerThatFailsIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := web.Serve(t.Context(), l, http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("%v", err)
	}
}
