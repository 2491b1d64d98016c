package drill

import (
	"strings"
	"testing"
	"time"
)

func TestADrillIsShownAsItWas(t *testing.T) {
	h := history(t)
	var all strings.Builder
	for _, d := range h.Last(3) {
		all.WriteString(d.Text() + "\n")
	}
	golden(t, "drills.txt", []byte(all.String()))
	golden(t, "list.txt", []byte(h.Report(t0().Add(44*day), 30*day, 3).List()))
	if got := (Book{Environment: "prod"}).Report(t0(), time.Hour, 3).List(); got != "" {
		t.Errorf("no drills: %q", got)
	}
}
