package rollback

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// Choose works out the cheapest safe way back. It is pure: the same facts and the same
// request give the same outline. It never chooses to lose anything; who asks for that gets
// it with its name in Risk and what is lost in Loss.
//
// A quick rollback has nothing in it that needs git, a test run or a deployment, so it
// works while those do not. What is configured and takes no part is named with its reason.
//
// ErrInvalid: the request contradicts itself or the facts. ErrRefused: there is nothing to
// take back, or no safe way to; the hint says what can be done.
func Choose(f Facts, r Request) (Outline, error) {
	to, err := pairOf(f, r)
	if err != nil {
		return Outline{}, err
	}
	if r, err = without(f, r); err != nil {
		return Outline{}, err
	}
	data, err := chooseData(f, r, to)
	if err != nil {
		return Outline{}, err
	}
	d := &draft{facts: f, without: r.Without}
	d.To, d.Data, d.Loss, d.Risk = to, data.wish, data.loss, data.risk
	var why string
	if d.Scenario, why, err = scenarioOf(f, r); err != nil {
		return Outline{}, err
	}
	d.Why = append(d.Why, why)
	if d.Procedure, why, err = procedureOf(d.Scenario, r); err != nil {
		return Outline{}, err
	}
	d.Why = append(d.Why, why, data.why)
	if d.Procedure == Full && data.wish != WishNone {
		d.Why = append(d.Why, "the code comes before the data: a quick rollback first has the data back sooner")
	}
	d.stop(r)
	d.code(r)
	d.data(data)
	d.after(r)
	return d.Outline, d.useful()
}

// pairOf is what is returned to.
func pairOf(f Facts, r Request) (Pair, error) {
	to := r.To
	if to == (Pair{}) {
		to = f.Good
	}
	if to.Revision == "" {
		to.Revision = f.Good.Revision
	}
	switch {
	case sameContent(f.Bad, to.Revision):
		return to, lockstep.Hint(fmt.Errorf("return to %s: %w: it is what is to be taken back", to.Revision, lockstep.ErrInvalid), "name another pair with --to")
	case to.Version > f.Index.Head:
		return to, fmt.Errorf("return to version %d: %w: the newest is %d", to.Version, lockstep.ErrInvalid, f.Index.Head)
	case to.Version != f.Since.Version && f.Since.Messages > 0:
		return to, fmt.Errorf("return to version %d: %w facts: they count what came after version %d", to.Version, lockstep.ErrInvalid, f.Since.Version)
	}
	return to, nil
}

// sameContent says whether two ids name one revision: the same, or the same hash behind
// the plus sign. No id is none.
func sameContent(a, b string) bool {
	_, ha, _ := strings.Cut(a, "+")
	_, hb, _ := strings.Cut(b, "+")
	return a != "" && a == b || ha != "" && ha == hb
}

// without checks what is to be left out, and returns the request with its consequence for
// the data.
func without(f Facts, r Request) (Request, error) {
	for _, t := range r.Without {
		if !slices.Contains(targets(), t) {
			return r, lockstep.Hint(fmt.Errorf("leave out %.80q: %w: it is no target", t, lockstep.ErrInvalid), "the targets are "+strings.Join(targets(), ", "))
		}
	}
	if slices.Contains(r.Without, TargetIndex) {
		if r.Data != "" && r.Data != WishAuto && r.Data != WishNone {
			return r, fmt.Errorf("%w: the data is to be taken back by %s, and the index is to be left out", lockstep.ErrInvalid, r.Data)
		}
		r.Data = WishNone
	}
	serving := f.Standing == StandingTrial || f.Standing == StandingStable
	if serving && r.Data != WishNone && slices.Contains(r.Without, TargetFlag) {
		return r, lockstep.Hint(fmt.Errorf("leave out the flag: %w: %s decides for keys now, and would write again what is taken back", lockstep.ErrRefused, f.Bad), "leave out the index as well, or neither")
	}
	return r, nil
}

// scenarioOf finds the situation of the document. A person's word that nothing is deployed
// does not make it so: it changes the budget, and leaves nothing out.
func scenarioOf(f Facts, r Request) (Scenario, string, error) {
	harm := f.harm()
	switch r.Scenario {
	case PreDeploy:
		if harm != "" {
			return PreDeploy, "scenario pre-deploy: asked for, although " + harm, nil
		}
		return PreDeploy, "scenario pre-deploy: asked for", nil
	case Dev, Prod:
		return r.Scenario, fmt.Sprintf("scenario %s: asked for", r.Scenario), nil
	case "":
	default:
		return "", "", fmt.Errorf("%w scenario %.80q: want pre-deploy, dev or prod", lockstep.ErrInvalid, r.Scenario)
	}
	if harm == "" {
		return PreDeploy, "scenario pre-deploy: nothing was deployed in " + f.Environment + ", and no key was decided by anything new", nil
	}
	switch f.Place {
	case PlaceDev:
		return Dev, fmt.Sprintf("scenario dev: %s, and %s is a dev environment", harm, f.Environment), nil
	case PlaceStaging:
		return Dev, fmt.Sprintf("scenario dev: %s, and %s is a staging environment: nobody depends on it", harm, f.Environment), nil
	case PlaceProd:
		return Prod, fmt.Sprintf("scenario prod: %s, and %s is production", harm, f.Environment), nil
	}
	return Prod, fmt.Sprintf("scenario prod: %s, and %s is taken for production, since nothing says what it is", harm, f.Environment), nil
}

// harm says what of the migration has had an effect in the environment, "" when nothing
// has.
func (f Facts) harm() string {
	switch {
	case f.Written.Records > 0:
		return f.Bad + " has written " + counted(f.Written.Records, "record")
	case f.Standing == StandingStable:
		return f.Bad + " decides for every key"
	case f.Standing == StandingTrial:
		return f.Bad + " decides for a share of the keys"
	case f.Standing == StandingEnded:
		return f.Bad + " has decided for keys"
	case f.Deployed:
		return "the migration is deployed"
	}
	return ""
}

func procedureOf(s Scenario, r Request) (Procedure, string, error) {
	switch r.Procedure {
	case Quick, Full:
		return r.Procedure, string(r.Procedure) + ": asked for", nil
	case "":
	default:
		return "", "", fmt.Errorf("%w procedure %.80q: want quick or full", lockstep.ErrInvalid, r.Procedure)
	}
	if s == PreDeploy {
		return Full, "full: nothing is harmed meanwhile, and the code is what has to go back", nil
	}
	return Quick, "quick: first what stops the harm; --full afterwards takes the code back", nil
}

// notBad is why what is about one revision is left out.
func (d *draft) notBad() string {
	if d.facts.Bad == "" {
		return "no revision is known to be bad"
	}
	return ""
}

// notRunning is why what is about running code is left out. Who names a scenario of
// something that is deployed knows that it is.
func (d *draft) notRunning(r Request) string {
	if d.facts.Deployed || r.Scenario == Dev || r.Scenario == Prod {
		return ""
	}
	return "nothing was deployed"
}

// stop adds what ends the harm. The flag takes part also when it is off: its look is the
// evidence that it is.
func (d *draft) stop(r Request) {
	d.add(Part{Target: TargetFlag, Phase: PhaseFlag, Why: d.facts.Bad + " decides for no key from the next batch on"}, d.notBad())
	d.add(Part{Target: TargetQuarantine, Phase: PhaseFlag, Needs: []string{TargetFlag}, Why: "no environment starts a release of it again"}, d.notBad())
	d.offered(Part{Target: TargetTraffic, Phase: PhaseTraffic, Why: "requests go to the good one"}, d.notRunning(r))
}

// code adds what takes the code back.
func (d *draft) code(r Request) {
	no := ""
	if d.Procedure == Quick {
		no = "a quick rollback waits neither for git nor for a deployment"
	}
	running := no
	if running == "" {
		running = d.notRunning(r)
	}
	deploy := Part{Target: TargetDeploy, Phase: PhaseCode, Why: "the good one runs"}
	first := !d.facts.Offers[TargetDeploy].FromTree
	if first { // the document's IMMEDIATE: the earlier version is there, and waits for no commit
		d.offered(deploy, running)
	}
	d.offered(Part{Target: TargetGit, Phase: PhaseCode, Why: "the code is as it was"}, no)
	d.offered(Part{Target: TargetPackage, Phase: PhaseCode, Needs: []string{TargetGit}, Why: "what was installed is as it was"}, no)
	d.offered(Part{Target: TargetImports, Phase: PhaseCode, Needs: []string{TargetGit, TargetPackage}, Why: "nothing imports what is gone"}, no)
	d.offered(Part{Target: TargetTests, Phase: PhaseCode, Needs: []string{TargetGit, TargetPackage}, Why: "the code that is back works"}, no)
	if first {
		return
	}
	if _, there := d.Part(TargetGit); !there && running == "" {
		running = "what it deploys is made of the working tree, and git, which takes that back, takes no part"
	}
	deploy.Needs = []string{TargetGit, TargetPackage, TargetTests}
	d.offered(deploy, running)
}

// data adds what takes the data back, shows that it is, and hands it on.
func (d *draft) data(c chosen) {
	no := ""
	if c.wish == WishNone {
		no = "the data stays as it is"
	}
	d.add(Part{Target: TargetIndex, Phase: PhaseData, Needs: []string{TargetFlag}, Why: c.why, Predicted: c.predicted}, no)
	d.add(Part{Target: TargetProof, Phase: PhaseData, Needs: []string{TargetIndex}, Why: "the index is compared with what the good revision makes of everything"}, no)
	d.offered(Part{Target: TargetFollower, Phase: PhaseData, Needs: []string{TargetIndex}, Why: "they hold the new version"}, no)
}

// after adds what comes when everything is back. People are told whatever has failed, so
// telling needs nothing.
func (d *draft) after(r Request) {
	no := d.notRunning(r)
	if d.facts.harm() != "" {
		no = ""
	}
	needs := []string{TargetFlag, TargetIndex}
	if d.facts.Bad == "" {
		needs = append(needs, TargetDeploy) // it is all that can make it well
	}
	d.offered(Part{Target: TargetNotify, Phase: PhaseTell, Why: "the team knows"}, "")
	d.offered(Part{Target: TargetIssue, Phase: PhaseTell, Why: "it is written down, with what has to happen before the next attempt"}, "")
	d.offered(Part{Target: TargetWatch, Phase: PhaseWatch, Needs: needs, Why: "it is well again, and stays so"}, no)
}

// useful refuses an outline that takes nothing back.
func (d *draft) useful() error {
	if slices.ContainsFunc(d.Parts, func(p Part) bool {
		return p.Phase == PhaseFlag || p.Phase == PhaseTraffic || p.Target == TargetIndex || p.Target == TargetGit || p.Target == TargetPackage || p.Target == TargetDeploy
	}) {
		return nil
	}
	hint := "name what is bad, or the pair to return to with --to"
	if d.Procedure == Quick {
		hint += "; --full takes the code back"
	}
	return lockstep.Hint(fmt.Errorf("roll %s back: %w: there is nothing to take back", d.facts.Environment, lockstep.ErrRefused), hint)
}
