package featureflag

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/memprovider"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/release"
)

const (
	stable    = "receipts@1+aaaaaaaaaaaa"
	candidate = "receipts@2+bbbbbbbbbbbb"
)

func now() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

// canary is a ledger in which a candidate has weight.
func canary(t *testing.T, weight release.Weight) *release.Log {
	t.Helper()
	log := release.NewLog(&blob.Mem{Now: now}, ledger.Options{Now: now})
	by := release.Order{Actor: "tester", Reason: "a test", At: now()}
	plan := release.Plan{Name: "test", Steps: []release.Step{{Kind: release.Preflight}, {Kind: release.Canary, Weight: weight}, {Kind: release.Promotion}}}
	head := release.Head{}
	for _, order := range []func(release.State) (release.Transition, error){
		func(s release.State) (release.Transition, error) {
			return release.Adopt(s, by, "local", release.Pair{Revision: stable})
		},
		func(s release.State) (release.Transition, error) {
			return release.Start(s, by, release.Request{Candidate: candidate, Plan: plan})
		},
		func(s release.State) (release.Transition, error) {
			d := release.Next(s, release.Observation{Preflight: release.Healthy, Verdict: release.Healthy, Stable: release.Healthy}, now())
			return *d.Transition, nil
		},
	} {
		tr, err := order(head.State())
		if err == nil {
			tr.Entry.Actor = "tester"
			head, err = log.Append(t.Context(), head, tr.Entry)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return log
}

func client(t *testing.T, p openfeature.FeatureProvider) *openfeature.Client {
	t.Helper()
	domain := t.Name()
	if err := openfeature.SetNamedProviderAndWait(domain, p); err != nil {
		t.Fatal(err)
	}
	return openfeature.NewClient(domain)
}

func TestAClientHearsWhatTheCompactorDoes(t *testing.T) {
	log := canary(t, 3000)
	c := client(t, NewProvider(log.Head))
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, given := head.Routing(""), 0
	for i := range 500 {
		key := fmt.Sprint("IMAGE#", i)
		at := openfeature.NewEvaluationContext(key, nil)
		d, err := c.BooleanValueDetails(t.Context(), FlagCandidate, false, at)
		if err != nil || d.Value != (r.Arm(key) == release.ArmCandidate) || d.Reason != openfeature.SplitReason || d.Variant != r.Arm(key).String() {
			t.Fatalf("%s: %+v, %v", key, d, err)
		}
		id, err := c.StringValue(t.Context(), FlagRevision, "", at)
		if err != nil || id != r.Revision(key) {
			t.Fatalf("%s: revision %q, %v", key, id, err)
		}
		if d.Value {
			given++
		}
	}
	if given < 100 || given > 200 {
		t.Errorf("%d of 500 keys at 30 %%", given)
	}
}

func TestWhatCannotBeAnsweredIsTheDefaultAndAnError(t *testing.T) {
	broken := errors.New("no disk")
	for name, c := range map[string]struct {
		provider  *Provider
		flag, key string
	}{
		"another flag":     {NewProvider(canary(t, 1).Head), "colour", "k"},
		"no targeting key": {NewProvider(canary(t, 1).Head), FlagCandidate, ""},
		"no ledger":        {NewProvider(func(context.Context) (release.Head, error) { return release.Head{}, broken }), FlagCandidate, "k"},
		"nothing adopted":  {NewProvider(func(context.Context) (release.Head, error) { return release.Head{}, nil }), FlagCandidate, "k"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := client(t, c.provider).BooleanValue(t.Context(), c.flag, true, openfeature.NewEvaluationContext(c.key, nil))
			if err == nil || !v {
				t.Errorf("%t, %v; want the default and an error", v, err)
			}
		})
	}
}

func TestAFlagCanKeepKeysFromACandidateAndFailsClosed(t *testing.T) {
	flags := map[string]memprovider.InMemoryFlag{
		"on":  {Key: "on", State: memprovider.Enabled, DefaultVariant: "t", Variants: map[string]any{"t": true}},
		"off": {Key: "off", State: memprovider.Enabled, DefaultVariant: "f", Variants: map[string]any{"f": false}},
	}
	c := client(t, memprovider.NewInMemoryProvider(flags))
	for flag, want := range map[string]bool{"on": true, "off": false, "unknown": false} {
		if got := (&Veto{Client: c, Flag: flag}).Allows(t.Context(), "k"); got != want {
			t.Errorf("%s: %t", flag, got)
		}
	}
}
