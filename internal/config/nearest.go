package config

import "slices"

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// nearest returns the candidate that s was probably meant to be, "" when none is
// close: at most one edit for every three characters, and at least one.
func nearest(s string, candidates []string) string {
	if len(s) > maxQuoted {
		return ""
	}
	best, limit := "", max(1, len(s)/3)+1
	for _, c := range candidates {
		if d := distance([]rune(s), []rune(c)); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b.
func distance(a, b []rune) int {
	before := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
