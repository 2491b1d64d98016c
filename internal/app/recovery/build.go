package recovery

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lockstep/internal/revert"
	"lockstep/internal/rollback"
)

// builder makes the steps of one plan.
type builder struct {
	*Assembly
	facts   rollback.Facts
	who     suspicion
	outline rollback.Outline
	plan    rollback.Plan
	part    rollback.Part
	git     gitPoint
	ids     map[string][]string // of the steps of a target
}

// Plan works out the cheapest safe way back and returns it; nothing is stored and nothing
// is changed. What is asked for and cannot be planned, such as a repository that is not
// there, becomes a step for a person: the rest of a rollback goes on without it.
// ErrRefused: there is nothing to roll back, or what is asked for cannot be done.
func (a *Assembly) Plan(ctx context.Context, id string, req Request) (rollback.Plan, error) {
	facts, who, err := a.Gather(ctx, req)
	if err != nil {
		return rollback.Plan{}, err
	}
	outline, err := rollback.Choose(facts, req.Request)
	if err != nil {
		return rollback.Plan{}, err
	}
	b := &builder{Assembly: a, facts: facts, who: who, outline: outline, ids: map[string][]string{}}
	b.plan = rollback.Plan{
		ID: id, Environment: a.Config.Environment, Scenario: outline.Scenario, Procedure: outline.Procedure, Bad: facts.Bad,
		To: outline.To, Release: facts.Release, Incident: req.Incident,
		By: req.By, Reason: req.Reason, At: a.Now().UTC(), Notes: outline.Notes(), Escalation: a.escalation(id),
	}
	if b.plan.Reason == "" {
		b.plan.Reason = "none given"
	}
	for _, part := range outline.Parts {
		b.part = part
		if err := b.add(ctx, part.Target); err != nil {
			return rollback.Plan{}, err
		}
	}
	return b.plan, b.plan.Check()
}

// needs are the steps of the targets that the part at hand rests on.
func (b *builder) needs() []string {
	var out []string
	for _, target := range b.part.Needs {
		if target == TargetTests {
			for _, s := range b.suites().Suites {
				if *s.Blocking {
					out = append(out, "tests-"+s.Name)
				}
			}
			continue
		}
		out = append(out, b.ids[target]...)
	}
	return out
}

// escalation is whom a stuck rollback names, in the order of the document.
func (a *Assembly) escalation(id string) []string {
	var out []string
	for _, c := range a.Config.Rollback.Escalation {
		out = append(out, strings.Trim(fmt.Sprintf("%s: %s, %s", c.Role, c.Name, c.Contact), ": ,"))
	}
	return append(out, "or roll the rollback back: lockstep rollback undo "+id)
}

// has says whether the plan has a step of that id.
func (b *builder) has(id string) bool {
	return slices.ContainsFunc(b.plan.Steps, func(s rollback.Step) bool { return s.ID == id })
}

// put adds the steps of the part at hand.
func (b *builder) put(steps ...rollback.Step) {
	for _, s := range steps {
		s.Needs = slices.DeleteFunc(slices.Clone(s.Needs), func(n string) bool { return !b.has(n) })
		if s.Predicted == 0 {
			s.Predicted = b.part.Predicted
		}
		b.plan.Steps = append(b.plan.Steps, s)
		b.ids[b.part.Target] = append(b.ids[b.part.Target], s.ID)
	}
}

func (b *builder) add(ctx context.Context, target string) error {
	switch target {
	case TargetFlag:
		return b.step(FlagStep(b.facts.Bad, b.who.good, b.reason()))
	case TargetQuarantine:
		return b.step(QuarantineStep(b.facts.Bad, b.reason()))
	case TargetIndex:
		s, err := b.index()
		return b.step(s, err)
	case TargetProof:
		s := ProofStep(b.last())
		s.Predicted = predict(b.facts.Since.Messages)
		b.put(s)
	case TargetFollower:
		b.put(FollowerStep(TargetIndex))
	case TargetWatch:
		w := b.Config.Rollback.Watch
		return b.step(WatchStep(b.facts.Bad, w.For, w.Every, b.needs()...))
	case TargetGit, TargetPackage, TargetImports, TargetTests, TargetDeploy:
		return b.codeStep(ctx, target)
	case TargetNotify, TargetIssue:
		return b.tell(target)
	}
	return nil
}

func (b *builder) step(s rollback.Step, err error) error {
	if err == nil {
		b.put(s)
	}
	return err
}

func (b *builder) last() rollback.Step { return b.plan.Steps[len(b.plan.Steps)-1] }

// reason names the plan, so that what it did in other ledgers is found again.
func (b *builder) reason() string { return "plan " + b.plan.ID + ": " + b.plan.Reason }

// index is the step of the data.
func (b *builder) index() (rollback.Step, error) {
	p := IndexParams{Wish: b.outline.Data, Good: b.outline.To.Revision, Head: b.facts.Index.Head, Reason: b.reason()}
	why := ""
	switch p.Wish {
	case Revert:
		p.Bad, p.Since = revert.Bad{Revision: b.facts.Bad}, b.facts.Written.First-1
		why = fmt.Sprintf("what %s decided since version %d, and what rests on it, is restored and handled again; no change is lost", b.facts.Bad, b.facts.Written.First)
	case Reset, Discard:
		p.To = b.outline.To.Version
		why = fmt.Sprintf("the index is version %d again, and what came after is handled again by %s", p.To, p.Good)
	case Rebuild:
		why = "every record that is not as the items of the table say"
	case None, rollback.WishAuto:
	}
	s, err := IndexStep(p, why)
	s.Predicted = predict(b.facts.Written.Messages)
	s.Deadline = 30 * time.Minute
	if p.Wish == Discard {
		s.Loss = b.outline.Loss
	}
	s.Risk = "readers see one change of many records"
	return s, err
}

// predict says how long so many messages take to be handled again: a slow machine does some
// hundred a second, and a branch costs a moment.
func predict(messages uint64) time.Duration {
	return 500*time.Millisecond + time.Duration(min(messages, 1<<30))*time.Second/500
}
