package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// backlog is what waits in another process.
type backlog struct {
	changes int64
	since   time.Time
}

// vitals asks the server what waits in it, by the same numbers that everybody can watch.
func (r *Remote) vitals(ctx context.Context, now time.Time) (*backlog, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Address.URL+"/metrics", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask the server what waits: %w", err)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server what waits: %w: %w", lockstep.ErrUnavailable, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the server what waits: %w", refusal(res.StatusCode, nil))
	}
	waits, err := metricIn(io.LimitReader(res.Body, maxAnswer), metricWaiting, metricWaitingAge)
	if err != nil {
		return nil, fmt.Errorf("ask the server what waits: %w", err)
	}
	b := &backlog{changes: int64(waits[metricWaiting])}
	if b.changes > 0 {
		b.since = now.Add(-time.Duration(waits[metricWaitingAge] * float64(time.Second)))
	}
	return b, nil
}

// metricIn reads the values of metrics without labels out of the text format of
// Prometheus. One that is missing is ErrInvalid: nothing is not 0.
func metricIn(text io.Reader, names ...string) (map[string]float64, error) {
	out := map[string]float64{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		for _, want := range names {
			if name != want {
				continue
			}
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, fmt.Errorf("metric %s: %w: %.40q is no number", name, lockstep.ErrInvalid, value)
			}
			out[name] = v
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
	}
	for _, want := range names {
		if _, ok := out[want]; !ok {
			return nil, fmt.Errorf("metric %s: %w: the server does not have it", want, lockstep.ErrInvalid)
		}
	}
	return out, nil
}
