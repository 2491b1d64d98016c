package incident

// Contacts are whom to turn to when a rollback fails, as configured.
type Contacts struct {
	TeamLead string
	Runbook  string
	Support  string
	Undo     string // the command that rolls the rollback back; empty: nothing was rolled back
}

// Escalation is one step of the document's "Emergency Contact".
type Escalation struct {
	Title string
	Text  string
	Known bool // false: nobody has configured it
}

// Escalate returns the steps in the document's order. One that nobody configured is
// listed as well, so that its absence is seen before it is needed.
func (c Contacts) Escalate() []Escalation {
	step := func(title, text, missing string) Escalation {
		if text == "" {
			return Escalation{Title: title, Text: missing}
		}
		return Escalation{Title: title, Text: text, Known: true}
	}
	return []Escalation{
		step("Escalate to team lead", c.TeamLead, "nobody is configured"),
		step("Check runbook", c.Runbook, "none is configured"),
		step("AWS support, for infrastructure issues", c.Support, "no contact is configured"),
		step("Rollback the rollback", c.Undo, "nothing was rolled back"),
	}
}
