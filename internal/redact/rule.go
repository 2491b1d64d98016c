package redact

import (
	"regexp"
	"slices"
	"strings"
)

// rule is one shape of a secret.
type rule struct {
	needs []string // in lower case: without one of these in the text, it cannot match
	match *regexp.Regexp
	// secret returns what to hide of the match m of text, as submatch indices. An empty
	// span hides nothing.
	secret func(text string, m []int) span
}

// span is a part of a text, and the kind of secret that it is.
type span struct {
	from, to int
	kind     string
}

func (r rule) mayMatch(lower string) bool {
	return slices.ContainsFunc(r.needs, func(n string) bool { return strings.Contains(lower, n) })
}

func (r rule) apply(text string) string {
	var b strings.Builder
	end := 0 // of what is written
	for _, m := range r.match.FindAllStringSubmatchIndex(text, -1) {
		if m[0] < end {
			continue // inside what is hidden; looking at it again would cost its length each time
		}
		s := r.secret(text, m)
		if s.to <= s.from || Is(text[s.from:s.to]) {
			continue
		}
		b.WriteString(text[end:s.from])
		b.WriteString(Marker(s.kind))
		end = s.to
	}
	if end == 0 {
		return text
	}
	b.WriteString(text[end:])
	return b.String()
}

// group hides a group of the match.
func group(n int, kind string) func(string, []int) span {
	return func(_ string, m []int) span { return span{m[2*n], m[2*n+1], kind} }
}

// The shapes. RE2 takes linear time; what it cannot say is in the functions below and
// in value.go, which look at each byte a bounded number of times.
var (
	pemBlock  = regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)`)
	pemTail   = regexp.MustCompile(`(?:[A-Za-z0-9+/=]{16,}(?:\\[rn]|\s)+)+-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----`)
	awsPair   = regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}[^A-Za-z0-9/+\n]{1,8}([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|\z)`)
	awsKey    = regexp.MustCompile(`\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b`)
	jwt       = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?`)
	gitToken  = regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})`)
	slack     = regexp.MustCompile(`\bxox[a-z](?:-\d)?-[A-Za-z0-9-]{8,}|\bxapp-\d-[A-Za-z0-9-]{8,}`)
	vendorKey = regexp.MustCompile(`\b(?:pul-[0-9a-f]{40}|AIza[0-9A-Za-z_-]{35}|(?:sk|rk|ck|pk)[-_][A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,})`)

	hookHost = regexp.MustCompile(`(?i)\bhttps?://(?:hooks?\.[^\s/"'<>]+|[^\s/"'<>]*webhook[^\s/"'<>]*)/([^\s"'<>]+)`)
	hookPath = regexp.MustCompile(`(?i)\bhttps?://[^\s/"'<>]+/((?:api/|services/|v\d{1,3}/)*(?:web)?hooks?/[^\s"'<>]+)`)

	// A password in an address ends at the last @ before the path. One with an
	// unescaped slash in it is no valid address, and people write it all the same.
	userinfo  = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@?#"'<>[]*:([^\s/?#"'<>]+)@`)
	slashInfo = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@?#"'<>[]*:([^\s@"'<>]+)@`)
	tokenUser = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]{0,20}://([A-Za-z0-9_.~%+=-]{20,})@`)
	port      = regexp.MustCompile(`^\d{1,5}(?:[/?#]|$)`)
	curlUser  = regexp.MustCompile(`(?:^|\s)(?:-u|--user)[ =]["']?[^\s:"']{1,128}:([^\s"']+)`)

	authHeader = regexp.MustCompile(`(?i)\b(?:proxy-)?authorization\\*["']?\]?[ \t]*[:=][ \t]*(?:\[?\\*["'])?(?:(bearer|basic|token|apikey|negotiate)[ \t]+|((?:digest|aws4-hmac-sha256|oauth|signature)[ \t]+))?`)
	scheme     = regexp.MustCompile(`(?i)\b(?:bearer|basic)[ \t]+([A-Za-z0-9._~+/=-]{8,})`)
	cookie     = regexp.MustCompile(`(?i)\b(?:set-)?cookie\\*["']?[ \t]*:[ \t]*(?:\[?\\*["'])?`)

	keyWords   = `(pass(?:word|wd|phrase|code)|pwd|secret|token|api[_ -]?key|(?:access|private|secret|account|shared|signing|encryption)[_ -]?key|x-amz-signature|x-amz-credential)`
	assignment = regexp.MustCompile(`(?i)` + keyWords + `(?:\\*["'\x60]?\]?[ \t]{0,8}(?:=>|:=|==?|:)[ \t]{0,8})`)
	element    = regexp.MustCompile(`(?i)<` + keyWords + `>`)
	option     = regexp.MustCompile(`(?i)(?:^|\s)--[a-z0-9-]{0,32}?` + keyWords + `[ \t]+`)
)

// rules lists the shapes. The more telling kind comes first, and what holds others
// inside it comes before them.
func rules() []rule {
	keys := []string{"pass", "pwd", "secret", "token", "key", "x-amz-"}
	return []rule{
		{[]string{"private key"}, pemBlock, group(0, KindPrivateKey)},
		{[]string{"private key"}, pemTail, group(0, KindPrivateKey)},
		{[]string{"authorization"}, authHeader, authorization},
		{[]string{"cookie"}, cookie, header(KindCookie)},
		{[]string{"akia", "asia"}, awsPair, group(1, KindAWSSecret)},
		{[]string{"akia", "asia", "abia", "acca"}, awsKey, group(0, KindAWSKey)},
		{[]string{"eyj"}, jwt, group(0, KindJWT)},
		{[]string{"gh", "glpat"}, gitToken, group(0, KindGitHub)},
		{[]string{"xox", "xapp"}, slack, group(0, KindSlack)},
		{[]string{"pul-", "aiza", "k-", "k_", "npm_", "pypi-"}, vendorKey, vendor},
		{[]string{"hook"}, hookHost, group(1, KindWebhook)},
		{[]string{"hook"}, hookPath, group(1, KindWebhook)},
		{[]string{"://"}, userinfo, address},
		{[]string{"://"}, slashInfo, address},
		{[]string{"://"}, tokenUser, group(1, KindToken)},
		{[]string{"-u", "--user"}, curlUser, user},
		{[]string{"bearer", "basic"}, scheme, bearer},
		{keys, element, assigned},
		{keys, option, flagged},
		{keys, assignment, assigned},
	}
}

// vendor leaves words that only begin like a key: sk-some-long-branch-name.
func vendor(text string, m []int) span {
	if !telling(text[m[0]:m[1]]) {
		return span{}
	}
	return span{m[0], m[1], KindAPIKey}
}

// address leaves http://host:8080/somebody@example.com, where what looks like a
// password is a port.
func address(text string, m []int) span {
	if port.MatchString(text[m[2]:m[3]]) {
		return span{}
	}
	return span{m[2], m[3], KindPassword}
}

// user leaves numbers, which are those of a user and a group.
func user(text string, m []int) span {
	if strings.Trim(text[m[2]:m[3]], "0123456789") == "" {
		return span{}
	}
	return span{m[2], m[3], KindPassword}
}

// bearer leaves "basic authentication" and "bearer certificates".
func bearer(text string, m []int) span {
	if !telling(text[m[2]:m[3]]) {
		return span{}
	}
	return span{m[2], m[3], KindToken}
}

// telling says whether s does not look like a word: it has a digit, or capitals
// behind its first letter and small ones as well.
func telling(s string) bool {
	lower, upper := false, false
	for i, c := range []byte(s) {
		switch {
		case '0' <= c && c <= '9':
			return true
		case 'a' <= c && c <= 'z':
			lower = true
		case 'A' <= c && c <= 'Z' && i > 0:
			upper = true
		}
	}
	return lower && upper
}

// authorization hides what follows the scheme: one word, or the rest of the line for
// schemes that carry a list.
func authorization(text string, m []int) span {
	if m[4] >= 0 {
		return header(KindAuth)(text, m)
	}
	from, to := valueAt(text, m[1])
	if harmless(text[from:to]) {
		return span{}
	}
	return span{from, to, KindAuth}
}

// header hides the rest of the line, or of the string that the line is in.
func header(kind string) func(string, []int) span {
	return func(text string, m []int) span {
		to := len(text)
		if n := strings.IndexAny(text[m[1]:], "\"'\r\n"); n >= 0 {
			to = m[1] + n
		}
		for to > m[1] && (text[to-1] == '\\' || text[to-1] == ' ') {
			to--
		}
		if harmless(text[m[1]:to]) {
			return span{}
		}
		return span{m[1], to, kind}
	}
}
