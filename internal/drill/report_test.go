package drill

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := must[[]byte](t)(os.ReadFile(name))
	if !bytes.Equal(want, got) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func history(t *testing.T) Book {
	t.Helper()
	var drills []Drill
	for i := range 6 {
		drills = append(drills, passed(fmt.Sprint("prod-drill-", i+1), t0().Add(time.Duration(7*i)*day), i+1))
	}
	bad := failed("prod-drill-7", t0().Add(42*day))
	bad.Why = "3 records differ | from *the* <counterfactual>\nand \x1b[31mmore"
	return book(t, append(drills, bad, incomplete("prod-drill-8", t0().Add(43*day)))...)
}

func TestTheReportsAreAsTheyWere(t *testing.T) {
	now := t0().Add(44 * day)
	for name, r := range map[string]Report{
		"full":   history(t).Report(now, 30*day, 20),
		"recent": history(t).Report(now, 0, 3),
		"good":   book(t, passed("prod-drill-1", t0(), 1)).Report(t0().Add(day), 30*day, 20),
		"none":   Book{Environment: "staging"}.Report(now, 30*day, 20),
	} {
		golden(t, name+".txt", []byte(r.Text()))
		golden(t, name+".md", []byte(r.Markdown()))
		golden(t, name+".json", must[[]byte](t)(r.JSON()))
	}
}

func TestWhatSomebodyWroteCannotBreakATable(t *testing.T) {
	r := history(t).Report(t0(), 30*day, 20)
	if strings.ContainsRune(r.Text()+r.Markdown(), '\x1b') {
		t.Error("a command to the terminal is shown")
	}
	columns := 0
	for line := range strings.Lines(r.Markdown()) {
		if !strings.HasPrefix(line, "| drill") && columns == 0 || strings.HasPrefix(line, "|---") {
			continue
		}
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if columns == 0 {
			columns = n
		}
		if n != columns {
			t.Errorf("%d bars instead of %d: %s", n, columns, line)
		}
	}
	if columns == 0 {
		t.Error("there is no table")
	}
}
