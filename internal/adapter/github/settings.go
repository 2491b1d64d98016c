package github

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

// Settings say where issues go. The zero value but for Kind, Repository and TokenEnv is
// complete.
type Settings struct {
	Name       string   `yaml:"name"`       // by which the outbox knows it; "": issue
	Kind       Kind     `yaml:"kind"`       // github or file
	Events     []string `yaml:"events"`     // kinds of message that go there; none: all
	Repository string   `yaml:"repository"` // github: owner/name
	Labels     []string `yaml:"labels"`     // the first is the one that issues are found by; none: migration-blocker
	TokenEnv   string   `yaml:"token_env"`  // github: the environment variable that holds the token
	API        string   `yaml:"api"`        // github: base address; "": https://api.github.com; Enterprise: https://host/api/v3
	Dir        string   `yaml:"dir"`        // file: where; made when it is not there
}

// Kind is where issues are kept.
type Kind string

// The kinds.
const (
	KindGitHub Kind = "github"
	KindFile   Kind = "file"
)

// Kinds lists the kinds.
func Kinds() []Kind { return []Kind{KindGitHub, KindFile} }

// The defaults.
const (
	DefaultName  = "issue"
	DefaultLabel = "migration-blocker"
	defaultAPI   = "https://api.github.com"
	maxLabels    = 20
)

// Options are what a sender gets from the process. Getenv is required.
type Options struct {
	Getenv func(string) string
	// TLS replaces the configuration of TLS, for a private authority. Nil: the system's.
	TLS *tls.Config
	// Transport carries HTTP. Nil: one of its own, without proxies.
	Transport http.RoundTripper
	// Timeout bounds one call; a message takes several. 0: 10 seconds.
	Timeout time.Duration
}

// Recipient is the name of s in the outbox.
func (s Settings) Recipient() string {
	if s.Name == "" {
		return DefaultName
	}
	return s.Name
}

// Wants says whether messages of a kind go there.
func (s Settings) Wants(kind string) bool {
	return len(s.Events) == 0 || slices.Contains(s.Events, kind)
}

func (s Settings) labels() []string {
	if len(s.Labels) == 0 {
		return []string{DefaultLabel}
	}
	return s.Labels
}

var repositoryForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$`)

// Check returns every mistake in s at once, each ErrInvalid. It does not look at the
// environment.
func (s Settings) Check() error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w issue settings: "+format, append([]any{lockstep.ErrInvalid}, args...)...))
	}
	if notify.CheckRecipient(s.Recipient()) != nil {
		add("name %q: want 1 to 63 of a-z 0-9 . _ -, a letter or digit at both ends", s.Name)
	}
	for _, e := range s.Events {
		if notify.CheckKind(e) != nil {
			add("events: %q is no kind of message", e)
		}
	}
	if len(s.Labels) > maxLabels {
		add("labels: %d, at most %d", len(s.Labels), maxLabels)
	}
	for _, l := range s.Labels {
		if l == "" || len(l) > 50 || strings.TrimSpace(l) != l || strings.ContainsAny(l, ",\r\n") {
			add("labels: %q: want 1 to 50 characters without commas", l)
		}
	}
	switch s.Kind {
	case KindGitHub:
		if name := s.Repository[strings.LastIndexByte(s.Repository, '/')+1:]; !repositoryForm.MatchString(s.Repository) || name == "." || name == ".." {
			add("repository %q: want owner/name", s.Repository)
		}
		if s.TokenEnv == "" {
			add("token_env: it is needed with kind %s", s.Kind)
		}
		if _, err := s.base(); err != nil {
			add("%w", err)
		}
		if s.Dir != "" {
			add("dir: it has no effect with kind %s", s.Kind)
		}
	case KindFile:
		if s.Dir == "" {
			add("dir: it is needed with kind %s", s.Kind)
		}
		if s.Repository != "" || s.TokenEnv != "" || s.API != "" {
			add("repository, token_env and api have no effect with kind %s", s.Kind)
		}
	default:
		add("kind %q: want one of %v", s.Kind, Kinds())
	}
	return errors.Join(errs...)
}

func (s Settings) base() (*url.URL, error) {
	api := s.API
	if api == "" {
		api = defaultAPI
	}
	u, err := url.Parse(api)
	switch {
	case err != nil:
		return nil, errors.New("api: it is no URL")
	case u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, fmt.Errorf("api %q: want https:// and a host", u.Redacted())
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("api %q: want no user, query or fragment", u.Redacted())
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// New returns the sender. It calls nobody and makes no directory. ErrInvalid: the
// settings are malformed, or the variable with the token is not set.
func New(s Settings, o Options) (notify.Sender, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	switch s.Kind {
	case KindGitHub:
		return newIssues(s, o)
	case KindFile:
		return &Folder{name: s.Recipient(), dir: s.Dir, labels: s.labels()}, nil
	}
	return nil, fmt.Errorf("%w issue settings: kind %q: want one of %v", lockstep.ErrInvalid, s.Kind, Kinds())
}
