package load

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are at most a thousandth of their value
// wide, so that a run of any length takes the same memory. The zero histogram is
// empty. It is not safe for concurrent use.
type histogram struct {
	counts []uint64
	n      uint64
	max    time.Duration
}

// Every power of two is cut into 1,024 parts; shorter than 2,048 ns, a bucket is one
// nanosecond.
const (
	partBits = 10
	parts    = 1 << partBits
	buckets  = (63 - partBits + 1) * parts
)

func (h *histogram) add(d time.Duration, times int) {
	if times <= 0 {
		return
	}
	d = max(d, 0) // a clock that was set back
	if h.counts == nil {
		h.counts = make([]uint64, buckets)
	}
	h.counts[bucketOf(uint64(d))] += uint64(times)
	h.n += uint64(times)
	h.max = max(h.max, d)
}

func bucketOf(v uint64) int {
	shift := max(0, bits.Len64(v)-partBits-1)
	return shift*parts + int(v>>shift)
}

// upper is the longest duration of a bucket.
func upper(bucket int) time.Duration {
	shift := max(0, bucket/parts-1)
	return time.Duration(uint64(bucket-shift*parts+1)<<shift - 1)
}

// quantile returns the duration that so many thousandths of the samples do not exceed
// (nearest rank), 0 without samples. It is never less than the exact one and exceeds
// it by less than a thousandth.
func (h *histogram) quantile(thousandths uint64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := max(1, (h.n*thousandths+999)/1000)
	seen := uint64(0)
	for i, c := range h.counts {
		if seen += c; seen >= rank {
			return min(upper(i), h.max)
		}
	}
	return h.max
}

// Spread is what is shown of a sample of latencies.
type Spread struct {
	P50     time.Duration `json:"p50_ns"`
	P90     time.Duration `json:"p90_ns"`
	P99     time.Duration `json:"p99_ns"`
	P999    time.Duration `json:"p999_ns"`
	Max     time.Duration `json:"max_ns"`
	Samples uint64        `json:"samples"`
}

func (h *histogram) spread() Spread {
	return Spread{P50: h.quantile(500), P90: h.quantile(900), P99: h.quantile(990), P999: h.quantile(999), Max: h.max, Samples: h.n}
}
