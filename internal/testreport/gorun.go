package testreport

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// goRun gathers what go test says, from text or from JSON.
type goRun struct {
	r        *Report
	packages map[string]*goPackage
	quiet    int // packages that are ok and name no test
}

type goPackage struct {
	name  string
	tests map[string]*goTest
	said  said // what belongs to no test
	ended string
	build said // what the compiler said
}

// goTest is one test, subtest, example or fuzz target.
type goTest struct {
	name   string
	result string // "pass", "fail", "skip"; "": it has not ended
	said   said
	took   string
}

// said keeps the beginning of an output: that is where a test says what is wrong.
type said struct{ text []byte }

const maxSaid = 2 * maxMessage

func (s *said) add(text string) {
	s.text = append(s.text, text[:min(len(text), maxSaid-min(maxSaid, len(s.text)))]...)
}

// maxTests bounds what is remembered of a run.
const maxTests = 200_000

func newGoRun() *goRun {
	return &goRun{r: &Report{Format: Go}, packages: map[string]*goPackage{}}
}

func (g *goRun) at(name string) *goPackage {
	p := g.packages[name]
	if p == nil {
		p = &goPackage{name: name, tests: map[string]*goTest{}}
		g.packages[name] = p
	}
	return p
}

func (p *goPackage) test(name string) *goTest {
	t := p.tests[name]
	if t == nil {
		t = &goTest{name: name}
		if len(p.tests) < maxTests {
			p.tests[name] = t
		}
	}
	return t
}

var (
	goPlace  = regexp.MustCompile(`(?m)^\s*(\S+\.go):(\d+):`)          // t.Error and compilers
	goFrame  = regexp.MustCompile(`(?m)^\s+(\S+_test\.go):(\d+) \+0x`) // a stack
	goPanic  = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*)$`)
	goDead   = regexp.MustCompile(`(?m)^panic: test timed out after (\S+)$`)
	goHung   = regexp.MustCompile(`(?m)^\t\t(\S+) \([^)]*\)$`) // below "running tests:"
	goRacing = regexp.MustCompile(`(?m)^WARNING: DATA RACE$`)
)

// end works out the package's result when nothing more will come of it.
func (g *goRun) end(p *goPackage) {
	stack := string(p.said.text)
	blamed := p.blamed()
	for _, name := range slices.Sorted(maps.Keys(p.tests)) {
		t := p.tests[name]
		switch t.result {
		case "pass":
			g.r.Counts.Passed++
		case "skip":
			g.r.Counts.Skipped++
		case "fail":
			f := p.failure(t)
			// One that failed for its subtests alone says nothing of its own.
			if !blamed[name] || f.Line > 0 || goPanic.Match(t.said.text) {
				g.r.fail(f)
			}
		default:
			if p.ended == "pass" { // an older go, or a test that hides its end in a line of its own
				g.r.note("%s::%s has no result of its own; its package passed", p.name, name)
				g.r.Counts.Passed++
				continue
			}
			if blamed[name] {
				continue // a parent of what did not finish
			}
			f := p.failure(t)
			f.Error = true
			if f.Message == "" {
				f.Message = "it did not finish\n" + stack
			}
			g.r.fail(f)
			g.r.stop("%s did not finish", f.ID)
		}
	}
	for _, text := range append([]string{stack}, p.texts()...) {
		if m := goDead.FindStringSubmatch(text); m != nil {
			g.r.Stopped = ""
			g.r.stop("%s: test timed out after %s", p.name, m[1])
		} else if m := goPanic.FindString(text); m != "" && p.ended == "fail" {
			g.r.stop("%s: %s", p.name, m)
		}
		if goRacing.MatchString(text) {
			g.r.note("data race in %s", p.name)
		}
	}
	g.whole(p)
}

// whole reports the failure of a package that names no test for it.
func (g *goRun) whole(p *goPackage) {
	if p.ended == "" {
		g.r.stop("the output ends before %s does", p.name)
		return
	}
	if p.ended != "fail" || p.unwell() {
		return
	}
	f := Failure{ID: p.name, Error: true, Message: string(p.said.text)}
	if len(p.build.text) > 0 {
		f.Message = string(p.build.text)
	}
	if m := goDead.FindStringSubmatch(f.Message); m != nil {
		if hung := goHung.FindStringSubmatch(f.Message); hung != nil {
			f.ID, f.Error = p.name+"::"+hung[1], false
		}
	}
	f.place()
	g.r.fail(f)
	g.r.stop("%s ended before its tests did", p.name)
}

// unwell says whether the package has a failure with a name.
func (p *goPackage) unwell() bool {
	for _, t := range p.tests {
		if t.result == "fail" || t.result == "" {
			return true
		}
	}
	return false
}

func (p *goPackage) texts() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.tests)) {
		if t := p.tests[name]; t.result == "fail" || t.result == "" {
			out = append(out, string(t.said.text))
		}
	}
	return out
}

// blamed lists the tests that have a subtest which failed or did not finish.
func (p *goPackage) blamed() map[string]bool {
	out := map[string]bool{}
	for name, t := range p.tests {
		if t.result != "fail" && t.result != "" {
			continue
		}
		for i := strings.LastIndexByte(name, '/'); i >= 0 && !out[name[:i]]; i = strings.LastIndexByte(name[:i], '/') {
			out[name[:i]] = true
		}
	}
	return out
}

func (p *goPackage) failure(t *goTest) Failure {
	f := Failure{ID: p.name + "::" + t.name, Duration: seconds(t.took), Message: plainGo(string(t.said.text))}
	f.place()
	return f
}

// place finds the file and the line in the message.
func (f *Failure) place() {
	m := goPlace.FindStringSubmatch(f.Message)
	if m == nil {
		m = goFrame.FindStringSubmatch(f.Message)
	}
	if m != nil {
		f.File = m[1]
		f.Line, _ = strconv.Atoi(m[2]) // digits; 0 when there are far too many
	}
}

// plainGo removes the lines with which go test frames the words of a test.
func plainGo(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		switch trimmed := strings.TrimSpace(line); {
		case strings.HasPrefix(trimmed, "=== "), goResult.MatchString(strings.TrimRight(line, "\r\n")):
		default:
			out.WriteString(strings.TrimPrefix(line, "    "))
		}
	}
	return strings.TrimSpace(out.String())
}

// report closes the run.
func (g *goRun) report() *Report {
	for _, name := range slices.Sorted(maps.Keys(g.packages)) {
		g.end(g.packages[name])
	}
	if g.quiet > 0 {
		g.r.note("%d packages are ok and name no test (no -v): each counts as one that passed", g.quiet)
		g.r.Counts.Passed += g.quiet
	}
	return g.r.close()
}
