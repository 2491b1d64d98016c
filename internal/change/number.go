package change

// The range of a DynamoDB number: 38 significant digits, magnitude 1E-130 to
// 9.99…E+125 (Amazon DynamoDB Developer Guide, "Constraints", Numbers).
const (
	numberDigits = 38
	numberMinExp = -130
	numberMaxExp = 125
)

// checkNumber refuses what DynamoDB would not hold as a number. The text is kept
// as it came: rounding it through a float would change the item.
func checkNumber(s string) *fault {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	var (
		digits    int // seen in all
		first     = -1
		last      int // positions of the first and last non-zero digit, counted in digits
		wholes    int // digits before the point
		pointSeen bool
	)
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && !pointSeen {
			pointSeen = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		if c != '0' {
			if first < 0 {
				first = digits
			}
			last = digits
		}
		digits++
		if !pointSeen {
			wholes++
		}
	}
	exp, ok := exponent(s[i:])
	if digits == 0 || !ok {
		return faultf("%q is not a decimal number", clip(s, 64))
	}
	if first < 0 { // zero, whatever its exponent
		return nil
	}
	if n := last - first + 1; n > numberDigits {
		return faultf("a number of %d digits, at most %d", n, numberDigits)
	}
	if e := exp + wholes - first - 1; e < numberMinExp || e > numberMaxExp {
		return faultf("the number %s is outside 1E%d to 1E+%d", clip(s, 64), numberMinExp, numberMaxExp+1)
	}
	return nil
}

// exponent reads "", or e with an integer. Beyond any use it stops counting.
func exponent(s string) (int, bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	s = s[1:]
	sign := 1
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n < 1<<30 {
			n = n*10 + int(c-'0')
		}
	}
	return sign * n, s != ""
}
