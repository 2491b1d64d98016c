package rollback

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstep/internal/lockstep"
)

func TestAPlanThatCannotBeCarriedOutIsRefused(t *testing.T) {
	whole := func() Plan {
		return planOf(in(PhaseFlag, move("flag", "on", "off")), move("git", "", "old", "flag"), in(PhaseWatch, move("watch", "", "well")))
	}
	if p := whole(); p.Check() != nil {
		t.Fatal(p.Check())
	}
	long := strings.Repeat("x", maxPlan)
	for _, c := range []struct {
		name   string
		change func(p *Plan)
		says   string
	}{
		{"no id", func(p *Plan) { p.ID = "" }, "want 1 to 63"},
		{"an id with a slash", func(p *Plan) { p.ID = "dev/1" }, "want 1 to 63"},
		{"a long id", func(p *Plan) { p.ID = strings.Repeat("a", 64) }, "want 1 to 63"},
		{"nobody", func(p *Plan) { p.By = "" }, "somebody who asks"},
		{"a long name", func(p *Plan) { p.By = long }, "somebody who asks"},
		{"no time", func(p *Plan) { p.At = time.Time{} }, "and when"},
		{"no steps", func(p *Plan) { p.Steps = nil }, "it has 0"},
		{"too many steps", func(p *Plan) {
			for i := range MaxSteps {
				p.Steps = append(p.Steps, in(PhaseWatch, move(fmt.Sprint("w", i), "", "x")))
			}
		}, "it has 67"},
		{"an unknown scenario", func(p *Plan) { p.Scenario = "night" }, `scenario "night": want pre-deploy, dev or prod`},
		{"no procedure", func(p *Plan) { p.Procedure = "" }, "want quick or full"},
		{"it takes itself back", func(p *Plan) { p.Undoes = "dev-1" }, "take \"dev-1\" back"},
		{"it takes nothing back", func(p *Plan) { p.Undoes = "no plan" }, "take \"no plan\" back"},
		{"too long", func(p *Plan) { p.Notes = []string{long} }, "at most 2097152"},
		{"a step without a name", func(p *Plan) { p.Steps[1].ID = "" }, "step 2, \"\": invalid: want an id"},
		{"a name of two words", func(p *Plan) { p.Steps[1].ID = "a b" }, "want an id"},
		{"two of one name", func(p *Plan) { p.Steps[1].ID = "flag" }, "another one has that id"},
		{"no target", func(p *Plan) { p.Steps[1].Target = "" }, "want a target"},
		{"no title", func(p *Plan) { p.Steps[1].Title = "" }, "want a target and a title"},
		{"a long title", func(p *Plan) { p.Steps[1].Title = long[:maxText+1] }, "too long"},
		{"long parameters", func(p *Plan) { p.Steps[1].Params = json.RawMessage(`"` + long[:maxParams] + `"`) }, "too long"},
		{"parameters that are none", func(p *Plan) { p.Steps[1].Params = json.RawMessage(`{"a"`) }, "no JSON"},
		{"no end", func(p *Plan) { p.Steps[1].To = "" }, "two ends that differ"},
		{"one end", func(p *Plan) { p.Steps[1].From = "old" }, "two ends that differ"},
		{"a half end", func(p *Plan) { p.Steps[1].To = Partial }, `are not "partial"`},
		{"an unknown phase", func(p *Plan) { p.Steps[1].Phase = "lunch" }, `unknown phase "lunch"`},
		{"phases out of order", func(p *Plan) { p.Steps[2].Phase = PhaseFlag }, "its phase, flag, comes before"},
		{"it needs what comes later", func(p *Plan) { p.Steps[0].Needs = []string{"git"} }, `needs "git", which is no step before it`},
		{"it needs itself", func(p *Plan) { p.Steps[1].Needs = []string{"git"} }, `needs "git"`},
		{"a time that is over", func(p *Plan) { p.Steps[1].Deadline = -1 }, "negative"},
		{"a negative prediction", func(p *Plan) { p.Steps[1].Predicted = -1 }, "negative"},
	} {
		p := whole()
		c.change(&p)
		if err := p.Check(); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %.300v", c.name, err)
		}
	}
	p := whole()
	p.Undoes, p.Steps[2].Phase = "dev-0", PhaseFlag
	if err := p.Check(); err != nil {
		t.Errorf("an undo has its phases backwards: %v", err)
	}
}

func TestTheBudgetsOfTheDocument(t *testing.T) {
	for _, c := range []struct {
		scenario  Scenario
		procedure Procedure
		want      time.Duration
	}{
		{PreDeploy, Quick, 10 * time.Minute},
		{PreDeploy, Full, 10 * time.Minute},
		{Dev, Quick, 10 * time.Minute},
		{Dev, Full, 15 * time.Minute},
		{Prod, Quick, 10 * time.Minute},
		{Prod, Full, time.Hour},
	} {
		if got := Budget(c.scenario, c.procedure); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.scenario, c.procedure, got, c.want)
		}
		if c.scenario.Impact() == "" {
			t.Errorf("%s has no impact", c.scenario)
		}
	}
	if Scenario("night").Impact() != "" {
		t.Error("an impact of what is no scenario")
	}
}

func TestAPlanSaysWhatItTakesAndWhatIsLost(t *testing.T) {
	p := planOf(move("a", "", "x"), move("b", "", "x"))
	if p.Predicted() != 0 || p.Loss() != nil || !p.Takes("mover") || p.Takes("git") {
		t.Errorf("%s %v", p.Predicted(), p.Loss())
	}
	p.Steps[0].Predicted, p.Steps[1].Predicted = time.Minute, time.Second
	p.Steps[0].Loss, p.Steps[1].Loss = []string{"one"}, []string{"two", "three"}
	if p.Predicted() != 61*time.Second || strings.Join(p.Loss(), " ") != "one two three" {
		t.Errorf("%s %v", p.Predicted(), p.Loss())
	}
}
