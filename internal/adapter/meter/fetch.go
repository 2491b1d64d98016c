package meter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

const (
	defaultTimeout = 30 * time.Second
	defaultBytes   = 8 << 20
)

// Remote says how to reach a source over HTTP.
type Remote struct {
	// URL is the base address, http or https, without user, query and fragment. Secrets
	// belong into Header.
	URL string
	// Header is sent with every request, such as Authorization. Its values are struck out
	// of every error.
	Header map[string]string
	// Timeout bounds one request. 0: 30 seconds.
	Timeout time.Duration
	// MaxBytes bounds the body of an answer. 0: 8 MiB.
	MaxBytes int64
	// Transport carries the requests. Nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// fetcher performs GET requests below one base address.
type fetcher struct {
	base    *url.URL
	header  http.Header
	secrets secrets
	client  *http.Client
	limit   int64
}

func newFetcher(r Remote) (*fetcher, error) {
	base, err := url.Parse(r.URL)
	switch {
	case err != nil: // the error would quote the address, and with it what should be secret
		return nil, fmt.Errorf("%w source address: it is no URL", lockstep.ErrInvalid)
	case base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return nil, fmt.Errorf("%w source address: want http:// or https:// and a host", lockstep.ErrInvalid)
	case base.User != nil, base.RawQuery != "", base.Fragment != "":
		err := fmt.Errorf("%w source address of %s: it has a user, a query or a fragment", lockstep.ErrInvalid, base.Host)
		return nil, lockstep.Hint(err, "put credentials into a header")
	}
	if r.Timeout <= 0 {
		r.Timeout = defaultTimeout
	}
	if r.MaxBytes <= 0 {
		r.MaxBytes = defaultBytes
	}
	f := &fetcher{base: base, header: http.Header{}, limit: r.MaxBytes, client: &http.Client{
		Transport: r.Transport,
		Timeout:   r.Timeout,
		// A redirect would carry the headers to a host that nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	var values []string
	for k, v := range r.Header {
		f.header.Set(k, v)
		values = append(values, v)
	}
	f.secrets = secretsOf(values)
	return f, nil
}

// answer is what came back: the status, and the body within the limit.
type answer struct {
	status int
	body   []byte
}

// get asks for path below the base address. ErrUnavailable when nobody answers in time,
// ErrInvalid when the body is too large; ctx's own error when ctx ends. Any status is an
// answer.
func (f *fetcher) get(ctx context.Context, path, query string) (answer, error) {
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	to := f.base.JoinPath(path)
	to.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), http.NoBody)
	if err != nil {
		return answer{}, fmt.Errorf("ask %s: %w: no request can be made of the question", f.base.Host, lockstep.ErrInvalid)
	}
	req.Header = f.header.Clone()
	res, err := f.client.Do(req)
	if err != nil {
		return answer{}, f.unreachable(ctx, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, f.limit+1))
	if err != nil {
		return answer{}, f.unreachable(ctx, err)
	}
	if int64(len(body)) > f.limit {
		return answer{}, fmt.Errorf("ask %s: %w: the answer is longer than %d bytes", f.base.Host, lockstep.ErrInvalid, f.limit)
	}
	return answer{res.StatusCode, body}, nil
}

// unreachable drops the address from the error, since it holds the question, and says
// who did not answer.
func (f *fetcher) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("ask %s: %w", f.base.Host, ctx.Err())
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		if u.Timeout() {
			return fmt.Errorf("ask %s: %w: no answer within %s", f.base.Host, lockstep.ErrUnavailable, f.client.Timeout)
		}
		err = u.Err
	}
	return fmt.Errorf("ask %s: %w: %s", f.base.Host, lockstep.ErrUnavailable, f.secrets.quote(err.Error()))
}

// refused is the error of an answer that is not 200, with what the source said about it.
func (f *fetcher) refused(a answer, said string) error {
	if said == "" {
		said = string(a.body)
	}
	err := fmt.Errorf("ask %s: %w: status %d: %s", f.base.Host, classOf(a.status), a.status, f.secrets.quote(said))
	if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
		return lockstep.Hint(err, "look at the credentials of this source")
	}
	return err
}

func classOf(status int) error {
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return lockstep.ErrUnavailable
	case status == http.StatusNotFound, status == http.StatusGone:
		return lockstep.ErrNotFound
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		return lockstep.ErrInvalid
	}
	return lockstep.ErrRefused
}

// clean says whether a question's path stays below the base address, also for a server
// that decodes it first.
func clean(path string) bool {
	decoded, err := url.PathUnescape(path)
	if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.Contains(decoded, `\`) {
		return false
	}
	for part := range strings.SplitSeq(decoded, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return true
}
