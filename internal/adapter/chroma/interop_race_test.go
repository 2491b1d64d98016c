//go:build interop && race

package chroma

// slowdown widens the time limits: under the race detector SQLite in Go was seen to
// take 20 to 30 times as long.
const slowdown = 12
