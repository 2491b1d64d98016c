package app

import "runtime/debug"

// MemoryLimit is the size of the Go heap, in bytes, at which the collector works
// harder instead of letting the process grow: DESIGN 13 wants 300 MB in all.
const MemoryLimit = 208 << 20

// BoundMemory makes this process keep to MemoryLimit, unless the environment says
// otherwise by GOMEMLIMIT.
func BoundMemory(getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(MemoryLimit)
	}
}
