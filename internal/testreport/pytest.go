package testreport

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

var (
	// The last line of a run, with or without its frame of "=".
	pytestEnd = regexp.MustCompile(`^(?:=+ )?((?:\d+ [a-z]+(?: [a-z]+)?, )*\d+ [a-z]+(?: [a-z]+)?|no tests ran) in ([\d.]+) ?s(?:econds)?(?: \([^)]*\))?(?: =+)?$`)
	// What -qq leaves: one letter a test.
	pytestDots    = regexp.MustCompile(`^([.FEsxX]+)\s*\[\s*\d+%\]$`)
	pytestHeader  = regexp.MustCompile(`^=+ test session starts =+$`)
	pytestSummary = regexp.MustCompile(`^=+ short test summary info =+$`)
	pytestNamed   = regexp.MustCompile(`^(?:FAILED|ERROR|SUBFAILED\S*(?: \([^)]*\))?) (\S.*)$`)
	pytestVerbose = regexp.MustCompile(`^(\S.*?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS|SUBFAILED\S*)(?: \(.*\))?\s*(?:\[\s*\d+%\])?$`)
	pytestBegun   = regexp.MustCompile(`^(\S+\.py::\S.*?) \++ Timeout \++$`)
	pytestBreak   = regexp.MustCompile(`^!{3,} (.+) !{3,}$`)
	pytestSection = regexp.MustCompile(`^_{3,} (.+) _{3,}$`)
	pytestBar     = regexp.MustCompile(`^={3,} (.+) ={3,}$`)
	pytestPlace   = regexp.MustCompile(`^(\S.*?\.\w+):(\d+): \S`)
	pytestUsage   = regexp.MustCompile(`^(?:collecting \.\.\. )?ERROR: (.+)$`)
)

// pytestRun is what is known half-way through an output.
type pytestRun struct {
	r        *Report
	seen     bool // something that only pytest prints
	ended    int  // last lines
	sessions int
	inShort  bool
	dots     Counts
	short    []Failure // by the short summary
	verbose  []Failure // by the lines of -v
	sections []pytestText
	current  *pytestText // being read
	internal string      // the last line of an internal error
	usage    string      // what is wrong with the command; a test may print such a line too
}

// pytestText is the section of one failure.
type pytestText struct {
	title   string // "TestLines.test_count[2]", "ERROR collecting tests/test_merge.py"
	file    string
	line    int
	message strings.Builder
	used    bool
}

// ParsePytest reads the text that pytest prints, from -qq to -v. ErrInvalid: nothing of it
// is pytest's.
func ParsePytest(text []byte) (*Report, error) {
	p := &pytestRun{r: &Report{Format: Pytest}}
	for line := range bytes.Lines(text) {
		p.read(strings.TrimRight(string(line), " \r\n"))
	}
	if !p.seen {
		return nil, unreadable("pytest output", "neither its first nor its last line is there")
	}
	p.finish()
	return p.r.close(), nil
}

func (p *pytestRun) read(line string) {
	if len(line) > 4*maxMessage { // no line of pytest's own is that long
		line = line[:4*maxMessage]
	}
	if rest, ok := strings.CutPrefix(line, "INTERNALERROR> "); ok {
		p.seen, p.internal = true, rest
		return
	}
	switch {
	case pytestHeader.MatchString(line):
		p.seen, p.inShort, p.current = true, false, nil
		p.sessions++
	case pytestSummary.MatchString(line):
		p.seen, p.inShort, p.current = true, true, nil
	case p.end(line), p.stopped(line), p.shortLine(line), p.section(line):
	case p.current != nil:
		p.current.read(line)
	default:
		p.progress(line)
	}
}

// end reads a last line. Several are several runs, and count together.
func (p *pytestRun) end(line string) bool {
	m := pytestEnd.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	p.seen, p.inShort, p.current = true, false, nil
	p.ended++
	p.r.Duration += seconds(m[2])
	if m[1] == "no tests ran" {
		return true
	}
	for part := range strings.SplitSeq(m[1], ", ") {
		count, what, _ := strings.Cut(part, " ")
		n, err := strconv.Atoi(count)
		if err != nil {
			p.r.note("a number that cannot be read: %.60q", part)
			p.r.stop("its last line cannot be read")
			continue
		}
		switch what {
		case "passed", "xpassed", "subtests passed":
			p.r.Counts.Passed += n
		case "failed", "subtests failed":
			p.r.Counts.Failed += n
		case "error", "errors":
			p.r.Counts.Errors += n
		case "skipped", "xfailed", "subtests skipped":
			p.r.Counts.Skipped += n
		case "deselected":
			p.r.note("%d tests were deselected", n)
		}
	}
	return true
}

// stopped reads what says that tests were left out.
func (p *pytestRun) stopped(line string) bool {
	if m := pytestBegun.FindStringSubmatch(line); m != nil {
		p.seen = true
		p.verbose = append(p.verbose, Failure{ID: m[1], Message: "Timeout: it ended the whole run"})
		p.r.stop("%s took too long and ended the run", m[1])
		return true
	}
	if m := pytestBreak.FindStringSubmatch(line); m != nil {
		p.r.stop("%s", m[1])
		return true
	}
	return false
}

// shortLine reads one line of the short summary.
func (p *pytestRun) shortLine(line string) bool {
	if !p.inShort {
		return false
	}
	if m := pytestNamed.FindStringSubmatch(line); m != nil {
		id, message := splitNamed(m[1])
		p.short = keep(p.short, Failure{ID: id, Message: message, Error: strings.HasPrefix(line, "ERROR")})
	}
	return true
}

// splitNamed separates the id from the message; a parameter in brackets may hold " - ".
func splitNamed(text string) (id, message string) {
	from := 0
	if open := strings.IndexByte(text, '['); open >= 0 && open < indexOr(text, " - ", len(text)) {
		if end := strings.Index(text[open:], "] - "); end >= 0 {
			from = open + end
		} else if strings.HasSuffix(text, "]") {
			return text, ""
		}
	}
	if i := strings.Index(text[from:], " - "); i >= 0 {
		return text[:from+i], text[from+i+len(" - "):]
	}
	return text, ""
}

// keep bounds what is remembered; a report names fewer anyway.
func keep(list []Failure, f Failure) []Failure {
	if len(list) >= 4*MaxFailures {
		return list
	}
	return append(list, f)
}

func indexOr(text, sep string, other int) int {
	if i := strings.Index(text, sep); i >= 0 {
		return i
	}
	return other
}

// section begins the text of a failure, or ends the last one.
func (p *pytestRun) section(line string) bool {
	if m := pytestSection.FindStringSubmatch(line); m != nil {
		if len(p.sections) < 4*MaxFailures {
			p.sections = append(p.sections, pytestText{title: m[1]})
			p.current = &p.sections[len(p.sections)-1]
		}
		return true
	}
	if pytestBar.MatchString(line) {
		p.current = nil
		return true
	}
	return false
}

func (s *pytestText) read(line string) {
	if rest, ok := strings.CutPrefix(line, "E  "); ok && s.message.Len() < maxMessage {
		s.message.WriteString(strings.TrimSpace(rest) + "\n")
	}
	if m := pytestPlace.FindStringSubmatch(line); m != nil {
		s.file = m[1]
		s.line, _ = strconv.Atoi(m[2]) // digits; 0 when there are far too many
	}
}

// progress reads what is printed while tests run.
func (p *pytestRun) progress(line string) {
	if m := pytestDots.FindStringSubmatch(line); m != nil {
		p.seen = true
		for _, c := range m[1] {
			switch c {
			case '.', 'X':
				p.dots.Passed++
			case 'F':
				p.dots.Failed++
			case 'E':
				p.dots.Errors++
			case 's', 'x':
				p.dots.Skipped++
			}
		}
		return
	}
	if m := pytestVerbose.FindStringSubmatch(line); m != nil && strings.Contains(m[1], ".py") {
		switch m[2] {
		case "PASSED", "XPASS":
			p.dots.Passed++
		case "SKIPPED", "XFAIL":
			p.dots.Skipped++
		case "ERROR":
			p.dots.Errors++
			p.verbose = keep(p.verbose, Failure{ID: m[1], Error: true})
		default:
			p.dots.Failed++
			p.verbose = keep(p.verbose, Failure{ID: m[1]})
		}
		return
	}
	if m := pytestUsage.FindStringSubmatch(line); m != nil {
		p.seen = p.seen || strings.Contains(line, "pytest")
		p.usage = m[1]
	}
}

// finish puts the parts together.
func (p *pytestRun) finish() {
	r := p.r
	named := p.short
	if len(named) == 0 {
		named = p.verbose
	}
	switch {
	case p.ended == 0:
		r.Counts = p.dots
		if p.sessions > 0 { // with -qq there is neither a first line nor a last one
			r.stop("it ended before its last line")
		}
	case p.sessions > p.ended:
		r.stop("%d runs began and %d ended", p.sessions, p.ended)
	}
	for _, f := range named {
		p.locate(&f)
		r.name(f)
	}
	// More names than the last line counts: believe both.
	r.Counts.atLeast(named)
	if p.internal != "" {
		r.Stopped = "" // this reason comes first
		r.stop("internal error")
		r.fail(Failure{ID: "pytest", Error: true, Message: "internal error: " + p.internal})
	}
	if p.usage != "" && r.Counts.Passed+r.Counts.Bad() == 0 {
		r.stop("%s", p.usage)
	}
}

// atLeast raises the counts to what has a name.
func (c *Counts) atLeast(named []Failure) {
	var n Counts
	for _, f := range named {
		if f.Error {
			n.Errors++
		} else {
			n.Failed++
		}
	}
	c.Failed, c.Errors = max(c.Failed, n.Failed), max(c.Errors, n.Errors)
}

// locate finds the section of a failure: by its title, and among several by the file.
func (p *pytestRun) locate(f *Failure) {
	file, name, _ := strings.Cut(f.ID, "::")
	f.File = file
	best := -1
	for i := range p.sections {
		s := &p.sections[i]
		if s.used || !s.isOf(file, name) {
			continue
		}
		if best < 0 || s.file == file && p.sections[best].file != file {
			best = i
		}
	}
	if best < 0 {
		return
	}
	s := &p.sections[best]
	s.used = true
	if s.file != "" {
		f.File, f.Line = s.file, s.line
	}
	if text := strings.TrimSpace(s.message.String()); text != "" {
		f.Message = text
	}
}

// isOf says whether the section is that of a test, or, without a name, of a whole file.
func (s *pytestText) isOf(file, name string) bool {
	if name == "" {
		return s.title == "ERROR collecting "+file
	}
	plain, parameter, has := strings.Cut(name, "[")
	title := strings.ReplaceAll(plain, "::", ".")
	if has {
		title += "[" + parameter
	}
	return s.title == title || s.title == "ERROR at setup of "+title || s.title == "ERROR at teardown of "+title ||
		strings.HasPrefix(s.title, title+" [") // a subtest
}
