package incident

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/redact"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func html(t testing.TB, r Report) string {
	t.Helper()
	s, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReportOfARollback(t *testing.T) {
	r := NewReport(everything(t))
	golden(t, "report.md", r.Markdown())
	golden(t, "report.html", html(t, r))
}

// What a person opened, about no release, and about which nothing else is known.
func bare(t testing.TB) Input {
	t.Helper()
	in := must(t)(Open(Opening{Environment: "dev", Actor: "anna", At: t0(), Reason: "search finds nothing since this morning."}, 1))
	return Input{Incident: in, Now: at(90 * time.Minute)}
}

func TestReportOfWhatNobodyKnowsMuchAbout(t *testing.T) {
	r := NewReport(bare(t))
	golden(t, "bare.md", r.Markdown())
	want := []string{"Issue Summary", "Root Cause", "Impact", "Resolution", "Prevention", "Action Items"}
	if diff := cmp.Diff(want, r.Gaps()); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

func TestTheReportHasTheSectionsOfTheDocumentInItsOrder(t *testing.T) {
	for _, in := range []Input{everything(t), bare(t)} {
		text := NewReport(in).Markdown()
		for _, title := range []string{"Date", "Duration", "Issue Summary", "Root Cause", "Detection", "Impact", "Resolution", "Prevention", "Action Items", "Timeline"} {
			_, after, found := strings.Cut(text, "\n## "+title+"\n")
			if !found {
				t.Fatalf("%s is missing, or out of order", title)
			}
			text = after
		}
	}
}

func TestAllGapsCanBeFilled(t *testing.T) {
	in := bare(t)
	for i, s := range Sections() {
		in.Incident = must(t)(AddNote(in.Incident, by("anna", time.Duration(i)*time.Minute), s, "written: "+string(s)))
	}
	r := NewReport(in)
	if gaps := r.Gaps(); len(gaps) > 0 {
		t.Errorf("left: %v", gaps)
	}
	for _, s := range Sections() {
		if !strings.Contains(r.Markdown(), "written: "+string(s)) {
			t.Errorf("section %s is not in the report", s)
		}
	}
	in.Incident = must(t)(AddNote(in.Incident, by("bert", time.Hour), SectionCause, "it was something else"))
	if text := NewReport(in).Markdown(); strings.Contains(text, "written: root-cause") || !strings.Contains(text, "it was something else") {
		t.Error("the newest text of a section counts")
	}
}

func TestOtherOutcomesReadWell(t *testing.T) {
	for name, change := range map[string]func(*Input){
		"It was closed by anna": func(in *Input) {
			in.Incident = must(t)(Close(in.Incident, by("anna", time.Hour), Closing{Reason: "all well", Accept: blockers(in.Incident, nil)}))
		},
		"did what it could: 4 of its 6 steps were done":   func(in *Input) { in.Rollback.Outcome, in.Rollback.Done = RollbackIncomplete, 4 },
		"was rolled back itself after 6 of its 6 steps":   func(in *Input) { in.Rollback.Outcome = RollbackUndone },
		"is under way: 6 of its 6 steps are done":         func(in *Input) { in.Rollback.Outcome = RollbackRunning },
		"has done 6 of its 6 steps":                       func(in *Input) { in.Rollback.Outcome = "sideways" },
		"Lost for good:\n\n- 3 changes":                   func(in *Input) { in.Rollback.Loss = []string{"3 changes"} },
		"Left for a person:\n\n- [ ] unlock the stack":    func(in *Input) { in.Rollback.Left = []string{"unlock the stack"} },
		"is not what the good revision makes of the same": func(in *Input) { in.Proof.Compared = ComparedDifferent },
		"was not compared with":                           func(in *Input) { in.Proof.Compared = ComparedNot },
		"is not known. Nobody said":                       func(in *Input) { in.Proof.Compared, in.Proof.Reason = "", "Nobody said." },
		"Nobody has compared":                             func(in *Input) { in.Proof = nil },
		"Nothing was rolled back.":                        func(in *Input) { in.Rollback = nil },
		"1 record in 1 collection (1 in lines) was":       func(in *Input) { in.Incident.Affected.Counts = []Count{{"lines", 1}} },
		"No record was affected, by":                      func(in *Input) { in.Incident.Affected.Counts = nil },
		", in version 41.":                                func(in *Input) { in.Incident.Affected.LastVersion = 41 },
		"had not decided for any key":                     func(in *Input) { in.Incident.Subject.Since = time.Time{} },
		"when it was told to stop is not known":           func(in *Input) { in.Incident.Marks = nil },
		"# receipts@2 Rollback - Post-Mortem":             func(in *Input) { in.Name = "" },
		"later events left out": func(in *Input) {
			in.Events = append(in.Events, nil)
			for i := range maxTimeline {
				in.Events[2] = append(in.Events[2], Event{At: at(time.Duration(i) * time.Second), What: "tick", Source: "x"})
			}
		},
	} {
		in := everything(t)
		change(&in)
		if text := NewReport(in).Markdown(); !strings.Contains(text, name) {
			t.Errorf("%q is not in\n%s", name, text)
		}
	}
}

func TestSecretsOfOtherLedgersDoNotGetIntoAReport(t *testing.T) {
	in := everything(t)
	in.Redact = redact.New("correct horse battery")
	in.Events = append(in.Events, []Event{{At: t0(), Who: "x", What: "correct horse battery", Link: "https://u:hunter2@host/x", Source: "plan"}})
	in.Rollback.Left = []string{"run with --token abcdef0123"}
	in.Proof.Reason = "secret=sesame1"
	in.Contacts.Support = "https://hooks.example.com/T0/verysecret"
	in.Checklist[0].Items[0].Void = "password: hunter2"
	r := NewReport(in)
	for _, text := range []string{r.Markdown(), html(t, r)} {
		for _, secret := range []string{"correct horse", "hunter2", "abcdef0123", "sesame1", "verysecret", "abcdef123"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in the report", secret)
			}
		}
	}
}

// hostile text in every place that a person or another program fills.
func TestTextCannotBecomeMarkup(t *testing.T) {
	const evil = "<script>alert(1)</script> [x](javascript:alert(1)) **b** `c` | d\n# heading\n- list\n![i](http://x/y.png) <!-- -->"
	o := verdict()
	o.Title, o.Reason, o.Actor, o.Analysis = evil, evil, evil, evil+"\n```\n# out"
	o.Findings[0].Guard, o.Findings[0].Reason, o.Findings[0].Link = evil, evil, "javascript:alert(1)"
	o.Subject.Step = evil
	in := Input{Incident: must(t)(Open(o, 1)), Now: t0(), Name: evil, Contacts: Contacts{TeamLead: evil}}
	in.Incident = must(t)(AddNote(in.Incident, by(evil, 0), SectionCause, evil))
	in.Incident = must(t)(AddLink(in.Incident, by("a", 0), Link{Kind: LinkOther, To: "https://x/><script>", Text: evil}))
	in.Checklist = []Group{{evil, []Item{{ID: "git.clean", Title: evil}}}}
	in.Proof = &Proof{Digests: []Digest{{evil, "a|b`c", "`<b>|"}, {"x", "1", ""}}}
	r := NewReport(in)
	page := html(t, r)
	for _, bad := range []string{"<script", "javascript:alert(1)\"", "<!-- -->", "<img", "<b>"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	before, log, fenced := strings.Cut(r.Markdown(), "````text\n")
	log, after, closed := strings.Cut(log, "\n````\n")
	if !fenced || !closed || !strings.Contains(log, "# out") {
		t.Fatal("a fence in a log closes the fence around it")
	}
	outside := before + after
	for _, bad := range []string{" <script", "x](javascript", "![i](", " **b**", "\n# heading", "\n- list"} {
		if strings.Contains(outside, bad) {
			t.Errorf("the Markdown has %q", bad)
		}
	}
	for l := range strings.SplitSeq(outside, "\n") {
		if strings.HasPrefix(l, "| ") && strings.Count(strings.ReplaceAll(l, `\|`, ""), "|") != 4 && strings.Contains(l, "script") {
			t.Errorf("a cell became two: %q", l)
		}
	}
}

func TestEscapingKeepsWhatIsReadable(t *testing.T) {
	for text, want := range map[string]string{
		"snake_case and receipts@2": "snake_case and receipts@2",
		"_emphasis_ *strong*":       `\_emphasis\_ \*strong\*`,
		"password=[redacted:token]": "password=[redacted:token]",
		"[redacted:token](x) [y]":   `\[redacted:token\](x) \[y\]`,
		"a & b &lt; &#60;":          `a & b \&lt; \&#60;`,
		"1. one 2. two":             `1\. one 2. two`,
		"# x - y":                   `\# x - y`,
		"- x":                       `\- x`,
		"IMAGE#a1#LINE#00007":       "IMAGE#a1#LINE#00007",
		"":                          "",
	} {
		if got := escape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]string{"a": "`a`", "a`b": "``a`b``", "`a": "`` `a ``"} {
		if got := code(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTheSameInputGivesTheSameReport(t *testing.T) {
	in := everything(t)
	want := NewReport(in).Markdown()
	rapid.Check(t, func(t *rapid.T) {
		in.Events = rapid.Permutation(in.Events).Draw(t, "events")
		if got := NewReport(in).Markdown(); got != want {
			t.Fatal(cmp.Diff(want, got))
		}
	})
}

func blockers(in Incident, groups []Group) []string {
	var ids []string
	for _, b := range in.Blocking(groups) {
		ids = append(ids, b.ID)
	}
	return ids
}

func TestThePageIsWellFormed(t *testing.T) {
	dec := xml.NewDecoder(strings.NewReader(html(t, NewReport(everything(t)))))
	dec.Strict, dec.AutoClose, dec.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	seen := map[string]int{}
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			seen[tok.Name.Local]++
		case xml.CharData:
			if bytes.Contains(tok, []byte("<ul")) || bytes.Contains(tok, []byte("</")) {
				t.Errorf("a tag was escaped: %q", tok)
			}
		}
	}
	for tag, least := range map[string]int{"h1": 1, "h2": 18, "ul": 8, "ol": 1, "li": 30, "table": 4, "pre": 1, "a": 2} {
		if seen[tag] < least {
			t.Errorf("%d <%s>, want at least %d", seen[tag], tag, least)
		}
	}
	if seen["script"] > 0 {
		t.Error("the page runs a script")
	}
}
