package guard

import "time"

// Result is what one guard said at one time. All its numbers are finite.
type Result struct {
	Guard     string    `json:"guard"`
	Criterion Criterion `json:"criterion"`
	Action    Action    `json:"action"`
	Verdict   Verdict   `json:"verdict"`
	Reason    string    `json:"reason"` // one clause: the numbers, or what is missing
	At        time.Time `json:"at"`
	// Since is when the verdict began; of a failure, when the first look that counts
	// towards it was.
	Since time.Time `json:"since"`
	// Value is what was compared, in Unit, and Threshold what with: for a ratio the
	// multiple of stable's value. Both are 0 when nothing could be compared.
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
	Unit      Unit    `json:"unit"`
	Samples   int     `json:"samples"` // that counted
}
