package arch

import (
	"slices"
	"strings"
)

// layers lists the rooms of the house from the top down. A package may import
// those of lower layers, and of its own layer only what inside allows.
var layers = [][]string{
	{"cmd"},
	{"cli", "web", "bench", "faults"},
	{"app"},
	{"adapter"},
	{"load"},
	{"receipt", "mapping"},
	{"change", "version", "base", "state", "compact", "follow", "retention", "history", "branch", "revert", "release", "guard", "rollback", "incident", "analysis", "shadow", "notify", "drill"},
	{"handler"},
	{"blob", "ledger", "queue", "durable", "chromadir", "config", "metajson", "embedding", "imports", "testreport", "redact"},
	{"lockstep"},
}

// halves are the data half and the control half, which meet only in app.
var halves = [2][]string{
	{"change", "version", "base", "state", "compact", "follow", "retention", "history", "branch", "revert", "receipt", "mapping"},
	{"release", "guard", "rollback", "incident", "analysis", "shadow", "notify", "drill"},
}

// pure lists what a handler may import of this module (DESIGN 5: no I/O).
var pure = map[string]bool{"lockstep": true, "handler": true, "change": true, "config": true}

// room returns the part of the house that a directory belongs to: "version" for
// internal/version and everything below it, "cmd" for the commands, "" for what
// is no part of it (arch, simtest, suites).
func room(dir string) string {
	if dir == "cmd" || strings.HasPrefix(dir, "cmd/") {
		return "cmd"
	}
	rest, ok := strings.CutPrefix(dir, "internal/")
	if !ok {
		return ""
	}
	for part := range strings.SplitSeq(rest, "/") {
		if strings.HasSuffix(part, "test") {
			return ""
		}
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func layer(room string) (int, bool) {
	for i, names := range layers {
		if slices.Contains(names, room) {
			return i, true
		}
	}
	return 0, false
}

func half(room string) int {
	for i, names := range halves {
		if slices.Contains(names, room) {
			return i + 1
		}
	}
	return 0
}

// Forbidden says why a package in directory from may not import the one in
// directory to, "" when it may. Both are of this module.
func Forbidden(from, to string) string {
	a, b := room(from), room(to)
	if a == "" || b == "" || a == b && a != "adapter" {
		return ""
	}
	la, knownA := layer(a)
	lb, knownB := layer(b)
	switch {
	case !knownA || !knownB:
		return "" // TestEveryPackageHasALayer says so once
	case a == "adapter" && b == "adapter":
		if strings.HasPrefix(to, from+"/") || strings.HasPrefix(from, to+"/") {
			return ""
		}
		return "adapters do not know each other"
	case lb < la:
		return "imports point down: " + b + " is above " + a
	case half(a) != 0 && half(b) != 0 && half(a) != half(b):
		return "the data half and the control half meet only in app"
	case b == "adapter" && a != "app":
		return "only app names an adapter"
	case (a == "receipt" || a == "mapping") && !pure[b]:
		return "a handler is pure: it may import lockstep, handler, change and config"
	case (b == "receipt" || b == "mapping") && half(a) == 1:
		return "the data half knows handlers by their contract"
	}
	return ""
}
