package messenger

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

// Settings describe one recipient. What ends in _env is the name of an environment
// variable: secrets stand in no file.
type Settings struct {
	Name   string   `yaml:"name"`   // by which the outbox knows it
	Kind   Kind     `yaml:"kind"`   // slack, webhook, email or file
	Events []string `yaml:"events"` // kinds of message that it gets; none: all

	URLEnv    string `yaml:"url_env"`    // slack, webhook: holds the address
	SecretEnv string `yaml:"secret_env"` // webhook: holds the key of the signature; "": no signature

	To          []string `yaml:"to"`           // email: addresses
	From        string   `yaml:"from"`         // email: an address
	SMTP        string   `yaml:"smtp"`         // email: host:port; port 465 speaks TLS from the start
	UserEnv     string   `yaml:"user_env"`     // email: holds the user; "": nobody logs in
	PasswordEnv string   `yaml:"password_env"` // email: holds the password

	Dir  string `yaml:"dir"`  // file: where; made when it is not there
	Form Form   `yaml:"form"` // file: markdown (a file per message) or jsonl (a line per message); "": markdown
}

// Kind is a kind of recipient.
type Kind string

// The kinds of recipient.
const (
	KindSlack   Kind = "slack"
	KindWebhook Kind = "webhook"
	KindEmail   Kind = "email"
	KindFile    Kind = "file"
)

// Kinds lists the kinds of recipient.
func Kinds() []Kind { return []Kind{KindSlack, KindWebhook, KindEmail, KindFile} }

// Form is how messages lie in a directory.
type Form string

// The forms.
const (
	FormMarkdown Form = "markdown"
	FormLines    Form = "jsonl"
)

// Options are what a sender gets from the process. Getenv and Now are required.
type Options struct {
	Getenv func(string) string
	Now    func() time.Time
	// TLS replaces the configuration of TLS, for a private authority. Nil: the system's.
	TLS *tls.Config
	// Transport carries HTTP. Nil: one of its own, without proxies.
	Transport http.RoundTripper
	// Dial connects to mail servers. Nil: the system's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Wants says whether the recipient gets messages of a kind.
func (s Settings) Wants(kind string) bool {
	return len(s.Events) == 0 || slices.Contains(s.Events, kind)
}

// Recipients returns the names of those that get messages of a kind, in their order.
func Recipients(all []Settings, kind string) []string {
	var names []string
	for _, s := range all {
		if s.Wants(kind) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Check returns every mistake in s at once, each ErrInvalid. It does not look at the
// environment.
func (s Settings) Check() error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w recipient %q: "+format, append([]any{lockstep.ErrInvalid, s.Name}, args...)...))
	}
	if notify.CheckRecipient(s.Name) != nil {
		add("name: want 1 to 63 of a-z 0-9 . _ -, a letter or digit at both ends")
	}
	for _, e := range s.Events {
		if notify.CheckKind(e) != nil {
			add("events: %q is no kind of message", e)
		}
	}
	if !slices.Contains(Kinds(), s.Kind) {
		add("kind %q: want one of %v", s.Kind, Kinds())
		return errors.Join(errs...)
	}
	for _, f := range s.fields() {
		needs := slices.Contains(f.needs, s.Kind)
		switch {
		case needs && !f.set:
			add("%s: a recipient of kind %s needs it", f.name, s.Kind)
		case f.set && !needs && !slices.Contains(f.takes, s.Kind):
			add("%s: it has no effect with kind %s", f.name, s.Kind)
		}
	}
	for _, why := range s.malformed() {
		add("%s", why)
	}
	return errors.Join(errs...)
}

type field struct {
	name         string
	set          bool
	needs, takes []Kind
}

func (s Settings) fields() []field {
	email := []Kind{KindEmail}
	return []field{
		{"url_env", s.URLEnv != "", []Kind{KindSlack, KindWebhook}, nil},
		{"secret_env", s.SecretEnv != "", nil, []Kind{KindWebhook}},
		{"to", len(s.To) > 0, email, nil},
		{"from", s.From != "", email, nil},
		{"smtp", s.SMTP != "", email, nil},
		{"user_env", s.UserEnv != "", nil, email},
		{"password_env", s.PasswordEnv != "", nil, email},
		{"dir", s.Dir != "", []Kind{KindFile}, nil},
		{"form", s.Form != "", nil, []Kind{KindFile}},
	}
}

// malformed looks at the values that are there.
func (s Settings) malformed() []string {
	var why []string
	for _, a := range append(slices.Clone(s.To), s.From) {
		if a == "" {
			continue
		}
		if _, err := mail.ParseAddress(a); err != nil || strings.ContainsAny(a, "\r\n") {
			why = append(why, fmt.Sprintf("%q is no address", a))
		}
	}
	if s.SMTP != "" {
		if host, port, err := net.SplitHostPort(s.SMTP); err != nil || host == "" || port == "" {
			why = append(why, fmt.Sprintf("smtp %q: want host:port", s.SMTP))
		}
	}
	if (s.UserEnv == "") != (s.PasswordEnv == "") {
		why = append(why, "user_env and password_env belong together")
	}
	if s.Form != "" && s.Form != FormMarkdown && s.Form != FormLines {
		why = append(why, fmt.Sprintf("form %q: want %s or %s", s.Form, FormMarkdown, FormLines))
	}
	return why
}

// New returns the sender of a recipient. It calls nobody and makes no directory.
// ErrInvalid: the settings are malformed, or a variable that they name is not set.
func New(s Settings, o Options) (notify.Sender, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	switch s.Kind {
	case KindSlack:
		return newSlack(s, o)
	case KindWebhook:
		return newWebhook(s, o)
	case KindEmail:
		return newEmail(s, o)
	case KindFile:
		if s.Form == FormLines {
			return &Lines{name: s.Name, dir: s.Dir}, nil
		}
		return &Pages{name: s.Name, dir: s.Dir}, nil
	}
	return nil, fmt.Errorf("%w recipient %q: kind %q: want one of %v", lockstep.ErrInvalid, s.Name, s.Kind, Kinds())
}

// env reads a variable that must be set.
func (o Options) env(recipient, name string) (string, error) {
	v := o.Getenv(name)
	if v == "" {
		return "", lockstep.Hint(fmt.Errorf("%w recipient %q: the environment variable %s is not set", lockstep.ErrInvalid, recipient, name),
			"set "+name+" where lockstep runs")
	}
	return v, nil
}

// loopback says whether a host is this machine by its name alone.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
