package meter

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"lockstep/internal/guard"
	"lockstep/internal/lockstep"
)

// HTTP asks any endpoint for one number. A question is a path below the base address
// and what to take of the answer:
//
//	/path              the body, which is a number and nothing else
//	/path#/a/0/b       the member a, first element, member b of a JSON body (RFC 6901)
//	/path#status       the status code, whatever it is
//
// The path may have a query (/path?x=1).
type HTTP struct{ fetch *fetcher }

var _ guard.Meter = (*HTTP)(nil)

// NewHTTP returns the source at a base address. It calls nobody; ErrInvalid when the
// address is malformed.
func NewHTTP(r Remote) (*HTTP, error) {
	f, err := newFetcher(r)
	if err != nil {
		return nil, err
	}
	return &HTTP{f}, nil
}

const statusPart = "status"

// Read returns one sample dated q.To, because such an endpoint only knows the present,
// or none when the member is null. Errors are as guard.Meter says; a member that does
// not exist is ErrNotFound, because a slip in the question must not look like no data.
func (h *HTTP) Read(ctx context.Context, q guard.Query) (guard.Series, error) {
	address, part, pointed := strings.Cut(q.Question, "#")
	path, query, _ := strings.Cut(address, "?")
	if len(q.Question) > guard.MaxQuestion || !clean(path) || pointed && part != statusPart && part != "" && part[0] != '/' {
		return guard.Series{}, fmt.Errorf("%w question to %s: want /path, /path#/json/pointer or /path#status", lockstep.ErrInvalid, h.fetch.base.Host)
	}
	a, err := h.fetch.get(ctx, path, query)
	if err != nil {
		return guard.Series{}, err
	}
	if part == statusPart {
		return one(q, float64(a.status)), nil
	}
	if a.status != http.StatusOK {
		return guard.Series{}, h.fetch.refused(a, "")
	}
	read := plain
	if pointed {
		read = func(body []byte) (float64, bool, error) { return member(body, part) }
	}
	var v float64
	var known bool
	err = h.fetch.secrets.explain(a.body, func(body []byte) error {
		var err error
		v, known, err = read(body)
		return err
	})
	if err != nil {
		return guard.Series{}, fmt.Errorf("ask %s: read the answer: %w", h.fetch.base.Host, err)
	}
	if !known {
		return guard.Series{}, nil
	}
	return one(q, v), nil
}

func one(q guard.Query, v float64) guard.Series {
	return guard.Series{Samples: []guard.Sample{{At: q.To, Value: v}}}
}
