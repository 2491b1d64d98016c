package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lockstep/internal/compact"
	"lockstep/internal/config"
	"lockstep/internal/durable"
	"lockstep/internal/lockstep"
)

// Address is where a running server of a data directory answers: the content of the
// file "server.json" there, while it runs.
type Address struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

func addressPath(cfg config.Config) string { return filepath.Join(cfg.Data, "server.json") }

// Announce writes where this process answers. The function it returns takes it back.
func Announce(cfg config.Config, a Address) (withdraw func() error, err error) {
	b, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	if err := durable.Replace(addressPath(cfg), append(b, '\n')); err != nil {
		return nil, fmt.Errorf("announce the server: %w", err)
	}
	return func() error { return os.Remove(addressPath(cfg)) }, nil
}

// Remote is a running server, spoken to over HTTP.
type Remote struct {
	Address Address
	token   string
	client  *http.Client
}

// Dial finds the server that works on the configured data directory. ErrNotFound when
// none answers there.
func Dial(ctx context.Context, cfg config.Config) (*Remote, error) {
	b, err := os.ReadFile(addressPath(cfg))
	if err != nil {
		return nil, fmt.Errorf("running server of %s: %w", cfg.Data, lockstep.ErrNotFound)
	}
	r := &Remote{client: &http.Client{}}
	if err := json.Unmarshal(b, &r.Address); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", addressPath(cfg), lockstep.ErrCorrupt, err)
	}
	if r.token, err = Token(cfg); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := r.call(ctx, http.MethodGet, "/healthz", nil, &struct{}{}); err != nil {
		// The file is what a killed server leaves behind.
		return nil, fmt.Errorf("running server of %s: %w", cfg.Data, errors.Join(lockstep.ErrNotFound, err))
	}
	return r, nil
}

// Token reads the API token that the configuration names, "" when it names none.
func Token(cfg config.Config) (string, error) {
	if cfg.TokenFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(cfg.TokenFile)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	t := strings.TrimSpace(string(b))
	if t == "" {
		return "", fmt.Errorf("token file %s: %w: it is empty", cfg.TokenFile, lockstep.ErrInvalid)
	}
	return t, nil
}

// Submit sends the inputs and returns when they are in a version: Remote is a
// Submitter like the server itself.
func (r *Remote) Submit(ctx context.Context, inputs []compact.Input) (compact.Result, error) {
	var body bytes.Buffer
	source := "remote"
	for i := range inputs {
		raw := inputs[i].Message.Body
		source = inputs[i].Message.Source
		if bad := inputs[i].Bad; bad != nil {
			// One line each: what could not be read must not spoil its neighbours.
			raw, source = bytes.ReplaceAll(bad.Body, []byte("\n"), []byte(" ")), bad.Source
		}
		body.Write(raw)
		body.WriteByte('\n')
	}
	var sum Ingested
	if err := r.call(ctx, http.MethodPost, "/v1/changes?detail=1&source="+url.QueryEscape(source), &body, &sum); err != nil {
		return compact.Result{}, err
	}
	return compact.Result{Version: sum.Version, Changed: sum.Changed, Outcomes: sum.Results, Counts: sum.Outcomes}, nil
}

// Status asks where the index stands.
func (r *Remote) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, r.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// ErrUnauthorised says that a server did not accept the token that was sent.
var ErrUnauthorised = fmt.Errorf("not authorised: %w", lockstep.ErrRefused)

const maxAnswer = 16 << 20

func (r *Remote) call(ctx context.Context, method, path string, body io.Reader, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.Address.URL+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w: %w", method, path, lockstep.ErrUnavailable, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: %w: %w", method, path, lockstep.ErrUnavailable, err)
	}
	if res.StatusCode != http.StatusOK {
		return refusal(res.StatusCode, b)
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(into); err != nil {
		return fmt.Errorf("%s %s: %w: the answer is not understood: %w", method, path, lockstep.ErrUnavailable, err)
	}
	return nil
}

func refusal(status int, body []byte) error {
	var p struct{ Error, Hint string }
	if json.Unmarshal(body, &p) != nil || p.Error == "" {
		p.Error = fmt.Sprintf("the server answered %d", status)
	}
	class := lockstep.ErrUnavailable
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		class = lockstep.ErrInvalid
	case http.StatusNotFound:
		class = lockstep.ErrNotFound
	case http.StatusUnauthorized:
		class = ErrUnauthorised
	case http.StatusForbidden:
		class = lockstep.ErrRefused
	case http.StatusConflict:
		class = lockstep.ErrConflict
	}
	err := fmt.Errorf("%s (%w)", p.Error, class)
	if p.Hint != "" {
		return lockstep.Hint(err, p.Hint)
	}
	return err
}
