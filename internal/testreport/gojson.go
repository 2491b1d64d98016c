package testreport

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// goEvent is one line of go test -json, as cmd/test2json documents it.
type goEvent struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// ParseGoJSON reads what go test -json prints. Lines that are no event are passed over:
// the go command and make print such. ErrInvalid: no line is an event.
func ParseGoJSON(text []byte) (*Report, error) {
	g := newGoRun()
	builds := map[string]*said{}
	seen := false
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if !bytes.HasPrefix(line, []byte("{")) || len(line) > 1<<20 {
			continue
		}
		var e goEvent
		if json.Unmarshal(line, &e) != nil || e.Action == "" || e.Package == "" && e.ImportPath == "" {
			continue
		}
		seen = true
		if strings.HasPrefix(e.Action, "build-") {
			if builds[e.ImportPath] == nil {
				builds[e.ImportPath] = &said{}
			}
			builds[e.ImportPath].add(e.Output)
			continue
		}
		g.event(e, builds)
	}
	if !seen {
		return nil, unreadable("go test -json output", "no line is an event")
	}
	return g.report(), nil
}

func (g *goRun) event(e goEvent, builds map[string]*said) {
	p := g.at(e.Package)
	if e.Test != "" {
		t := p.test(e.Test)
		switch e.Action {
		case "output":
			t.said.add(e.Output)
			if goPanic.MatchString(strings.TrimRight(e.Output, "\n")) {
				p.said.add(e.Output)
			}
		case "pass", "fail", "skip":
			t.result, t.took = e.Action, strconv.FormatFloat(e.Elapsed, 'f', -1, 64)
			if e.Action != "fail" {
				t.said = said{} // nobody asks any more
			}
		}
		return
	}
	switch e.Action {
	case "output":
		if !goFraming(e.Output) {
			p.said.add(e.Output)
		}
	case "pass", "fail", "skip":
		p.ended = e.Action
		g.r.Duration += seconds(strconv.FormatFloat(e.Elapsed, 'f', -1, 64))
		if b := builds[e.FailedBuild]; b != nil {
			p.build = *b
		}
	}
}

// goFraming says whether a line is the go command's own.
func goFraming(line string) bool {
	line = strings.TrimRight(line, "\n")
	return line == "PASS" || line == "FAIL" || goOK.MatchString(line) || goFail.MatchString(line) || goNothing.MatchString(line)
}
