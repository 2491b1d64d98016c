package pypackage

import (
	"strings"
)

// What follows makes commands for people to type. Nothing here is run.

func shown(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = quoted(a)
	}
	return strings.Join(out, " ")
}

// quoted is a word as a shell reads it.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:+@,", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// manualRemoval is what a person types to do the step.
func manualRemoval(p params) string {
	lines := []string{"cd " + quoted(p.Root)}
	if len(p.Directories) > 0 {
		lines = append(lines, "mkdir -p "+quoted(p.aside()), "mv "+shown(p.Directories)+" "+quoted(p.aside()))
	}
	if p.InitHash != "" {
		lines = append(lines, "git checkout <rollback point> -- "+quoted(p.Init))
	}
	lines = append(lines, shown(p.command()))
	for _, m := range p.MustImport {
		lines = append(lines, shown([]string{p.Python, "-c", importLine(m)}))
	}
	for _, m := range p.MustFail {
		lines = append(lines, "! "+shown([]string{p.Python, "-c", importLine(m)}))
	}
	return strings.Join(lines, "\n")
}

// manualRestore is what a person types to take it back.
func manualRestore(p params) string {
	lines := []string{"cd " + quoted(p.Root)}
	for _, m := range p.Moves {
		lines = append(lines, "mv "+quoted(m.Slot)+" "+quoted(m.Path))
	}
	if p.InitBefore != nil {
		lines = append(lines, "git checkout <release> -- "+quoted(p.Init))
	}
	return strings.Join(append(lines, shown(p.command())), "\n")
}

func importLine(entry string) string {
	if module, name, ok := strings.Cut(entry, ":"); ok {
		return "from " + module + " import " + name
	}
	return "import " + entry
}
