package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what one run found. What was not asked for is nil or empty.
type Report struct {
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"took_ns"`
	Records int           `json:"records"` // asked for
	Machine Machine       `json:"machine"`
	Indexes []loaded      `json:"indexes,omitempty"`
	Disk    int64         `json:"disk_bytes"` // the most that was used
	Rows    []Row         `json:"rows"`
	Bytes   []BytesResult `json:"bytes,omitempty"`
	Work    *WorkResult   `json:"work,omitempty"`
	Cold    *ColdResult   `json:"cold,omitempty"`
	Peer    *PeerResult   `json:"peer,omitempty"`
}

// Row is one line of the table.
type Row struct {
	Name     string  `json:"name"` // for programs, such as "updates"
	What     string  `json:"what"`
	Measured string  `json:"measured"`
	Value    float64 `json:"value"` // of Measured, in Unit
	Unit     string  `json:"unit"`
	Target   string  `json:"target,omitempty"` // of DESIGN 13; "" when it has none
	Met      *bool   `json:"met,omitempty"`
	Peer     string  `json:"peer,omitempty"`
	Note     string  `json:"note,omitempty"` // what one must know to read the figure
}

// Print writes the report for people.
func (r Report) Print(w io.Writer) {
	m := r.Machine
	fmt.Fprintf(w, "Lockstep on %d CPUs (%s), %s, %s; one durable create takes %.2f ms here\n", m.CPUs, orUnknown(m.CPU), m.System, m.Go, ms(m.Create))
	fmt.Fprintf(w, "load average before: %s, after: %s; %.0f s in all, %s MB of disk used and removed\n", orUnknown(m.LoadBefore), orUnknown(m.LoadAfter), r.Took.Seconds(), thousands(int64(mb(r.Disk))))
	if r.Records != Full().Records {
		fmt.Fprintf(w, "THE TARGETS ARE MEANT FOR %s RECORDS, THIS RUN HAS %s\n", thousands(Full().Records), thousands(r.Records))
	}
	for _, l := range r.Indexes {
		fmt.Fprintf(w, "index: %s published records (lines and words of %s receipts, vectors of %d components), %s mirrored items (place and run of each receipt), base of %.1f MB in %.1f s, loaded in %.1f s\n",
			thousands(l.Records), thousands(l.Receipts), dimension, thousands(l.Mirrored), mb(l.Base), l.BaseTook.Seconds(), l.Took.Seconds())
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tmeasured\ttarget\tmet?\tpeer\t")
	for i, row := range r.Rows {
		mark := ""
		if row.Note != "" {
			mark = fmt.Sprintf(" [%d]", i+1)
		}
		fmt.Fprintf(t, "%s%s\t%s\t%s\t%s\t%s\t\n", row.What, mark, row.Measured, orDash(row.Target), row.met(), orDash(row.Peer))
	}
	t.Flush() //nolint:errcheck // as with every other write here, whoever gave w hears of it
	fmt.Fprintln(w)
	for i, row := range r.Rows {
		if row.Note != "" {
			fmt.Fprintf(w, "[%d] %s\n", i+1, row.Note)
		}
	}
}

func (r Row) met() string {
	switch {
	case r.Met == nil:
		return "-"
	case *r.Met:
		return "yes"
	}
	return "NO"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func orUnknown(s string) string {
	if s = strings.TrimSpace(s); s == "" {
		return "unknown"
	}
	return s
}
