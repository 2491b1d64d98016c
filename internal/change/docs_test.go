package change

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheExamplesOfTheFormatPageAreRead(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(page(t, "format/message.md"), -1)
	if len(blocks) < 6 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		ids := read(t, b[1], Options{})
		if len(ids) == 0 {
			t.Errorf("nothing in\n%s", b[1])
		}
		for _, id := range ids {
			if strings.HasPrefix(id, "!") {
				t.Errorf("%s in\n%s", id, b[1])
			}
		}
	}
	body := strings.TrimSpace(blocks[len(blocks)-1][1])
	if got := string(mustMessage(t, body).Body); got != body {
		t.Errorf("the example of a body is kept as\n%s", got)
	}
}

// onlyStored are the reasons that only canonical text can be refused for.
var onlyStored = []string{"the names are not sorted", "the set is not sorted", "the string at byte … is not escaped in the canonical way"}

func TestEveryReasonIsOnTheFormatPage(t *testing.T) {
	doc := page(t, "format/message.md")
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile("(?:faultf\\(|fault\\{reason: )(\"[^\"\\\\]*\"|`[^`]*`)")
	verb := regexp.MustCompile(`%[#0-9]*[a-z]`)
	found := 0
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(code), -1) {
			found++
			reason, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatal(err)
			}
			reason = verb.ReplaceAllString(reason, "…")
			known := strings.Contains(doc, "| `"+reason+"` |")
			for _, s := range onlyStored {
				known = known || s == reason
			}
			if !known {
				t.Errorf("%s: %q is not on the page", name, reason)
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d reasons found in the code: has the way of writing them changed?", found)
	}
}

func TestTheLimitsPageStatesTheConstants(t *testing.T) {
	doc := page(t, "limits.md")
	for name, values := range map[string][]int{
		"DefaultRecordBytes":  {DefaultRecordBytes, MaxRecordBytes},
		"DefaultEventRecords": {DefaultEventRecords},
		"DefaultDepth":        {DefaultDepth, MaxDepth},
		"DefaultLineBytes":    {DefaultLineBytes},
		"MaxEventIDBytes":     {MaxEventIDBytes},
		"MaxPartitionBytes":   {MaxPartitionBytes},
		"MaxSequenceDigits":   {MaxSequenceDigits},
		"MaxMalformedBytes":   {MaxMalformedBytes},
		"MaxReasonBytes":      {MaxReasonBytes},
		"MaxIDBytes":          {lockstep.MaxIDBytes},
		"MaxDocumentBytes":    {lockstep.MaxDocumentBytes},
		"MaxMetadataKeys":     {lockstep.MaxMetadataKeys},
		"MaxDimension":        {lockstep.MaxDimension},
	} {
		row := regexp.MustCompile("(?m)^.*\\| `" + name + "` \\|.*$").FindString(doc)
		for _, v := range values {
			if !regexp.MustCompile(`\b` + strconv.Itoa(v) + `\b`).MatchString(row) {
				t.Errorf("%s is %d, the page says %q", name, v, row)
			}
		}
	}
	// Two packages call a limit MaxKeyBytes.
	for heading, v := range map[string]int{"internal/change": MaxKeyBytes, "internal/blob": blob.MaxKeyBytes} {
		_, section, _ := strings.Cut(doc, "(`"+heading+"`)")
		row := regexp.MustCompile("\\| `MaxKeyBytes` \\| ([0-9]+) \\|").FindStringSubmatch(section)
		if row == nil || row[1] != strconv.Itoa(v) {
			t.Errorf("%s.MaxKeyBytes is %d, the page says %q", heading, v, row)
		}
	}
	d := DefaultLimits()
	if d.RecordBytes != DefaultRecordBytes || d.EventRecords != DefaultEventRecords || d.Depth != DefaultDepth || d.LineBytes != DefaultLineBytes {
		t.Errorf("DefaultLimits is %+v", d)
	}
	over := Limits{RecordBytes: 1 << 40, Depth: 1 << 40}.resolved()
	if over.RecordBytes != MaxRecordBytes || over.Depth != MaxDepth {
		t.Errorf("above the ceiling: %+v", over)
	}
}
