package bench

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// quantile returns the value below which a share of the sorted samples lies, the
// zero value for no samples.
func quantile[T cmp.Ordered](samples []T, share float64) T {
	var zero T
	if len(samples) == 0 {
		return zero
	}
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

func median[T cmp.Ordered](samples []T) T { return quantile(samples, 0.5) }

// Spread is what is printed of a sample of durations.
type Spread struct {
	P50     time.Duration `json:"p50_ns"`
	P99     time.Duration `json:"p99_ns"`
	Samples int           `json:"samples"`
}

func spreadOf(ds []time.Duration) Spread {
	return Spread{P50: median(ds), P99: quantile(ds, 0.99), Samples: len(ds)}
}

// ms is a duration in milliseconds.
func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// mb is a number of bytes in megabytes of 10^6.
func mb(n int64) float64 { return float64(n) / 1e6 }

// thousands writes a whole number with commas.
func thousands[T ~int | ~int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && digits[i-1] != '-' && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(d)
	}
	return out.String()
}
