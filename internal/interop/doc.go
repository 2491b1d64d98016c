// Package interop asks the real neighbours: does a stream that an AWS emulator
// recorded become an index that a real ChromaDB opens?
//
// It has no code but its tests, which need the build tag interop and the Python
// environments that "make interop" sets up.
package interop
