package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// pulumiUpdate is an entry of "pulumi stack history --json".
type pulumiUpdate struct {
	Version     int               `json:"version"` // 0 with a backend that does not number
	Kind        string            `json:"kind"`
	StartTime   time.Time         `json:"startTime"`
	EndTime     *time.Time        `json:"endTime"`
	Message     string            `json:"message"`
	Environment map[string]string `json:"environment"`
	Config      map[string]struct {
		Value  *string `json:"value"`
		Secret bool    `json:"secret"`
	} `json:"config"`
	Result string `json:"result"`
}

const maxHistory = 10_000

// parseHistory reads a history. key is the configuration key that holds the version, with
// its namespace or without; "" when there is none.
func parseHistory(body []byte, key string) ([]Update, error) {
	var list []pulumiUpdate
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("%w history: %s", lockstep.ErrInvalid, clean(err.Error()))
	}
	if len(list) > maxHistory {
		return nil, fmt.Errorf("%w history: %d entries, at most %d", lockstep.ErrInvalid, len(list), maxHistory)
	}
	out := make([]Update, 0, len(list))
	for _, p := range list {
		u := Update{
			Kind: p.Kind, Result: p.Result, Start: p.StartTime, Message: p.Message,
			Commit: p.Environment["git.head"], Dirty: p.Environment["git.dirty"] == "true",
		}
		if p.Version > 0 {
			u.ID = strconv.Itoa(p.Version)
		}
		if p.EndTime != nil {
			u.End = *p.EndTime
		}
		for name, c := range p.Config {
			if key != "" && (name == key || strings.HasSuffix(name, ":"+key)) && c.Value != nil && !c.Secret {
				u.Version = *c.Value
			}
		}
		out = append(out, u)
	}
	return out, nil
}

// parseOutput reads one output of "pulumi stack output --json" by its dotted path.
// ErrNotFound: there is none, as on a stack that was never deployed. ErrRefused: it is a
// secret, which Pulumi shows as [secret].
func parseOutput(body []byte, path string) (string, error) {
	var at any
	if err := json.Unmarshal(body, &at); err != nil {
		return "", fmt.Errorf("%w outputs: %s", lockstep.ErrInvalid, clean(err.Error()))
	}
	return dig(at, path)
}

// dig follows a dotted path to a text or a number.
func dig(at any, path string) (string, error) {
	for name := range strings.SplitSeq(path, ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return "", fmt.Errorf("field %q of %q: %w", name, path, lockstep.ErrNotFound)
		}
		if at, ok = m[name]; !ok {
			return "", fmt.Errorf("field %q of %q: %w; there are %s", name, path, lockstep.ErrNotFound, listed(slices.Sorted(maps.Keys(m))))
		}
	}
	switch v := at.(type) {
	case string:
		if v == "[secret]" {
			return "", fmt.Errorf("field %q: %w: it is a secret", path, lockstep.ErrRefused)
		}
		return version(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", fmt.Errorf("%w field %q: want a text or a number", lockstep.ErrInvalid, path)
}

const maxVersion = 200

// version checks what is to be compared with a step's ends.
func version(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > maxVersion || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return "", fmt.Errorf("%w version %.60q: want one line of at most %d bytes", lockstep.ErrInvalid, text, maxVersion)
	}
	return text, nil
}

func listed(names []string) string {
	if len(names) > 20 {
		names = append(names[:20:20], "...")
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// parsePreview reads "pulumi preview --json".
func parsePreview(body []byte) (Preview, error) {
	var p struct {
		ChangeSummary map[string]int `json:"changeSummary"`
		Diagnostics   []struct {
			Message  string `json:"message"`
			Severity string `json:"severity"`
		} `json:"diagnostics"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return Preview{}, fmt.Errorf("%w preview: %s", lockstep.ErrInvalid, clean(err.Error()))
	}
	out := Preview{Changes: p.ChangeSummary}
	var parts []string
	for _, op := range slices.Sorted(maps.Keys(p.ChangeSummary)) {
		parts = append(parts, fmt.Sprintf("%d %s", p.ChangeSummary[op], clean(op)))
	}
	// Pulumi counts resources; an output may change all the same.
	out.Text = "resources: " + listed(parts)
	for _, d := range p.Diagnostics {
		if d.Severity == "error" {
			return out, fmt.Errorf("preview: %w: %s", lockstep.ErrUnavailable, clean(strings.TrimPrefix(d.Message, "error: ")))
		}
	}
	return out, nil
}

var (
	pulumiLocked  = regexp.MustCompile(`the stack is currently locked by \d+ lock|\[409\] Conflict: Another update is currently in progress|Another update is currently in progress`)
	pulumiHolder  = regexp.MustCompile(`created by (\S+ \(pid \d+\) at \S+)`)
	pulumiError   = regexp.MustCompile(`(?m)^\s*error: (.*)$`)
	pulumiWarning = regexp.MustCompile(`(?m)^\s*warning: `)
	pulumiTotals  = regexp.MustCompile(`(?m)^Resources:\n((?:    .*\n)+)`)
)

const maxDiagnostics = 10

// parseUp reads the text of an update.
func parseUp(out, said string) Outcome {
	_, diagnostics, _ := strings.Cut(out, "Diagnostics:\n")
	text := diagnostics + "\n" + said
	o := Outcome{Warned: len(pulumiWarning.FindAllString(text, -1)), Text: "resources: unknown"}
	for _, m := range pulumiError.FindAllStringSubmatch(text, maxDiagnostics) {
		o.Errors = append(o.Errors, clean(m[1]))
	}
	if m := pulumiTotals.FindStringSubmatch(out); m != nil {
		o.Text = "resources: " + strings.Join(strings.Fields(strings.ReplaceAll(strings.TrimSpace(m[1]), "\n", ",")), " ")
	}
	return o
}

// What the CLI's exit statuses mean since 3.226; before, everything was 255 or 1.
const (
	pulumiUsage   = 2
	pulumiLogin   = 3
	pulumiNoStack = 6
	pulumiStopped = 8
)

// explain classes a failed run of the CLI. Text comes first: a lock has no status of its
// own (1 with new versions, 255 with old ones).
func explain(status int, text string) error {
	first := ""
	if m := pulumiError.FindStringSubmatch(text); m != nil {
		first = clean(m[1])
	}
	is := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	switch {
	case pulumiLocked.MatchString(text):
		if m := pulumiHolder.FindStringSubmatch(text); m != nil {
			return fmt.Errorf("%w, created by %s", ErrLocked, clean(m[1]))
		}
		return ErrLocked
	case status == pulumiNoStack, is("no stack named", "no Pulumi.yaml project file found", "no stack selected"):
		return fmt.Errorf("%w: %s", lockstep.ErrNotFound, first)
	case status == pulumiLogin, is("PULUMI_ACCESS_TOKEN must be set", "passphrase must be set", "incorrect passphrase", "[401]", "[403]"):
		return lockstep.Hint(fmt.Errorf("%w: %s", lockstep.ErrRefused, first), "name the variables with the credentials in env, and set them")
	case status == pulumiUsage, is("error: unknown flag", "error: unknown command"):
		return fmt.Errorf("%w command: %s", lockstep.ErrInvalid, first)
	case status == pulumiStopped:
		return fmt.Errorf("%w: it was cancelled", lockstep.ErrUnavailable)
	case first == "":
		return fmt.Errorf("%w: it ended with status %d", lockstep.ErrUnavailable, status)
	}
	return fmt.Errorf("%w: %s (status %d)", lockstep.ErrUnavailable, first, status)
}

// clean is foreign text in one bounded line.
func clean(text string) string { return surroundings{}.quote(text) }
