package bench

import (
	"os"
	"strconv"
	"strings"
)

// peakMemory returns the most memory this process had resident at any time, in
// bytes, 0 where the system does not say. The figure of getrusage will not do: a
// process inherits it from the one that started it.
func peakMemory() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, "VmHWM:")
		if !ok {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return 0
		}
		return kb << 10
	}
	return 0
}
