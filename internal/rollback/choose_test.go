package rollback

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lockstep/internal/lockstep"
)

const (
	chooseBad  = "receipts@2+222222222222"
	chooseGood = "receipts@1+111111111111"
)

// chooseFacts are those of production, a while after a bad canary, with everything
// configured; change makes others of them.
func chooseFacts(change ...func(f *Facts)) Facts {
	f := Facts{
		Environment: "prod", Place: PlaceProd, Release: "prod-7", Bad: chooseBad, Standing: StandingTrial,
		Good: Pair{chooseGood, 80}, Deployed: true,
		Written: Written{Records: 214, Messages: 300, Versions: 3, First: 81},
		Since:   Since{Version: 80, Messages: 5000, Bad: 150},
		Index:   Index{Records: 1_000_000, Keys: 40_000, Head: 130, Oldest: 10, LogFrom: 10, Mirror: true},
		Rate:    1000, Offers: map[string]Offer{},
	}
	for _, t := range []string{TargetTraffic, TargetGit, TargetPackage, TargetImports, TargetTests, TargetDeploy, TargetFollower, TargetWatch, TargetNotify, TargetIssue} {
		f.Offers[t] = Offer{Predicted: time.Second}
	}
	for _, c := range change {
		c(&f)
	}
	return f
}

func fromTree(f *Facts) { f.Offers[TargetDeploy] = Offer{FromTree: true} }

// chooseParts writes the parts of an outline as "target", or "target(need need)".
func chooseParts(o Outline) string {
	var out []string
	for _, p := range o.Parts {
		s := p.Target
		if len(p.Needs) > 0 {
			s += "(" + strings.Join(p.Needs, " ") + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestTheScenariosAndProceduresOfTheDocument(t *testing.T) {
	preDeploy := func(f *Facts) { f.Deployed, f.Standing, f.Written, f.Since = false, StandingShadow, Written{}, Since{} }
	nothing := func(f *Facts) { f.Offers = nil }
	const data = "index(flag) proof(index) follower(index) notify issue watch(flag index)"
	for _, c := range []struct {
		name      string
		facts     Facts
		request   Request
		scenario  Scenario
		procedure Procedure
		parts     string
	}{
		{
			"before deployment the code goes back, and nothing is deployed", chooseFacts(preDeploy, fromTree),
			Request{},
			PreDeploy, Full,
			"flag quarantine(flag) git package(git) imports(git package) tests(git package) notify issue",
		},
		{"before deployment, on a bare directory", chooseFacts(preDeploy, nothing), Request{}, PreDeploy, Full, "flag quarantine(flag)"},
		{"in dev", chooseFacts(func(f *Facts) { f.Environment, f.Place = "dev", PlaceDev }), Request{}, Dev, Quick, "flag quarantine(flag) traffic " + data},
		{"staging counts as dev", chooseFacts(func(f *Facts) { f.Environment, f.Place = "staging", PlaceStaging }), Request{}, Dev, Quick, "flag quarantine(flag) traffic " + data},
		{"production, quick", chooseFacts(), Request{}, Prod, Quick, "flag quarantine(flag) traffic " + data},
		{"production, quick, with nothing but the store", chooseFacts(nothing), Request{}, Prod, Quick, "flag quarantine(flag) index(flag) proof(index)"},
		{
			"production, full: an earlier version is deployed at once", chooseFacts(),
			Request{Procedure: Full},
			Prod, Full,
			"flag quarantine(flag) traffic deploy git package(git) imports(git package) tests(git package) " + data,
		},
		{
			"production, full: what is built from the tree waits for it", chooseFacts(fromTree),
			Request{Procedure: Full},
			Prod, Full,
			"flag quarantine(flag) traffic git package(git) imports(git package) tests(git package) deploy(git package tests) " + data,
		},
		{"a place that nobody knows is production", chooseFacts(func(f *Facts) { f.Place = "" }), Request{}, Prod, Quick, "flag quarantine(flag) traffic " + data},
		{
			"deployed, and no revision of ours", chooseFacts(func(f *Facts) { f.Bad, f.Standing, f.Written, f.Since = "", StandingNone, Written{}, Since{} }),
			Request{Procedure: Full},
			Prod, Full,
			"traffic deploy git package(git) imports(git package) tests(git package) notify issue watch(deploy)",
		},
		{"a scenario that was asked for leaves nothing out", chooseFacts(), Request{Scenario: PreDeploy, Procedure: Quick}, PreDeploy, Quick, "flag quarantine(flag) traffic " + data},
		{"who names production knows that it is deployed", chooseFacts(func(f *Facts) { f.Deployed = false }), Request{Scenario: Prod}, Prod, Quick, "flag quarantine(flag) traffic " + data},
		{
			"a revision that has decided, and wrote nothing", chooseFacts(func(f *Facts) { f.Standing, f.Written, f.Deployed = StandingEnded, Written{}, false }),
			Request{},
			Prod, Quick,
			"flag quarantine(flag) notify issue watch(flag)",
		},
		{"a release that has ended", chooseFacts(func(f *Facts) { f.Standing = StandingEnded }), Request{}, Prod, Quick, "flag quarantine(flag) traffic " + data},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := Choose(c.facts, c.request)
			if err != nil {
				t.Fatal(err, lockstep.HintOf(err))
			}
			if o.Scenario != c.scenario || o.Procedure != c.procedure {
				t.Errorf("%s %s, want %s %s", o.Scenario, o.Procedure, c.scenario, c.procedure)
			}
			if d := cmp.Diff(c.parts, chooseParts(o)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAnOutlineSaysWhyItIsAsItIs(t *testing.T) {
	bare := chooseFacts(func(f *Facts) {
		f.Offers = map[string]Offer{TargetGit: {Refuses: "HEAD is detached at 3fa9c1d"}, TargetDeploy: {FromTree: true}}
	})
	for _, c := range []struct {
		name    string
		facts   Facts
		request Request
		want    []string
	}{
		{"quick", chooseFacts(), Request{}, []string{
			"scenario prod: receipts@2+222222222222 has written 214 records, and prod is production",
			"quick: first what stops the harm; --full afterwards takes the code back",
			"revert: 214 of 1,000,000 records were written by receipts@2+222222222222, in 3 versions since 81; later changes stay",
			"without deploy: a quick rollback waits neither for git nor for a deployment",
			"without git: a quick rollback waits neither for git nor for a deployment",
			"without package: a quick rollback waits neither for git nor for a deployment",
			"without imports: a quick rollback waits neither for git nor for a deployment",
			"without tests: a quick rollback waits neither for git nor for a deployment",
		}},
		{"full, with little", bare, Request{Procedure: Full, Without: []string{TargetProof}}, []string{
			"scenario prod: receipts@2+222222222222 has written 214 records, and prod is production",
			"full: asked for",
			"revert: 214 of 1,000,000 records were written by receipts@2+222222222222, in 3 versions since 81; later changes stay",
			"the code comes before the data: a quick rollback first has the data back sooner",
			"without traffic: not configured",
			"without git: HEAD is detached at 3fa9c1d",
			"without package: not configured",
			"without imports: not configured",
			"without tests: not configured",
			"without deploy: what it deploys is made of the working tree, and git, which takes that back, takes no part",
			"without proof: asked for",
			"without follower: not configured",
			"without notify: not configured",
			"without issue: not configured",
			"without watch: not configured",
		}},
		{"before deployment", chooseFacts(func(f *Facts) { f.Deployed, f.Standing, f.Written, f.Since = false, StandingNone, Written{}, Since{} }), Request{}, []string{
			"scenario pre-deploy: nothing was deployed in prod, and no key was decided by anything new",
			"full: nothing is harmed meanwhile, and the code is what has to go back",
			"none: receipts@2+222222222222 wrote nothing that is in the index",
			"without traffic: nothing was deployed",
			"without deploy: nothing was deployed",
			"without index: the data stays as it is",
			"without proof: the data stays as it is",
			"without follower: the data stays as it is",
			"without watch: nothing was deployed",
		}},
		{"a word against the facts", chooseFacts(func(f *Facts) { f.Written, f.Standing = Written{}, StandingStable }), Request{Scenario: PreDeploy, Procedure: Quick}, []string{
			"scenario pre-deploy: asked for, although receipts@2+222222222222 decides for every key",
			"quick: asked for",
			"none: receipts@2+222222222222 wrote nothing that is in the index",
			"without deploy: a quick rollback waits neither for git nor for a deployment",
			"without git: a quick rollback waits neither for git nor for a deployment",
			"without package: a quick rollback waits neither for git nor for a deployment",
			"without imports: a quick rollback waits neither for git nor for a deployment",
			"without tests: a quick rollback waits neither for git nor for a deployment",
			"without index: the data stays as it is",
			"without proof: the data stays as it is",
			"without follower: the data stays as it is",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := Choose(c.facts, c.request)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, o.Notes()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAnOfferSpeaksForItself(t *testing.T) {
	f := chooseFacts(func(f *Facts) {
		f.Offers[TargetGit] = Offer{Sees: "4 commits after abc123", Predicted: 3 * time.Second}
	})
	o, err := Choose(f, Request{Procedure: Full})
	if err != nil {
		t.Fatal(err)
	}
	want := Part{Target: TargetGit, Phase: PhaseCode, Why: "4 commits after abc123", Predicted: 3 * time.Second}
	got, there := o.Part(TargetGit)
	if d := cmp.Diff(want, got); !there || d != "" {
		t.Error(d)
	}
	if _, there := o.Part("pulumi"); there {
		t.Error("a part that nobody knows")
	}
}

func TestWhatCannotBeChosen(t *testing.T) {
	nothing := func(f *Facts) {
		f.Bad, f.Standing, f.Written, f.Since, f.Deployed, f.Offers = "", StandingNone, Written{}, Since{}, false, nil
	}
	for _, c := range []struct {
		name    string
		facts   Facts
		request Request
		want    error
		hint    string // begins so
	}{
		{"nothing is bad, and nothing configured", chooseFacts(nothing), Request{}, lockstep.ErrRefused, "name what is bad"},
		{"only people to tell", chooseFacts(nothing, func(f *Facts) { f.Offers = map[string]Offer{TargetNotify: {}, TargetTests: {}} }), Request{}, lockstep.ErrRefused, "name what is bad"},
		{
			"quick, and there is nothing but code", chooseFacts(nothing, func(f *Facts) { f.Offers = map[string]Offer{TargetGit: {}} }),
			Request{Procedure: Quick},
			lockstep.ErrRefused,
			"name what is bad, or the pair to return to with --to; --full takes the code back",
		},
		{"to the bad one", chooseFacts(), Request{To: Pair{chooseBad, 80}}, lockstep.ErrInvalid, "name another pair"},
		{"to the bad one by another name", chooseFacts(), Request{To: Pair{"safe@9+222222222222", 80}}, lockstep.ErrInvalid, "name another pair"},
		{"to a version that is not there", chooseFacts(func(f *Facts) { f.Since = Since{} }), Request{To: Pair{chooseGood, 131}}, lockstep.ErrInvalid, ""},
		{"to another version than the facts count from", chooseFacts(), Request{To: Pair{chooseGood, 70}}, lockstep.ErrInvalid, ""},
		{"an unknown scenario", chooseFacts(), Request{Scenario: "staging"}, lockstep.ErrInvalid, ""},
		{"an unknown procedure", chooseFacts(), Request{Procedure: "slow"}, lockstep.ErrInvalid, ""},
		{"an unknown wish", chooseFacts(), Request{Data: "undo"}, lockstep.ErrInvalid, ""},
		{"without an unknown target", chooseFacts(), Request{Without: []string{"pulumi"}}, lockstep.ErrInvalid, "the targets are flag, "},
		{"the data, and without the index", chooseFacts(), Request{Data: WishRevert, Without: []string{TargetIndex}}, lockstep.ErrInvalid, ""},
		{"the data, while the bad one goes on", chooseFacts(), Request{Without: []string{TargetFlag}}, lockstep.ErrRefused, "leave out the index as well"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := Choose(c.facts, c.request)
			if !errors.Is(err, c.want) || !strings.HasPrefix(lockstep.HintOf(err), c.hint) {
				t.Fatalf("%v (hint %q), want %v (hint %q...); %s", err, lockstep.HintOf(err), c.want, c.hint, chooseParts(o))
			}
		})
	}
}

func TestTheIndexIsLeftOutWhenAskedFor(t *testing.T) {
	o, err := Choose(chooseFacts(), Request{Without: []string{TargetIndex, TargetFlag}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := chooseParts(o), "quarantine traffic notify issue watch"; o.Data != WishNone || got != want {
		t.Errorf("%s: %s, want %s", o.Data, got, want)
	}
	const why = "none: asked for; 214 of 1,000,000 records were written by receipts@2+222222222222, in 3 versions since 81 and stay as they are"
	if !slices.Contains(o.Why, why) {
		t.Errorf("it says %q", o.Why)
	}
}

func TestAnOutlineIsAPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, r := drawFacts(t), drawRequest(t)
		o, err := Choose(f, r)
		if err != nil {
			if !errors.Is(err, lockstep.ErrRefused) && !errors.Is(err, lockstep.ErrInvalid) {
				t.Fatalf("%v has no class", err)
			}
			return
		}
		again, err := Choose(f, r)
		if d := cmp.Diff(o, again); d != "" || err != nil {
			t.Fatalf("the same facts, another outline: %v %s", err, d)
		}
		p := Plan{ID: "prod-1", Scenario: o.Scenario, Procedure: o.Procedure, By: "anna", At: time.Unix(1, 0)}
		for _, part := range o.Parts {
			p.Steps = append(p.Steps, Step{ID: part.Target, Target: part.Target, Phase: part.Phase, Title: part.Why, To: "done", Needs: part.Needs})
		}
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		checkOutline(t, f, r, o)
	})
}

// checkOutline checks what is true of every outline.
func checkOutline(t *rapid.T, f Facts, r Request, o Outline) {
	var named []string
	for _, p := range o.Parts {
		if named = append(named, p.Target); slices.Contains(r.Without, p.Target) {
			t.Errorf("%s takes part and was to be left out", p.Target)
		}
		if (p.Target == TargetGit || p.Target == TargetDeploy || p.Target == TargetTests) && o.Procedure == Quick {
			t.Errorf("%s in a quick rollback", p.Target)
		}
	}
	for _, l := range o.Left {
		if named = append(named, l.Target); l.Why == "" {
			t.Errorf("%s is left out without a reason", l.Target)
		}
	}
	if want := slices.Sorted(slices.Values(targets())); !slices.Equal(slices.Sorted(slices.Values(named)), want) {
		t.Errorf("it names %v, there are %v", named, want)
	}
	_, moves := o.Part(TargetIndex)
	if moves != (o.Data != WishNone) {
		t.Errorf("%s, and the index takes part: %t", o.Data, moves)
	}
	if no := f.against(o.Data, o.To); no != "" {
		t.Errorf("%s, although %s", o.Data, no)
	}
	if lossy := o.Risk != "" || len(o.Loss) > 0; lossy && r.Data != WishDiscard {
		t.Errorf("it loses %v, which nobody has asked for", o.Loss)
	}
	_, flag := o.Part(TargetFlag)
	if moves && !flag && (f.Standing == StandingTrial || f.Standing == StandingStable) && f.Bad != "" {
		t.Error("data is taken back while the bad revision goes on")
	}
}

func drawFacts(t *rapid.T) Facts {
	f := chooseFacts()
	f.Bad = rapid.SampledFrom([]string{"", chooseBad}).Draw(t, "bad")
	f.Good.Revision = rapid.SampledFrom([]string{"", chooseGood}).Draw(t, "good")
	f.Place = rapid.SampledFrom([]Place{"", PlaceDev, PlaceStaging, PlaceProd}).Draw(t, "place")
	f.Deployed = rapid.Bool().Draw(t, "deployed")
	if f.Bad == "" {
		f.Standing, f.Written, f.Since.Bad = StandingNone, Written{}, 0
	} else {
		f.Standing = rapid.SampledFrom([]Standing{StandingNone, StandingShadow, StandingTrial, StandingStable, StandingEnded}).Draw(t, "standing")
		f.Written.Records = rapid.Uint64Range(0, 3).Draw(t, "written")
		f.Since.Bad = rapid.Uint64Range(0, f.Since.Messages).Draw(t, "bad messages")
	}
	f.Index.Mirror = rapid.Bool().Draw(t, "mirror")
	f.Index.Damaged = rapid.SampledFrom([]string{"", "", "delta 90 is not what it says"}).Draw(t, "damaged")
	f.Index.LogFrom = rapid.Uint64Range(1, 130).Draw(t, "log from")
	f.Index.Oldest = rapid.Uint64Range(1, 130).Draw(t, "oldest")
	for _, name := range targets() {
		if rapid.IntRange(0, 3).Draw(t, name) == 0 {
			delete(f.Offers, name)
		} else if o, there := f.Offers[name]; there {
			o.FromTree = rapid.Bool().Draw(t, name+" from tree")
			o.Refuses = rapid.SampledFrom([]string{"", "", "it is broken"}).Draw(t, name+" refuses")
			f.Offers[name] = o
		}
	}
	return f
}

func drawRequest(t *rapid.T) Request {
	return Request{
		Scenario:  rapid.SampledFrom([]Scenario{"", PreDeploy, Dev, Prod}).Draw(t, "scenario"),
		Procedure: rapid.SampledFrom([]Procedure{"", Quick, Full}).Draw(t, "procedure"),
		Data:      rapid.SampledFrom([]Wish{"", WishAuto, WishRevert, WishReset, WishRebuild, WishDiscard, WishNone}).Draw(t, "data"),
		To:        rapid.SampledFrom([]Pair{{}, {Version: 80}, {chooseGood, 80}}).Draw(t, "to"),
		Without:   rapid.SliceOfNDistinct(rapid.SampledFrom(targets()), 0, 3, func(s string) string { return s }).Draw(t, "without"),
	}
}
