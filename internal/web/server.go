// Package web is the HTTP surface: changes in, status and metrics out.
//
// It promises that POST /v1/changes answers with success only after every record of
// its body is in a version, parked there, or known to need none, so that whoever
// sent it may forget it; and that a request is bounded in size and time. It listens
// where it is told to and decides nothing.
package web

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/change"
	"lockstep/internal/lockstep"
)

// MaxBodyBytes bounds the body of one request.
const MaxBodyBytes = 64 << 20

// grace is how long requests may still run when the surface is to end.
const grace = 5 * time.Second

const maxSource = 256 // bytes of a source name that a request may give

// Engine is what the surface needs of a running server.
type Engine interface {
	app.Submitter
	Status(ctx context.Context) (app.Status, error)
	DecodeOptions(now time.Time) change.Options
	Metrics() http.Handler
}

// Options of the surface.
type Options struct {
	Now   func() time.Time // required
	Token string           // when set, every request but /healthz must carry it as a bearer token
	Log   *slog.Logger     // default: discard
}

// Handler returns the API.
func Handler(e Engine, opts Options) http.Handler {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &surface{engine: e, opts: opts}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/changes", s.changes)
	mux.HandleFunc("GET /v1/status", s.status)
	mux.Handle("GET /metrics", e.Metrics())
	health := http.NewServeMux()
	health.HandleFunc("GET /healthz", s.healthz)
	health.Handle("/", s.authorised(mux))
	return health
}

// Serve answers on l until ctx ends, and then lets running requests finish for a
// short while. The end of ctx is not an error, nor is a request that was cut off then:
// whoever sent it has no answer, and sends it again.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	tail, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := srv.Shutdown(tail)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	if serr := <-done; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

type surface struct {
	engine Engine
	opts   Options
}

func (s *surface) authorised(next http.Handler) http.Handler {
	if s.opts.Token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(given), []byte(s.opts.Token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="lockstep"`)
			s.answer(w, http.StatusUnauthorized, problem{Error: "a valid bearer token is needed", Hint: "send the content of token_file as \"Authorization: Bearer ...\""})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *surface) changes(w http.ResponseWriter, r *http.Request) {
	body := http.MaxBytesReader(w, r.Body, MaxBodyBytes)
	q := r.URL.Query()
	source := "http"
	if given := q.Get("source"); given != "" && len(given) <= maxSource {
		source = given
	}
	sum, err := app.Ingest(r.Context(), s.engine, body, source, app.IngestOptions{Decode: s.engine.DecodeOptions(s.opts.Now()), Detail: q.Has("detail")})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, http.StatusOK, sum)
}

func (s *surface) status(w http.ResponseWriter, r *http.Request) {
	st, err := s.engine.Status(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, http.StatusOK, st)
}

func (s *surface) healthz(w http.ResponseWriter, r *http.Request) {
	if _, err := s.engine.Status(r.Context()); err != nil {
		// Whatever it is: a prober asks whether it works, and knows no other answer.
		s.answer(w, http.StatusServiceUnavailable, problem{Error: err.Error(), Hint: lockstep.HintOf(err)})
		return
	}
	s.answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// problem is the body of every answer that is not a success.
type problem struct {
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

func (s *surface) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there to read it
	}
	s.answer(w, StatusOf(err), problem{Error: err.Error(), Hint: lockstep.HintOf(err)})
}

func (s *surface) answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		s.opts.Log.Warn("an answer could not be sent", "error", err)
	}
}

// StatusOf is the one place where a class of error becomes an HTTP status.
func StatusOf(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, lockstep.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, lockstep.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, lockstep.ErrConflict):
		return http.StatusConflict
	case errors.Is(err, lockstep.ErrRefused):
		return http.StatusForbidden
	case errors.Is(err, lockstep.ErrUnavailable):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
