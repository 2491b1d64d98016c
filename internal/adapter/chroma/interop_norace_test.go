//go:build interop && !race

package chroma

const slowdown = 1
