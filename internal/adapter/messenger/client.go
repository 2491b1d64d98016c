package messenger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

const (
	callTimeout  = 15 * time.Second
	maxAnswer    = 64 << 10
	maxRedirects = 3
)

// hook posts to one secret address.
type hook struct {
	name    string
	address string
	client  *http.Client
	secrets secrets
}

func newHook(s Settings, o Options) (*hook, error) {
	address, err := o.env(s.Name, s.URLEnv)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	switch {
	case err != nil: // the error would quote the address
		return nil, fmt.Errorf("%w recipient %q: what %s holds is no URL", lockstep.ErrInvalid, s.Name, s.URLEnv)
	case u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, fmt.Errorf("%w recipient %q: what %s holds: want https:// and a host", lockstep.ErrInvalid, s.Name, s.URLEnv)
	}
	return &hook{name: s.Name, address: address, client: newClient(o), secrets: secretsOf(u)}, nil
}

func newClient(o Options) *http.Client {
	transport := o.Transport
	if transport == nil {
		// Messages are rare: a connection that is kept is one that is dead when it is needed,
		// and net/http would send the request again by itself.
		transport = &http.Transport{
			TLSClientConfig: o.TLS, TLSHandshakeTimeout: callTimeout, ResponseHeaderTimeout: callTimeout,
			DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: maxAnswer,
		}
	}
	return &http.Client{Transport: transport, Timeout: 2 * callTimeout, CheckRedirect: sameHost}
}

// sameHost follows a redirect that stays where it is. Others would hand the message to
// somebody whom nobody configured.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme || req.Method != via[0].Method || len(via) > maxRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}

// post sends body and returns what the receiver said. Errors are as notify.Sender says.
func (h *hook) post(ctx context.Context, body []byte, header http.Header) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.address, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("%s: %w: no request can be made of its address", h.name, lockstep.ErrInvalid)
	}
	req.Header = header
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "lockstep")
	res, err := h.client.Do(req)
	if err != nil {
		return "", h.unreachable(ctx, err)
	}
	defer res.Body.Close()
	// What is longer than a sentence says nothing more, and what breaks off was an answer.
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	said := h.secrets.strike(string(answer))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return "", notify.FromStatus(h.name, res.StatusCode, res.Header, said)
	}
	return fmt.Sprintf("status %d: %s", res.StatusCode, notify.Brief(said, 200)), nil
}

// unreachable drops the address from the error and says who did not answer.
func (h *hook) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", h.name, ctx.Err())
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		if u.Timeout() {
			return fmt.Errorf("%s: %w: no answer in time", h.name, lockstep.ErrUnavailable)
		}
		err = u.Err
	}
	return fmt.Errorf("%s: %w: %s", h.name, lockstep.ErrUnavailable, h.secrets.strike(err.Error()))
}

// secrets are the texts that nothing may show, longest first.
type secrets []string

const minSecret = 6 // shorter ones would strike out ordinary words

// secretsOf returns the parts of an address that may be secret: all but scheme and host.
func secretsOf(u *url.URL) secrets {
	s := secrets{u.String(), u.RequestURI(), u.Path, u.RawQuery}
	for part := range strings.SplitSeq(u.Path, "/") {
		s = append(s, part)
	}
	for _, values := range u.Query() {
		s = append(s, values...)
	}
	if p, ok := u.User.Password(); ok {
		s = append(s, p)
	}
	return s
}

func (s secrets) strike(text string) string {
	for _, secret := range s {
		if len(secret) >= minSecret {
			text = strings.ReplaceAll(text, secret, "[secret]")
		}
	}
	return text
}

// begin is what every Send begins with.
func begin(ctx context.Context, name string, m notify.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.Check(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
