package messenger

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/notify"
	"lockstep/internal/notify/notifytest"
)

const hookPath = "/services/T0000/B0000/sEcReTtOkEn"

func now() time.Time { return time.Date(2026, 5, 4, 8, 6, 0, 0, time.UTC) }

func env(pairs map[string]string) Options {
	return Options{Getenv: func(name string) string { return pairs[name] }, Now: now}
}

// hooked is a server that takes what is posted to it.
type hooked struct {
	*httptest.Server
	mu     sync.Mutex // guards everything below
	mode   notifytest.Mode
	bodies [][]byte
	heads  []http.Header
	keys   map[string]bool // nil: it does not look at keys
	bad    []string        // what was wrong with a request
	held   chan struct{}
}

func newHooked(t *testing.T, keys map[string]bool) *hooked {
	t.Helper()
	h := &hooked{mode: notifytest.Works, keys: keys, held: make(chan struct{})}
	h.Server = httptest.NewServer(h)
	t.Cleanup(func() {
		close(h.held)
		h.Close()
		for _, b := range h.bad {
			t.Error(b)
		}
	})
	return h
}

func (h *hooked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	mode := h.mode
	if err != nil || r.Method != http.MethodPost || r.URL.Path != hookPath || r.Header.Get("Content-Type") != "application/json" || !json.Valid(body) {
		h.bad = append(h.bad, r.Method+" "+r.URL.Path+" "+string(body))
	}
	if mode == notifytest.Works || mode == notifytest.Cuts {
		key := r.Header.Get("Idempotency-Key")
		if h.keys == nil || !h.keys[key] {
			h.bodies, h.heads = append(h.bodies, body), append(h.heads, r.Header)
		}
		if h.keys != nil {
			h.keys[key] = true
		}
	}
	h.mu.Unlock()
	switch mode {
	case notifytest.Works:
		_, _ = io.WriteString(w, "ok")
	case notifytest.Down:
		http.Error(w, "rollup_error at "+hookPath, http.StatusInternalServerError)
	case notifytest.Refuses:
		http.Error(w, "no_service "+hookPath, http.StatusNotFound)
	case notifytest.Cuts:
		panic(http.ErrAbortHandler)
	case notifytest.Hangs:
		select {
		case <-r.Context().Done():
		case <-h.held:
		}
	}
}

func (h *hooked) set(m notifytest.Mode) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mode = m
	return true
}

func (h *hooked) received() ([][]byte, []http.Header) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bodies, h.heads
}

func mustNew(t *testing.T, s Settings, o Options) notify.Sender {
	t.Helper()
	sender, err := New(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

func TestErrorsOfAServerThatIsGoneNameNoAddress(t *testing.T) {
	h := newHooked(t, nil)
	h.Close()
	for _, kind := range []Kind{KindSlack, KindWebhook} {
		s := mustNew(t, Settings{Name: "ops", Kind: kind, URLEnv: "HOOK"}, env(map[string]string{"HOOK": h.URL + hookPath}))
		_, err := s.Send(t.Context(), notifytest.Message("a"))
		if err == nil || notify.Permanent(err) || strings.Contains(err.Error(), "sEcReT") || !strings.Contains(err.Error(), "ops") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestNoRedirectLeavesTheHost(t *testing.T) {
	other := newHooked(t, nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+hookPath, status)
		}))
		s := mustNew(t, Settings{Name: "ops", Kind: KindSlack, URLEnv: "HOOK"}, env(map[string]string{"HOOK": away.URL + hookPath}))
		if _, err := s.Send(t.Context(), notifytest.Message("a")); !notify.Permanent(err) {
			t.Errorf("%d: %v", status, err)
		}
		away.Close()
	}
	if bodies, _ := other.received(); len(bodies) != 0 {
		t.Error("another host got the message")
	}
}

func TestARedirectOnTheSameHostIsFollowed(t *testing.T) {
	var got []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusPermanentRedirect)
			return
		}
		got, _ = io.ReadAll(r.Body)
	}))
	defer srv.Close()
	s := mustNew(t, Settings{Name: "ops", Kind: KindWebhook, URLEnv: "HOOK"}, env(map[string]string{"HOOK": srv.URL + "/old"}))
	if _, err := s.Send(t.Context(), notifytest.Message("a")); err != nil || len(got) == 0 {
		t.Errorf("%v, %d bytes", err, len(got))
	}
}

func TestAnEndlessAnswerIsNotRead(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	s := mustNew(t, Settings{Name: "ops", Kind: KindSlack, URLEnv: "HOOK"}, env(map[string]string{"HOOK": srv.URL}))
	if r, err := s.Send(t.Context(), notifytest.Message("a")); err != nil || len(r.Text) > 300 {
		t.Errorf("%v: %d bytes", err, len(r.Text))
	}
}

func TestTheReceiversWaitIsPassedOn(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "42")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer srv.Close()
	s := mustNew(t, Settings{Name: "ops", Kind: KindSlack, URLEnv: "HOOK"}, env(map[string]string{"HOOK": srv.URL}))
	_, err := s.Send(t.Context(), notifytest.Message("a"))
	if w, ok := notify.WaitOf(err); !ok || w.For != 42*time.Second || notify.Permanent(err) {
		t.Errorf("%v: %+v", err, w)
	}
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	transport, ok := newClient(Options{}).Transport.(*http.Transport)
	if !ok || transport.Proxy != nil || !transport.DisableKeepAlives {
		t.Errorf("%+v", transport)
	}
}
