package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt/synth"
)

// LatencyResult is how long one change takes from being accepted to being in a
// version, with nothing else going on: half of the changes are places (some 200
// records), half are labels (one record).
type LatencyResult struct {
	Process Spread        `json:"in_process"`
	HTTP    Spread        `json:"http"`
	Place   time.Duration `json:"place_p50_ns"` // over HTTP
	Label   time.Duration `json:"label_p50_ns"` // over HTTP
}

func measureLatency(ctx context.Context, s *app.Server, url string, t *table, samples int, now func() time.Time) (l LatencyResult, err error) {
	if err := settle(ctx, s); err != nil {
		return l, err
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil}}
	defer client.CloseIdleConnections()
	submit := func(e synth.Event) error {
		res, err := s.Submit(ctx, inputsOf([]lockstep.Message{e.Message()}))
		if err != nil {
			return err
		}
		return each(res, lockstep.Applied)
	}
	post := func(e synth.Event) error { return postOne(ctx, client, url, e.AppendJSON(nil)) }

	places, labels, err := singles(t, samples, now, submit)
	if err != nil {
		return l, fmt.Errorf("one change, in process: %w", err)
	}
	l.Process = spreadOf(append(places, labels...))
	places, labels, err = singles(t, samples, now, post)
	if err != nil {
		return l, fmt.Errorf("one change, over HTTP: %w", err)
	}
	l.Place, l.Label = median(places), median(labels)
	l.HTTP = spreadOf(append(places, labels...))
	return l, nil
}

// singles sends one change after the other, of receipts all over the index.
func singles(t *table, samples int, now func() time.Time, send func(synth.Event) error) (places, labels []time.Duration, err error) {
	const stride = 7919 // a prime, so that neighbours do not follow each other
	for i := range samples {
		receipt, list, change := i*stride%len(t.keys), &places, t.renamed
		if i%2 == 1 {
			list, change = &labels, t.labelled
		}
		e := change(receipt)
		start := now()
		if err := send(e); err != nil {
			return nil, nil, err
		}
		*list = append(*list, now().Sub(start))
	}
	return places, labels, nil
}

func postOne(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/changes", bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	var sum app.Ingested
	if err := json.Unmarshal(answer, &sum); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || sum.Outcomes[lockstep.Applied] != 1 {
		return fmt.Errorf("bench: %w: the API answers %s: %.200s", lockstep.ErrCorrupt, res.Status, answer)
	}
	return nil
}
