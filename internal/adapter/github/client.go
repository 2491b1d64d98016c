package github

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

const (
	defaultTimeout = 10 * time.Second
	maxAnswer      = 16 << 20
	maxComplaint   = 64 << 10
	maxRedirects   = 3
	apiVersion     = "2022-11-28"
	// secondaryWait is what GitHub asks for when it limits the rate and names no time.
	secondaryWait = time.Minute
)

// client calls the API below one base address with one token.
type client struct {
	name  string // of the recipient, for errors
	base  *url.URL
	token string
	http  *http.Client
}

func newClient(s Settings, o Options) (*client, error) {
	base, err := s.base()
	if err != nil {
		return nil, fmt.Errorf("%w issue settings: %w", lockstep.ErrInvalid, err)
	}
	token := o.Getenv(s.TokenEnv)
	if token == "" || strings.ContainsAny(token, "\r\n") {
		return nil, lockstep.Hint(fmt.Errorf("%w issue settings: the environment variable %s holds no token", lockstep.ErrInvalid, s.TokenEnv),
			"set "+s.TokenEnv+" where lockstep runs, to a token that may write issues of "+s.Repository)
	}
	transport := o.Transport
	if transport == nil {
		transport = &http.Transport{
			TLSClientConfig: o.TLS, TLSHandshakeTimeout: defaultTimeout, ForceAttemptHTTP2: true,
			IdleConnTimeout: defaultTimeout, MaxResponseHeaderBytes: maxComplaint,
		}
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &client{
		name: s.Recipient(), base: base, token: token,
		http: &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: sameHost},
	}, nil
}

// sameHost follows the redirect of a renamed repository. Another host would get the
// token.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme || req.Method != via[0].Method || len(via) > maxRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}

// get reads the answer of a question into out. Errors are as notify.Sender says.
func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	to := c.base.JoinPath(path)
	to.RawQuery = query.Encode()
	return c.call(ctx, http.MethodGet, to, nil, out)
}

// post makes something and reads what it became into out.
func (c *client) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", c.name, lockstep.ErrInvalid, err)
	}
	return c.call(ctx, http.MethodPost, c.base.JoinPath(path), body, out)
}

func (c *client) call(ctx context.Context, method string, to *url.URL, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w: %w", c.name, lockstep.ErrInvalid, err)
	}
	req.Header = http.Header{
		"Accept": {"application/vnd.github+json"}, "Authorization": {"Bearer " + c.token},
		"X-Github-Api-Version": {apiVersion}, "User-Agent": {"lockstep"},
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		return c.refused(res)
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return c.unreachable(ctx, err)
	case len(answer) > maxAnswer:
		return fmt.Errorf("%s: %w: the answer is longer than %d bytes", c.name, lockstep.ErrInvalid, maxAnswer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		// Something in between answered, and may be gone tomorrow.
		return fmt.Errorf("%s: %w: the answer is not what GitHub would say: %s", c.name, lockstep.ErrUnavailable, c.strike(err.Error()))
	}
	return nil
}

func (c *client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", c.name, ctx.Err())
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		if u.Timeout() {
			return fmt.Errorf("%s: %w: no answer from %s within %s", c.name, lockstep.ErrUnavailable, c.base.Host, c.http.Timeout)
		}
		err = u.Err
	}
	return fmt.Errorf("%s: %w: %s", c.name, lockstep.ErrUnavailable, c.strike(err.Error()))
}

func (c *client) strike(text string) string { return strings.ReplaceAll(text, c.token, "[secret]") }

// refused is the error of an answer that is no success.
func (c *client) refused(res *http.Response) error {
	// A complaint that breaks off is still one.
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxComplaint))
	said := complaint(answer)
	err := notify.FromStatus(c.name, res.StatusCode, res.Header, c.strike(said))
	if res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusTooManyRequests {
		return err
	}
	if w, limited := rateLimit(res, said); limited {
		return notify.Later(fmt.Errorf("%s: %w: GitHub limits the rate: status %d: %s", c.name, lockstep.ErrUnavailable, res.StatusCode, notify.Brief(c.strike(said), 200)), w)
	}
	return err
}

// complaint is what GitHub says about a request that it did not like.
func complaint(answer []byte) string {
	var told struct {
		Message string `json:"message"`
		Errors  []struct {
			Resource, Field, Code, Message string
		} `json:"errors"`
	}
	if json.Unmarshal(answer, &told) != nil || told.Message == "" {
		return string(answer)
	}
	for _, e := range told.Errors {
		told.Message += "; " + strings.Join(strings.Fields(e.Resource+" "+e.Field+" "+e.Code+" "+e.Message), " ")
	}
	return told.Message
}

// rateLimit says whether an answer of 403 or 429 is about the rate, and how long to wait.
// A 403 that is about rights has none of the three signs.
func rateLimit(res *http.Response, said string) (notify.Wait, bool) {
	if s, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 31); err == nil {
		return notify.Wait{For: time.Duration(s) * time.Second}, true
	}
	if res.Header.Get("X-Ratelimit-Remaining") == "0" {
		if at, err := strconv.ParseUint(res.Header.Get("X-Ratelimit-Reset"), 10, 40); err == nil {
			reset := time.Unix(int64(at), 0).UTC()
			if sent, err := http.ParseTime(res.Header.Get("Date")); err == nil {
				return notify.Wait{For: reset.Sub(sent)}, true // our clock has no part in it
			}
			return notify.Wait{Until: reset}, true
		}
	}
	limited := strings.Contains(strings.ToLower(said), "rate limit") || res.StatusCode == http.StatusTooManyRequests
	return notify.Wait{For: secondaryWait}, limited
}
