// Package redact takes secrets out of text before it is stored, shown or sent. It
// answers one question: which parts of this text would let somebody in?
//
// It knows the secrets that it was given, and the shapes in which the others appear:
// keys of AWS, tokens of GitHub, GitLab, Slack, Pulumi and others, JSON web tokens,
// private keys, passwords in addresses, addresses of webhooks, headers that
// authorise, and assignments such as password="…" in any quoting. Each is replaced
// by [redacted:kind]; what stands around it stays byte for byte, and so do hashes,
// ids and versions, which have no such shape.
//
// Shapes are a net and not a proof. Where a word might be a secret or might not, as
// behind "token:", the word goes. A secret without a shape and without a name is
// found only if it was given.
//
// It promises that redacting twice is redacting once, so that a text may pass any
// number of doors, and that it takes time in proportion to the text, whatever the
// text is.
package redact

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Redactor takes secrets out of text. Nil and the zero value know shapes only. It is
// safe for concurrent use.
type Redactor struct {
	given *strings.Replacer
}

// MinSecret is how many bytes a given secret must have to be looked for. A shorter one
// is found in innocent words, and the holes would spell it.
const MinSecret = 6

// New returns a redactor that also knows the given secrets: the values of environment
// variables that the configuration names, say. It looks for them as they are, and as
// they stand in an address, in JSON and in base64.
func New(secrets ...string) *Redactor {
	var forms []string
	for _, s := range secrets {
		s = strings.TrimSpace(s) // a file ends with a newline, its secret does not
		if len(s) < MinSecret {
			continue
		}
		for _, form := range spellings(s) {
			if !inMarker(form) && !slices.Contains(forms, form) {
				forms = append(forms, form)
			}
		}
	}
	if len(forms) == 0 {
		return &Redactor{}
	}
	// Of two that begin at the same place the longer one, or its tail would stay.
	slices.SortStableFunc(forms, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		pairs = append(pairs, form, Marker(KindGiven))
	}
	return &Redactor{given: strings.NewReplacer(pairs...)}
}

func spellings(s string) []string {
	return []string{
		s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)),
		inJSON(s, true), inJSON(s, false),
	}
}

// inJSON returns s as it stands between the quotes of a JSON string; some writers
// escape what HTML would read.
func inJSON(s string, html bool) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	if err := enc.Encode(s); err != nil {
		return s // a string always can be encoded
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}

// The kinds that markers name.
const (
	KindGiven      = "configured"    // one of the secrets given to New
	KindPrivateKey = "private-key"   // a private key in PEM
	KindAWSKey     = "aws-key"       // an access key id
	KindAWSSecret  = "aws-secret"    // a secret access key beside its id
	KindJWT        = "jwt"           // a JSON web token
	KindToken      = "token"         // a token by its name, its scheme or its shape
	KindAPIKey     = "api-key"       // an API key by its name or its shape
	KindGitHub     = "github-token"  // of GitHub or GitLab
	KindSlack      = "slack-token"   // of Slack
	KindWebhook    = "webhook"       // the path of a webhook, which is its password
	KindPassword   = "password"      // a password by its name or in an address
	KindSecret     = "secret"        // a secret by its name
	KindAuth       = "authorization" // what an authorization header carries
	KindCookie     = "cookie"        // what a cookie header carries
	KindText       = "text"          // a text of which nothing could be kept
)

func kinds() []string {
	return []string{
		KindGiven, KindPrivateKey, KindAWSKey, KindAWSSecret, KindJWT, KindToken, KindAPIKey, KindGitHub, KindSlack,
		KindWebhook, KindPassword, KindSecret, KindAuth, KindCookie, KindText,
	}
}

// Marker is what stands in place of a secret of that kind.
func Marker(kind string) string { return "[redacted:" + kind + "]" }

// inMarker says whether looking for s would take markers apart.
func inMarker(s string) bool {
	return slices.ContainsFunc(kinds(), func(k string) bool { return strings.Contains(Marker(k), s) })
}

var marker = regexp.MustCompile(`\[redacted:[a-z-]+\]`)

// Is says whether s is one marker and nothing else.
func Is(s string) bool {
	m := marker.FindStringIndex(s)
	return m != nil && m[0] == 0 && m[1] == len(s)
}

// MarkerAt returns the length of the marker that s begins with, 0 when it begins with
// none. Whoever cuts or escapes redacted text must leave markers whole.
func MarkerAt(s string) int {
	const longest = len("[redacted:") + 32
	m := marker.FindStringIndex(s[:min(len(s), longest)])
	if m == nil || m[0] != 0 {
		return 0
	}
	return m[1]
}

// maxPasses bounds how often a text is looked through. One pass finds nearly all, and
// what it hides may uncover one more thing beside it.
const maxPasses = 8

// Text returns s without the secrets that are found in it. Text of the result is the
// result.
func (r *Redactor) Text(s string) string {
	for range maxPasses {
		next := r.pass(s)
		if next == s {
			return s
		}
		s = next
	}
	// Every pass uncovers another: this was built to do so, and keeping some of it would
	// be a guess.
	return Marker(KindText)
}

func (r *Redactor) pass(s string) string {
	if r != nil && r.given != nil {
		s = r.given.Replace(s)
	}
	lower := strings.ToLower(s)
	for _, rule := range rules() {
		if rule.mayMatch(lower) {
			s = rule.apply(s)
		}
	}
	return s
}
