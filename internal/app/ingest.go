package app

import (
	"context"
	"fmt"
	"io"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/compact"
	"lockstep/internal/lockstep"
)

// Submitter brings inputs into versions: an App that has the store to itself, or a
// Server that many share.
type Submitter interface {
	Submit(ctx context.Context, inputs []compact.Input) (compact.Result, error)
}

// Submit is Commit under the name that Submitter asks for.
func (a *App) Submit(ctx context.Context, inputs []compact.Input) (compact.Result, error) {
	return a.Commit(ctx, inputs)
}

// Ingested sums up what became of one input.
type Ingested struct {
	Version  uint64                   `json:"version"`
	Records  int                      `json:"records"` // stream records read
	Changed  int                      `json:"changed"` // published records written or removed
	Outcomes map[lockstep.Outcome]int `json:"outcomes"`
	// Reasons says why messages were parked or not readable: the first few.
	Reasons []string `json:"reasons,omitempty"`
	// Results holds one outcome per record, in order, when they were asked for.
	Results []compact.Outcome `json:"results,omitempty"`
}

// IngestOptions says how an input is read and reported.
type IngestOptions struct {
	Decode   change.Options
	Detail   bool           // fill Ingested.Results
	Progress func(Ingested) // called after each batch; may be nil
}

const (
	shownReasons = 10
	ingestBatch  = 1000
)

// Ingest reads stream records from r and brings them into versions, batch by batch.
// It returns what became of those that are in one, also together with an error:
// ingesting the same input again is safe.
func Ingest(ctx context.Context, to Submitter, r io.Reader, source string, opts IngestOptions) (Ingested, error) {
	sum := Ingested{Outcomes: map[lockstep.Outcome]int{}}
	var batch []compact.Input
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		res, err := to.Submit(ctx, batch)
		if err != nil {
			return err
		}
		sum.add(res)
		if opts.Detail {
			sum.Results = append(sum.Results, res.Outcomes...)
		}
		batch = nil // the submitter may still hold the old one
		if opts.Progress != nil {
			opts.Progress(sum)
		}
		return nil
	}
	for d, err := range change.Decode(ctx, r, source, opts.Decode) {
		if err != nil {
			return sum, fmt.Errorf("ingest: %w", err)
		}
		batch = append(batch, compact.Input{Message: d.Message, Bad: d.Bad})
		if len(batch) < ingestBatch {
			continue
		}
		if err := flush(); err != nil {
			return sum, err
		}
	}
	return sum, flush()
}

func (s *Ingested) add(res compact.Result) {
	s.Version = max(s.Version, res.Version)
	s.Changed += res.Changed
	s.Records += len(res.Outcomes)
	for _, o := range res.Outcomes {
		s.Outcomes[o.Outcome]++
		if o.Reason != "" && len(s.Reasons) < shownReasons {
			s.Reasons = append(s.Reasons, string(o.Outcome)+": "+o.Reason)
		}
	}
}

// DecodeOptions says how this configuration's table is read.
func (a *App) DecodeOptions(now time.Time) change.Options {
	return change.Options{Schema: a.Revision.Handler.Describe().Key, Received: now}
}
