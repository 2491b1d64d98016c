package messenger

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

// Email sends plain mail over SMTP, with TLS unless the server is this machine. Every
// attempt of a message has the same Message-ID, and messages of one topic are one thread.
// All addresses get it or none: one that the server refuses is an error.
type Email struct {
	name     string
	server   string // host:port
	host     string
	from     *mail.Address
	to       []*mail.Address
	user     string
	password string
	tls      *tls.Config
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	secrets  secrets
}

var _ notify.Sender = (*Email)(nil)

const implicitTLS = "465"

func newEmail(s Settings, o Options) (*Email, error) {
	host, _, err := net.SplitHostPort(s.SMTP)
	if err != nil {
		return nil, fmt.Errorf("%w recipient %q: smtp: %w", lockstep.ErrInvalid, s.Name, err)
	}
	e := &Email{name: s.Name, server: s.SMTP, host: host, tls: o.TLS, dial: o.Dial}
	if e.dial == nil {
		e.dial = (&net.Dialer{Timeout: callTimeout}).DialContext
	}
	if e.from, err = mail.ParseAddress(s.From); err != nil {
		return nil, fmt.Errorf("%w recipient %q: from: %w", lockstep.ErrInvalid, s.Name, err)
	}
	for _, to := range s.To {
		a, err := mail.ParseAddress(to)
		if err != nil {
			return nil, fmt.Errorf("%w recipient %q: to: %w", lockstep.ErrInvalid, s.Name, err)
		}
		e.to = append(e.to, a)
	}
	if s.UserEnv == "" {
		return e, nil
	}
	if e.user, err = o.env(s.Name, s.UserEnv); err != nil {
		return nil, err
	}
	if e.password, err = o.env(s.Name, s.PasswordEnv); err != nil {
		return nil, err
	}
	e.secrets = secrets{e.password}
	return e, nil
}

// Send hands m to the server. Errors are as notify.Sender says.
func (e *Email) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	if err := begin(ctx, e.name, m); err != nil {
		return notify.Receipt{}, err
	}
	body, err := e.compose(m)
	if err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: %w: %w", e.name, lockstep.ErrInvalid, err)
	}
	if err := e.deliver(ctx, body); err != nil {
		return notify.Receipt{}, e.failed(ctx, err)
	}
	return notify.Receipt{Text: fmt.Sprintf("accepted by %s for %d addresses", e.host, len(e.to))}, nil
}

func (e *Email) deliver(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	conn, err := e.dial(ctx, "tcp", e.server)
	if err != nil {
		return err
	}
	// Everything from here on goes through conn: its deadline is what ends a wait.
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	// A past deadline ends every call under way. It is this connection's last.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	c, err := e.greet(ctx, conn)
	if err != nil {
		return err
	}
	if err := e.transact(c, body); err != nil {
		return err
	}
	// The server has the mail: whether it says goodbye does not matter.
	_ = c.Quit()
	return nil
}

// greet makes a session that is safe to speak on, and logs in.
func (e *Email) greet(ctx context.Context, conn net.Conn) (*smtp.Client, error) {
	config := &tls.Config{}
	if e.tls != nil {
		config = e.tls.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = e.host
	}
	secure := false
	if _, port, _ := net.SplitHostPort(e.server); port == implicitTLS {
		wrapped := tls.Client(conn, config)
		if err := wrapped.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn, secure = wrapped, true
	}
	c, err := smtp.NewClient(conn, e.host)
	if err != nil {
		return nil, err
	}
	switch offered, _ := c.Extension("STARTTLS"); {
	case secure, loopback(e.host) && e.tls == nil:
	case offered:
		if err := c.StartTLS(config); err != nil {
			return nil, err
		}
	default:
		return nil, lockstep.Hint(fmt.Errorf("%w: the server offers no STARTTLS, and mail is not sent in the clear", lockstep.ErrRefused),
			"use a port of the mail server that speaks TLS, 587 or 465")
	}
	if e.user == "" {
		return c, nil
	}
	if offered, _ := c.Extension("AUTH"); !offered {
		return nil, fmt.Errorf("%w: the server lets nobody log in", lockstep.ErrRefused)
	}
	return c, c.Auth(smtp.PlainAuth("", e.user, e.password, e.host))
}

func (e *Email) transact(c *smtp.Client, body []byte) error {
	if err := c.Mail(e.from.Address); err != nil {
		return err
	}
	for _, to := range e.to {
		if err := c.Rcpt(to.Address); err != nil {
			return fmt.Errorf("address %s: %w", to.Address, err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.Close()
}

// failed gives err its class: 5yz is for good (RFC 5321, 4.2.1), all else may pass.
func (e *Email) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", e.name, ctx.Err())
	}
	class := lockstep.ErrUnavailable
	if reply, ok := errors.AsType[*textproto.Error](err); ok && reply.Code >= 500 {
		class = lockstep.ErrRefused
	}
	hint := lockstep.HintOf(err)
	if errors.Is(err, lockstep.ErrRefused) {
		err = fmt.Errorf("%s: %w", e.name, err)
	} else {
		err = fmt.Errorf("%s: %w: %s", e.name, class, notify.Brief(e.secrets.strike(err.Error()), 300))
	}
	if hint != "" {
		return lockstep.Hint(err, hint)
	}
	return err
}
