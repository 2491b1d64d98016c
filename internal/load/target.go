package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"lockstep/internal/lockstep"
)

// Target takes changes, as lines of stream records, and answers when every one of them
// is in a published version.
type Target interface {
	Send(ctx context.Context, lines []byte) (Answer, error)
}

// Answer is what became of one request.
type Answer struct {
	Version  uint64                   `json:"version"`
	Records  int                      `json:"records"` // changes read
	Changed  int                      `json:"changed"` // published records written or removed
	Outcomes map[lockstep.Outcome]int `json:"outcomes"`
	Reasons  []string                 `json:"reasons"`
}

// HTTP is a server, spoken to as every other client does.
type HTTP struct {
	url    string
	token  string
	client *http.Client
}

var _ Target = (*HTTP)(nil)

// NewHTTP returns the server at url. It keeps as many connections as requests may be
// under way, so that no latency holds the making of one but the first.
func NewHTTP(url, token string, inFlight int) *HTTP {
	return &HTTP{url: url, token: token, client: &http.Client{Transport: &http.Transport{
		Proxy: nil, MaxIdleConns: inFlight, MaxIdleConnsPerHost: inFlight, IdleConnTimeout: time.Minute,
	}}}
}

const maxAnswer = 1 << 20

// Send implements Target. The error has the class that the status of the answer stands
// for; ErrUnavailable also when there is no answer, or none that is understood.
func (h *HTTP) Send(ctx context.Context, lines []byte) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/v1/changes?source=load", bytes.NewReader(lines))
	if err != nil {
		return Answer{}, fmt.Errorf("%w address %q: %w", lockstep.ErrInvalid, h.url, err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	if h.token != "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	res, err := h.client.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("send: %w: %w", lockstep.ErrUnavailable, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("send: %w: %w", lockstep.ErrUnavailable, err)
	}
	if res.StatusCode != http.StatusOK {
		return Answer{}, fmt.Errorf("send: %w: the server answers %s: %.200s", classOf(res.StatusCode), res.Status, bytes.TrimSpace(body))
	}
	var a Answer
	if err := json.Unmarshal(body, &a); err != nil {
		return Answer{}, fmt.Errorf("send: %w: the answer is not understood: %w", lockstep.ErrUnavailable, err)
	}
	return a, nil
}

// Close gives the connections back.
func (h *HTTP) Close() { h.client.CloseIdleConnections() }

func classOf(status int) error {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return lockstep.ErrInvalid
	case http.StatusNotFound:
		return lockstep.ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return lockstep.ErrRefused
	case http.StatusConflict:
		return lockstep.ErrConflict
	}
	return lockstep.ErrUnavailable
}

// The names under which errors are counted: those of their classes, and these.
const (
	classTimeout = "timeout"
	classOther   = "other"
)

func className(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return classTimeout
	}
	for _, class := range []error{
		lockstep.ErrNotFound, lockstep.ErrConflict, lockstep.ErrCorrupt, lockstep.ErrRefused, lockstep.ErrInvalid, lockstep.ErrUnavailable,
	} {
		if errors.Is(err, class) {
			return class.Error()
		}
	}
	return classOther
}
