package load

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Condition is one sentence about a step of a run: a figure, compared with a limit.
type Condition struct {
	Figure string  // one of Figures
	Op     string  // "<", "<=", ">" or ">="
	Limit  float64 // nanoseconds, per cent, or changes per second
}

// The figures that a condition may speak of.
const (
	figureErrors = "errors" // per cent of the changes that were due
	figureParked = "parked" // per cent of the changes that were answered
	figureRate   = "rate"   // changes answered per second
	figureHeld   = "held"   // the highest rate held, of the whole run
)

// Figures lists what a condition may speak of.
func Figures() []string {
	return append(latencies(), figureErrors, figureParked, figureRate, figureHeld)
}

func latencies() []string { return []string{"p50", "p90", "p99", "p999", "max"} }

// Conditions are joined by commas: all of an objective have to hold, and one of a stop
// is enough.
type Conditions []Condition

// ParseConditions reads sentences such as "p99<150ms,errors<0.1%,held>=1000". "" is
// none. ErrInvalid names every mistake at once.
func ParseConditions(s string) (Conditions, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var out Conditions
	var errs []error
	for part := range strings.SplitSeq(s, ",") {
		c, err := parseCondition(strings.TrimSpace(part))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, c)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

func parseCondition(s string) (Condition, error) {
	at := strings.IndexAny(s, "<>")
	if at < 0 {
		return Condition{}, fmt.Errorf("%w condition %.80q: want such as p99<150ms", lockstep.ErrInvalid, s)
	}
	end := at + 1
	if end < len(s) && s[end] == '=' {
		end++
	}
	c := Condition{Figure: strings.TrimSpace(s[:at]), Op: s[at:end]}
	if !slices.Contains(Figures(), c.Figure) {
		return Condition{}, fmt.Errorf("%w figure %.40q: want one of %s", lockstep.ErrInvalid, c.Figure, strings.Join(Figures(), ", "))
	}
	limit := strings.TrimSpace(s[end:])
	var want string
	var ok bool
	switch {
	case c.latency():
		d, err := time.ParseDuration(limit)
		c.Limit, ok, want = float64(d), err == nil && d >= 0, "a duration such as 150ms"
	case c.percent():
		number, isPercent := strings.CutSuffix(limit, "%")
		c.Limit, ok = parseNumber(number)
		ok, want = ok && isPercent && c.Limit <= 100, "a share such as 0.1%"
	default:
		c.Limit, ok = parseNumber(strings.TrimSuffix(limit, "/s"))
		want = "changes per second such as 500"
	}
	if !ok {
		return Condition{}, fmt.Errorf("%w limit %.40q of %s: want %s", lockstep.ErrInvalid, limit, c.Figure, want)
	}
	return c, nil
}

func parseNumber(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && f >= 0 && f <= 1e12 // no NaN, nothing endless
}

func (c Condition) latency() bool { return slices.Contains(latencies(), c.Figure) }
func (c Condition) percent() bool { return c.Figure == figureErrors || c.Figure == figureParked }

// String is the condition as ParseConditions reads it.
func (c Condition) String() string { return c.Figure + c.Op + c.say(c.Limit) }

func (c Condition) say(v float64) string {
	switch {
	case c.latency():
		return time.Duration(v).String()
	case c.percent():
		return strconv.FormatFloat(v, 'f', -1, 64) + "%"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// String is the conditions as ParseConditions reads them.
func (cs Conditions) String() string {
	words := make([]string, len(cs))
	for i, c := range cs {
		words[i] = c.String()
	}
	return strings.Join(words, ",")
}

// of returns the figure in a step. known is false when the step cannot say: nothing
// was measured, or it is a figure of the whole run.
func (c Condition) of(s *StepResult) (v float64, known bool) {
	switch c.Figure {
	case "p50":
		return float64(s.Latency.P50), s.Latency.Samples > 0
	case "p90":
		return float64(s.Latency.P90), s.Latency.Samples > 0
	case "p99":
		return float64(s.Latency.P99), s.Latency.Samples > 0
	case "p999":
		return float64(s.Latency.P999), s.Latency.Samples > 0
	case "max":
		return float64(s.Latency.Max), s.Latency.Samples > 0
	case figureErrors:
		return share(s.Failed+s.Unsent, s.Due), s.Due > 0
	case figureParked:
		return share(s.Parked, s.Answered), s.Answered > 0
	case figureRate:
		return s.Achieved, s.Due > 0
	}
	return 0, false
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

func (c Condition) met(v float64) bool {
	switch c.Op {
	case "<":
		return v < c.Limit
	case "<=":
		return v <= c.Limit
	case ">":
		return v > c.Limit
	case ">=":
		return v >= c.Limit
	}
	return false
}

// broken says which condition of an objective does not hold in a step, "" when all do.
// What was not measured does not hold.
func (cs Conditions) broken(s *StepResult) string {
	var why []string
	for _, c := range cs {
		if c.Figure == figureHeld {
			continue
		}
		if v, known := c.of(s); !known {
			why = append(why, fmt.Sprintf("%s: nothing was measured", c))
		} else if !c.met(v) {
			why = append(why, fmt.Sprintf("%s: it is %s", c, c.round(v)))
		}
	}
	return strings.Join(why, "; ")
}

func (c Condition) round(v float64) string {
	switch {
	case c.latency():
		return brief(time.Duration(v))
	case c.percent():
		return strconv.FormatFloat(v, 'g', 3, 64) + "%"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + "/s"
}

// reached says which condition of a stop is true of a step, "" when none is. What was
// not measured stops nothing.
func (cs Conditions) reached(s *StepResult) string {
	for _, c := range cs {
		if v, known := c.of(s); known && c.met(v) {
			return fmt.Sprintf("%s: it is %s", c, c.round(v))
		}
	}
	return ""
}
