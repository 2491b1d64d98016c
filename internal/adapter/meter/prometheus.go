package meter

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"lockstep/internal/guard"
	"lockstep/internal/lockstep"
)

// Prometheus asks a server that speaks the HTTP API of Prometheus (also Thanos, Mimir,
// VictoriaMetrics). Questions are PromQL that gives a scalar, a vector or a matrix.
type Prometheus struct{ fetch *fetcher }

var _ guard.Meter = (*Prometheus)(nil)

// NewPrometheus returns the source at the base address of the API, the part before
// /api/v1. It calls nobody; ErrInvalid when the address is malformed.
func NewPrometheus(r Remote) (*Prometheus, error) {
	f, err := newFetcher(r)
	if err != nil {
		return nil, err
	}
	return &Prometheus{f}, nil
}

const (
	rangePoints = 60          // samples that a window is asked for when the step is open
	maxPoints   = 10_000      // the server refuses 11,001
	minStep     = time.Second // below it a scrape interval cannot go
)

// Read asks for the window (query_range), or for the moment q.To when q.From is not
// before it (query). An empty result is an empty Series; the server's warnings are the
// Series' own. Errors are as guard.Meter says.
func (p *Prometheus) Read(ctx context.Context, q guard.Query) (guard.Series, error) {
	if q.Question == "" || len(q.Question) > guard.MaxQuestion {
		return guard.Series{}, fmt.Errorf("%w question to %s: %d bytes, want 1 to %d", lockstep.ErrInvalid, p.fetch.base.Host, len(q.Question), guard.MaxQuestion)
	}
	path, form := request(q)
	a, err := p.fetch.get(ctx, path, form.Encode())
	if err != nil {
		return guard.Series{}, err
	}
	var got promAnswer
	err = p.fetch.secrets.explain(a.body, func(body []byte) error {
		var err error
		got, err = parseProm(body)
		return err
	})
	switch {
	case err == nil && got.said != "":
		if a.status == http.StatusOK {
			a.status = http.StatusUnprocessableEntity
		}
		return guard.Series{}, p.fetch.refused(a, got.said)
	case a.status != http.StatusOK:
		return guard.Series{}, p.fetch.refused(a, "")
	case err != nil:
		return guard.Series{}, fmt.Errorf("ask %s: read the answer: %w", p.fetch.base.Host, err)
	}
	for i, w := range got.Warnings {
		got.Warnings[i] = p.fetch.secrets.quote(w)
	}
	return got.Series, nil
}

func request(q guard.Query) (path string, form url.Values) {
	form = url.Values{"query": {q.Question}}
	if !q.From.Before(q.To) {
		form.Set("time", unix(q.To))
		return "/api/v1/query", form
	}
	step := q.Step
	if step <= 0 {
		step = q.To.Sub(q.From) / rangePoints
	}
	step = max(step, q.To.Sub(q.From)/maxPoints, minStep)
	// Points are counted back from the end of the window: from its beginning on, the
	// newest could lie up to one step before now and look stale.
	points := int64(q.To.Sub(q.From) / step)
	form.Set("start", unix(q.To.Add(-time.Duration(points)*step)))
	form.Set("end", unix(q.To))
	form.Set("step", strconv.FormatFloat(step.Seconds(), 'f', -1, 64))
	return "/api/v1/query_range", form
}

func unix(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}
