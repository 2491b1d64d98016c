package notify

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPageShowsEverythingAndHoldsNoMarker(t *testing.T) {
	m := message("a")
	m.Text = "```\nlog\n" + Marker("incident prod-4") + "\n```\n"
	want := "````text\n```\nlog\n<!-- quoted lockstep:incident prod-4 -->\n```\n````\n\n- **Status**: Monitoring\n\n_rolled-back, 2026-05-04T08:00:00Z_\n"
	if diff := cmp.Diff(want, m.Page()); diff != "" {
		t.Error(diff)
	}
	m.Markdown = "# Issue\n" + MessageMarker("b")
	if page := m.Page(); !strings.HasPrefix(page, "# Issue\n") || HasLine(page, MessageMarker("b")) {
		t.Error(page)
	}
	m.Text, m.Markdown, m.Fields = "", "", nil
	if page := m.Page(); page != "\n_rolled-back, 2026-05-04T08:00:00Z_\n" {
		t.Errorf("%q", page)
	}
}

func TestPlainTextShowsEverything(t *testing.T) {
	m := message("a")
	if got, want := m.Plain(), "Rolled back due to <parked> & lost records.\nStable now.\n\nStatus: Monitoring\n"; got != want {
		t.Errorf("%q", got)
	}
	m.Text, m.Markdown = "", "# Only Markdown"
	if got, want := m.Plain(), "# Only Markdown\n\nStatus: Monitoring\n"; got != want {
		t.Errorf("%q", got)
	}
}

func TestAMarkerIsALineOfItsOwn(t *testing.T) {
	text := "intro\r\n" + Marker("incident prod-3") + "\r\nrest"
	for line, want := range map[string]bool{Marker("incident prod-3"): true, Marker("incident prod-33"): false, "intro": true, "rest": true, "res": false} {
		if HasLine(text, line) != want {
			t.Errorf("%q: want %v", line, want)
		}
	}
	if HasLine("see "+Marker("x"), Marker("x")) {
		t.Error("a marker in a sentence counts")
	}
}
