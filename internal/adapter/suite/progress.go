package suite

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/rollback"
)

const maxSaid = 160

// progress tells people how far a suite is, now and then.
type progress struct {
	name   string
	keep   rollback.Keeper
	now    func() time.Time
	strike func([]byte) []byte

	said  time.Time
	done  int64
	total int64
}

var (
	collected = regexp.MustCompile(`^(?:collecting \.\.\. )?collected (\d+) items?`)
	finished  = regexp.MustCompile(`^\S.* (?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b.*\[ *\d+%\]$|^--- (?:PASS|FAIL|SKIP): |^(?:ok  |FAIL)\t`)
)

// line hears one line of the output.
func (p *progress) line(text string) {
	text = strings.TrimRight(text, " \r")
	if m := collected.FindStringSubmatch(text); m != nil {
		p.total, _ = strconv.ParseInt(m[1], 10, 64) // digits; 0 when there are far too many
	}
	if finished.MatchString(text) {
		p.done++
	}
	if now := p.now(); text != "" && now.Sub(p.said) >= sayEvery {
		p.said = now
		// Struck out before it is shortened: half a secret would not be found.
		text = strings.Join(strings.Fields(string(p.strike([]byte(text)))), " ")
		p.keep.Say(p.name+": "+strings.ToValidUTF8(text[:min(len(text), maxSaid)], ""), p.done, p.total)
	}
}
