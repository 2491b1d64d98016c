package meter

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"lockstep/internal/lockstep"
)

// parseNumber reads a decimal number, or NaN, Inf, +Inf or -Inf. ErrInvalid for
// everything else, also for what only Go reads as a number (0x1p-2, 1_000, infinity).
func parseNumber(text string) (float64, error) {
	switch text {
	case "NaN":
		return math.NaN(), nil
	case "Inf", "+Inf":
		return math.Inf(1), nil
	case "-Inf":
		return math.Inf(-1), nil
	}
	if text == "" || strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, fmt.Errorf("%w value %.40q: want a number", lockstep.ErrInvalid, text)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("%w value %.40q: want a number", lockstep.ErrInvalid, text)
	}
	return v, nil
}
