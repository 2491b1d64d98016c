package github

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstep/internal/notify"
	"lockstep/internal/notify/notifytest"
)

const (
	token = "ghp_0123456789abcdefghijklmnopqrstuvwxyz"
	repo  = "acme/receipts"
)

// hub is as much of GitHub as issues need, with real state.
type hub struct {
	*httptest.Server
	held chan struct{}

	mu       sync.Mutex // guards everything below
	mode     notifytest.Mode
	labels   []string
	issues   []*hubIssue
	mayLabel bool
	calls    []string
	answer   func(w http.ResponseWriter, r *http.Request) bool // answers instead, when it returns true
}

type hubIssue struct {
	number         int
	title, body    string
	labels         []string
	state          string
	pull           bool
	comments       []string
	commentUpdated []time.Time
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{mode: notifytest.Works, mayLabel: true, held: make(chan struct{})}
	h.Server = httptest.NewServer(h.routes())
	t.Cleanup(func() {
		close(h.held)
		h.Close()
	})
	return h
}

func (h *hub) routes() http.Handler {
	mux := http.NewServeMux()
	const at = "/repos/" + repo
	mux.HandleFunc("GET "+at+"/labels/{name}", h.getLabel)
	mux.HandleFunc("POST "+at+"/labels", h.postLabel)
	mux.HandleFunc("GET "+at+"/issues", h.listIssues)
	mux.HandleFunc("POST "+at+"/issues", h.postIssue)
	mux.HandleFunc("GET "+at+"/issues/{n}/comments", h.listComments)
	mux.HandleFunc("POST "+at+"/issues/{n}/comments", h.postComment)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound, "Not Found") })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		mode, answer := h.mode, h.answer
		h.calls = append(h.calls, r.Method+" "+r.URL.Path)
		h.mu.Unlock()
		switch {
		case answer != nil && answer(w, r):
		case mode == notifytest.Hangs:
			select {
			case <-r.Context().Done():
			case <-h.held:
			}
		case mode == notifytest.Down:
			fail(w, http.StatusBadGateway, "Server Error")
		case mode == notifytest.Refuses || r.Header.Get("Authorization") != "Bearer "+token:
			fail(w, http.StatusUnauthorized, "Bad credentials "+r.Header.Get("Authorization"))
		case r.Header.Get("Accept") != "application/vnd.github+json" || r.Header.Get("X-GitHub-Api-Version") == "" || r.UserAgent() == "":
			fail(w, http.StatusForbidden, "a header is missing")
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

func (h *hub) set(m notifytest.Mode) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mode = m
	return true
}

func fail(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

func read(r *http.Request, into any) {
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, into)
}

func reply(w http.ResponseWriter, status int, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(what)
}

func (h *hub) getLabel(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.labels, r.PathValue("name")) {
		fail(w, http.StatusNotFound, "Not Found")
		return
	}
	reply(w, http.StatusOK, map[string]string{"name": r.PathValue("name")})
}

func (h *hub) postLabel(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name, Color, Description string }
	read(r, &in)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case in.Name == "" || len(in.Color) != 6 || len(in.Description) > 100:
		fail(w, http.StatusUnprocessableEntity, "Validation Failed")
	case slices.Contains(h.labels, in.Name):
		reply(w, http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed", "errors": []map[string]string{{"resource": "Label", "code": "already_exists", "field": "name"}}})
	default:
		h.labels = append(h.labels, in.Name)
		reply(w, http.StatusCreated, in)
	}
}

func page[T any](r *http.Request, all []T) []T {
	n, _ := strconv.Atoi(r.URL.Query().Get("page"))
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	from := min((n-1)*size, len(all))
	return all[from:min(from+size, len(all))]
}

func show(i *hubIssue) map[string]any {
	labels := []map[string]string{}
	for _, l := range i.labels {
		labels = append(labels, map[string]string{"name": l})
	}
	out := map[string]any{"number": i.number, "title": i.title, "body": i.body, "state": i.state, "labels": labels, "html_url": fmt.Sprintf("https://github.com/%s/issues/%d", repo, i.number)}
	if i.pull {
		out["pull_request"] = map[string]string{"url": "x"}
	}
	return out
}

func (h *hub) listIssues(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []map[string]any
	for _, i := range slices.Backward(h.issues) {
		if slices.Contains(i.labels, r.URL.Query().Get("labels")) && (r.URL.Query().Get("state") == "all" || i.state == "open") {
			all = append(all, show(i))
		}
	}
	reply(w, http.StatusOK, append([]map[string]any{}, page(r, all)...))
}

func (h *hub) postIssue(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Title, Body string
		Labels      []string
	}
	read(r, &in)
	h.mu.Lock()
	defer h.mu.Unlock()
	if in.Title == "" || len([]rune(in.Title)) > 256 || len([]rune(in.Body)) > 65536 {
		fail(w, http.StatusUnprocessableEntity, "Validation Failed")
		return
	}
	i := &hubIssue{number: len(h.issues) + 1, title: in.Title, body: in.Body, state: "open"}
	if h.mayLabel {
		i.labels = in.Labels
	}
	h.issues = append(h.issues, i)
	if h.mode == notifytest.Cuts {
		panic(http.ErrAbortHandler)
	}
	reply(w, http.StatusCreated, show(i))
}

func (h *hub) at(r *http.Request) *hubIssue {
	n, _ := strconv.Atoi(r.PathValue("n"))
	return h.issues[n-1]
}

func commentLink(i *hubIssue, n int) string {
	return fmt.Sprintf("https://github.com/%s/issues/%d#issuecomment-%d", repo, i.number, n)
}

func (h *hub) listComments(w http.ResponseWriter, r *http.Request) {
	since, err := time.Parse(time.RFC3339, r.URL.Query().Get("since"))
	h.mu.Lock()
	defer h.mu.Unlock()
	all := []map[string]string{}
	for n, c := range h.at(r).comments {
		if err != nil || !h.at(r).commentUpdated[n].Before(since) {
			all = append(all, map[string]string{"body": c, "html_url": commentLink(h.at(r), n)})
		}
	}
	reply(w, http.StatusOK, page(r, all))
}

func (h *hub) postComment(w http.ResponseWriter, r *http.Request) {
	var in struct{ Body string }
	read(r, &in)
	h.mu.Lock()
	defer h.mu.Unlock()
	if in.Body == "" || len([]rune(in.Body)) > 65536 {
		fail(w, http.StatusUnprocessableEntity, "Validation Failed")
		return
	}
	i := h.at(r)
	i.comments = append(i.comments, in.Body)
	i.commentUpdated = append(i.commentUpdated, time.Date(2026, 5, 4, 8, 6, 0, 0, time.UTC))
	if h.mode == notifytest.Cuts {
		panic(http.ErrAbortHandler)
	}
	reply(w, http.StatusCreated, map[string]string{"body": in.Body, "html_url": commentLink(i, len(i.comments)-1)})
}

// shown are the texts that people see, in order.
func (h *hub) shown() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, i := range h.issues {
		if !i.pull && strings.Contains(i.body, "lockstep-message") {
			out = append(out, i.title+"\n"+i.body)
			out = append(out, i.comments...)
		}
	}
	return out
}

func settings(h *hub) Settings {
	return Settings{Kind: KindGitHub, Repository: repo, TokenEnv: "GITHUB_TOKEN", API: h.URL}
}

func mustNew(t *testing.T, s Settings) notify.Sender {
	t.Helper()
	sender, err := New(s, Options{Getenv: func(name string) string { return map[string]string{"GITHUB_TOKEN": token}[name] }})
	if err != nil {
		t.Fatal(err)
	}
	return sender
}
