package change

import (
	"math/big"
	"strconv"
	"strings"
	"time"
)

// The instants that time.RFC3339 can write: years 1 to 9999.
const (
	minSecond = -62135596800
	maxSecond = 253402300799
)

// when reads an ApproximateCreationDateTime: a number of seconds since 1970, as
// Lambda and the AWS CLI write it, or an ISO 8601 string, as the SDKs do. What is
// finer than a nanosecond is cut off.
func (s *scanner) when() (time.Time, *fault) {
	s.ws()
	if s.peek() == '"' {
		text, f := s.text()
		if f != nil {
			return time.Time{}, f
		}
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00"} {
			if t, err := time.Parse(layout, text); err == nil && inRange(t.Unix()) {
				return t.UTC(), nil
			}
		}
		return time.Time{}, faultf("%q is not an RFC 3339 time", clip(text, 64))
	}
	text, f := s.number()
	if f != nil {
		return time.Time{}, f
	}
	t, ok := epoch(text)
	if !ok {
		return time.Time{}, faultf("%s is not a number of seconds in the years 1 to 9999", clip(text, 64))
	}
	return t, nil
}

func inRange(sec int64) bool { return sec >= minSecond && sec <= maxSecond }

// epoch reads a decimal number of seconds exactly; a float64 would lose the
// microseconds.
func epoch(text string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	if sec, err := strconv.ParseInt(whole, 10, 64); err == nil && text[0] != '-' && len(fraction) <= 9 {
		nanos := int64(0)
		if fraction != "" {
			nanos, err = strconv.ParseInt(fraction+"000000000"[len(fraction):], 10, 64)
		}
		if err == nil {
			return time.Unix(sec, nanos).UTC(), inRange(sec)
		}
	}
	const longest = 64
	mantissa, exp, found := strings.Cut(strings.ToLower(text), "e")
	if e, ok := exponent("e" + exp); found && (!ok || e < -longest || e > longest) || len(mantissa) > longest {
		return time.Time{}, false
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return time.Time{}, false
	}
	r.Mul(r, big.NewRat(int64(time.Second), 1))
	n := new(big.Int).Div(r.Num(), r.Denom()) // rounds down: the denominator is positive
	sec, nanos := n.DivMod(n, big.NewInt(int64(time.Second)), new(big.Int))
	if !sec.IsInt64() || !inRange(sec.Int64()) {
		return time.Time{}, false
	}
	return time.Unix(sec.Int64(), nanos.Int64()).UTC(), true
}

// appendEpoch writes t so that epoch reads the same instant.
func appendEpoch(dst []byte, t time.Time) []byte {
	sec, nanos := t.Unix(), int64(t.Nanosecond())
	if sec < 0 && nanos > 0 { // -1.5 is 2 seconds before 1970 and half a second on
		sec, nanos = sec+1, int64(time.Second)-nanos
		if sec == 0 {
			dst = append(dst, '-')
		}
	}
	dst = strconv.AppendInt(dst, sec, 10)
	if nanos == 0 {
		return dst
	}
	digits := strconv.FormatInt(int64(time.Second)+nanos, 10)[1:]
	return append(append(dst, '.'), strings.TrimRight(digits, "0")...)
}
