package incident

import (
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"strings"

	"lockstep/internal/lockstep"
)

//go:embed report.gohtml
var reportTemplate string

// html renders the page as one file that needs no other, runs no script and prints
// well. The template escapes every text.
func (p page) html() (string, error) {
	t, err := template.New("report").Funcs(template.FuncMap{
		"address": isAddress,
		"lines":   func(s string) []string { return strings.Split(s, "\n") },
	}).Parse(reportTemplate)
	if err != nil {
		return "", fmt.Errorf("parse the report's template: %w: %w", lockstep.ErrInvalid, err)
	}
	var b strings.Builder
	if err := t.Execute(&b, p); err != nil {
		return "", fmt.Errorf("render the report: %w: %w", lockstep.ErrInvalid, err)
	}
	return b.String(), nil
}
