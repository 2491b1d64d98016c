package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var byteUnits = []struct {
	suffix string
	size   int64
}{
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"B", 1},
}

// Bytes returns a size, written as in 512B, 64KiB or 8MiB, from least to most.
// A bare number, KB and MB are refused, because readers disagree about them.
func (n *Node) Bytes(def, least, most int64) int64 {
	want := fmt.Sprintf("a size such as 64KiB or 8MiB, from %s to %s", formatBytes(least), formatBytes(most))
	s, ok := n.scalar(want)
	if !ok {
		return def
	}
	b, ok := parseBytes(s)
	if !ok || b < least || b > most {
		n.Reject("want %s, found %s", want, n.found())
		return def
	}
	return b
}

func parseBytes(s string) (int64, bool) {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		i, err := strconv.ParseUint(strings.TrimSuffix(digits, " "), 10, 63)
		if err != nil || i > math.MaxInt64/uint64(u.size) {
			return 0, false
		}
		return int64(i) * u.size, true
	}
	return 0, false
}

// formatBytes writes b in the largest unit that divides it.
func formatBytes(b int64) string {
	for _, u := range byteUnits {
		if b >= u.size && b%u.size == 0 {
			return strconv.FormatInt(b/u.size, 10) + u.suffix
		}
	}
	return strconv.FormatInt(b, 10) + "B"
}
