package testreport

import (
	"bytes"
	"regexp"
	"strings"
)

var (
	goResult  = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)$`)
	goRunning = regexp.MustCompile(`^=== (?:RUN|CONT|NAME|PAUSE)\s+(\S+)$`)
	goOK      = regexp.MustCompile(`^ok  \t(\S+)\t(\([a-z]+\)|[\d.]+s)(.*)$`)
	goFail    = regexp.MustCompile(`^FAIL\t(\S+)(?:\t([\d.]+)s|\s+\[(build failed|setup failed)\])`)
	goNothing = regexp.MustCompile(`^\?   \t(\S+)\t\[no test files\]$|^\t(\S+)\t\tcoverage: `)
	goBuild   = regexp.MustCompile(`^# (\S+)(?: \[\S+\])?$`)
)

// goText reads the text of go test line by line. A package is named at its end only, so
// what comes before waits under no name.
type goText struct {
	run     *goRun
	seen    bool
	open    *goPackage // whose name is not known yet
	current *goTest
	builds  map[string]*said // what the compiler said, by package
	build   *said
}

// ParseGoText reads the text that go test prints, with -v or without. ErrInvalid: nothing
// of it is go test's. Without -v a package that is ok counts as one passed test.
func ParseGoText(text []byte) (*Report, error) {
	g := &goText{run: newGoRun(), open: &goPackage{tests: map[string]*goTest{}}, builds: map[string]*said{}}
	for line := range bytes.Lines(text) {
		g.read(strings.TrimRight(string(line), "\r\n"))
	}
	if !g.seen {
		return nil, unreadable("go test output", "it has neither a test nor a package")
	}
	if g.openHas() {
		g.run.packages["unknown"] = g.open
		g.open.name = "unknown"
	}
	return g.run.report(), nil
}

func (g *goText) openHas() bool {
	return len(g.open.tests) > 0
}

func (g *goText) read(line string) {
	if m := goResult.FindStringSubmatch(line); m != nil {
		g.seen, g.build = true, nil
		t := g.open.test(m[2])
		t.result, t.took = strings.ToLower(m[1]), m[3]
		g.current = t
		return
	}
	if m := goRunning.FindStringSubmatch(line); m != nil {
		g.seen, g.build = true, nil
		g.current = g.open.test(m[1])
		return
	}
	if m := goBuild.FindStringSubmatch(line); m != nil {
		if g.builds[m[1]] == nil {
			g.builds[m[1]] = &said{}
		}
		g.build = g.builds[m[1]]
		return
	}
	if g.packageLine(line) {
		g.current, g.build = nil, nil
		return
	}
	switch {
	case line == "FAIL", line == "PASS":
		g.current = nil
	case g.build != nil:
		g.build.add(line + "\n")
	case goPanic.MatchString(line), goRacing.MatchString(line):
		// It may name a test of its own, and belongs to the package in any case.
		g.open.said.add(line + "\n")
		fallthrough
	case g.current != nil:
		if g.current != nil {
			g.current.said.add(line + "\n")
			return
		}
	default:
		g.open.said.add(line + "\n")
	}
}

// packageLine reads the line that ends a package.
func (g *goText) packageLine(line string) bool {
	if m := goOK.FindStringSubmatch(line); m != nil {
		if len(g.open.tests) == 0 && !strings.Contains(m[3], "[no tests to run]") {
			g.run.quiet++
		}
		g.took(m[2])
		g.close(m[1], "pass")
		return true
	}
	if m := goFail.FindStringSubmatch(line); m != nil {
		g.took(m[2] + "s")
		if b := g.builds[m[1]]; b != nil && m[3] != "" {
			g.open.build = *b
		}
		g.close(m[1], "fail")
		return true
	}
	if m := goNothing.FindStringSubmatch(line); m != nil {
		g.seen = true
		return true
	}
	return false
}

func (g *goText) took(text string) {
	g.run.r.Duration += seconds(strings.TrimSuffix(text, "s"))
}

// close gives the open package its name and opens the next.
func (g *goText) close(name, result string) {
	g.seen = true
	g.open.name, g.open.ended = name, result
	if old := g.run.packages[name]; old != nil { // -count or a second run of the same
		g.run.end(old)
	}
	g.run.packages[name] = g.open
	g.open = &goPackage{tests: map[string]*goTest{}}
}
