package lockstep

// Author is who last wrote a record: the version that holds the write, the
// message that caused it and the revision that decided it. It is provenance and
// not content: no digest covers it, so that a restored record equals the good one.
type Author struct {
	Version  uint64 `json:"version"`
	Message  string `json:"message,omitempty"`
	Revision string `json:"revision,omitempty"`
}
