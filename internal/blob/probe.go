package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"lockstep/internal/lockstep"
)

// Verdict is what Probe found out about a store.
type Verdict struct {
	Passed bool    `json:"passed"` // every check passed
	Checks []Check `json:"checks"`
}

// Check is one question Probe asked.
type Check struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail"` // what was seen, for people
}

// Failed names the checks that did not pass.
func (v Verdict) Failed() []string {
	var names []string
	for _, c := range v.Checks {
		if !c.Passed {
			names = append(names, c.Name)
		}
	}
	return names
}

const (
	probeRacers   = 16
	probeMaxBytes = 1 << 10
)

// Probe asks whether s keeps the one promise everything stands on: create-if-absent
// with one winner, also when creates meet. Gateways exist that pass one-by-one and
// let many of 16 racers win (TRAPS T6). Nonce, a valid key segment, must be
// fresh: Probe works on probe/<nonce>-… and removes what it made.
//
// An error means that the store did not answer and nothing is known; a store that
// answers wrongly gets a Verdict that did not pass.
func Probe(ctx context.Context, s Store, nonce string) (Verdict, error) {
	if err := ctx.Err(); err != nil {
		return Verdict{}, err
	}
	p := prober{store: s, twice: "probe/" + nonce + "-twice", race: "probe/" + nonce + "-race"}
	if err := CheckKey(nonce); err != nil || CheckKey(p.twice) != nil || strings.Contains(nonce, "/") {
		return Verdict{}, fmt.Errorf("probe with nonce %q: %w", nonce, lockstep.ErrInvalid)
	}
	defer p.clean(ctx)
	for _, ask := range []func(context.Context) error{p.askMissing, p.askTwice, p.askReadBack, p.askRace} {
		if err := ask(ctx); err != nil {
			return Verdict{}, fmt.Errorf("probe store: %w", err)
		}
	}
	v := Verdict{Passed: true, Checks: p.checks}
	v.Passed = len(v.Failed()) == 0
	return v, nil
}

type prober struct {
	store       Store
	twice, race string // keys
	checks      []Check
}

func (p *prober) note(name, fault, detail string) {
	if fault != "" {
		detail = fault
	}
	p.checks = append(p.checks, Check{Name: name, Passed: fault == "", Detail: detail})
}

func (p *prober) askMissing(ctx context.Context) error {
	fault := ""
	switch _, err := ReadAll(ctx, p.store, p.twice, probeMaxBytes); {
	case err == nil:
		fault = "a key that was never created is there"
	case !errors.Is(err, lockstep.ErrNotFound):
		return err
	}
	p.note("missing key is not found", fault, "not found")
	return nil
}

func (p *prober) askTwice(ctx context.Context) error {
	if err := p.store.Create(ctx, p.twice, []byte("first")); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	fault := ""
	switch err := p.store.Create(ctx, p.twice, []byte("second")); {
	case err == nil:
		fault = "the second create of one key succeeded"
	case !errors.Is(err, ErrExists):
		return err
	}
	p.note("second create is refused", fault, "refused as taken")
	return nil
}

func (p *prober) askReadBack(ctx context.Context) error {
	body, err := ReadAll(ctx, p.store, p.twice, probeMaxBytes)
	if err != nil && !errors.Is(err, lockstep.ErrNotFound) {
		return err
	}
	fault := ""
	if err != nil || string(body) != "first" {
		fault = fmt.Sprintf("read %q after creating %q", body, "first")
	}
	p.note("first create is read back", fault, "read back whole")
	return nil
}

// askRace lets 16 creates of one key meet. An answer that is neither success nor
// "taken" leaves open who won; the body that is read then decides.
func (p *prober) askRace(ctx context.Context) error {
	errs := p.raceCreates(ctx)
	var won, open [][]byte
	var unknown error
	for i, err := range errs {
		switch {
		case err == nil:
			won = append(won, racerBody(i))
		case !errors.Is(err, ErrExists):
			open, unknown = append(open, racerBody(i)), err
		}
	}
	body, err := ReadAll(ctx, p.store, p.race, probeMaxBytes)
	if errors.Is(err, lockstep.ErrNotFound) && len(won) == 0 && unknown != nil {
		return unknown
	}
	if err != nil && !errors.Is(err, lockstep.ErrNotFound) {
		return err
	}
	isBody := func(b []byte) bool { return bytes.Equal(b, body) }
	fault := ""
	switch {
	case len(won) > 1:
		fault = fmt.Sprintf("%d of %d concurrent creates of one key succeeded", len(won), probeRacers)
	case len(won) == 0 && len(open) == 0:
		fault = fmt.Sprintf("all of %d concurrent creates of a free key were refused", probeRacers)
	case len(won) == 1 && !isBody(won[0]):
		fault = fmt.Sprintf("the winner wrote %q, but %q is read", won[0], body)
	case len(won) == 0 && !slices.ContainsFunc(open, isBody):
		fault = fmt.Sprintf("%q is read, which nobody who may have won wrote", body)
	}
	p.note("concurrent creates have one winner", fault, fmt.Sprintf("one of %d won and is read back", probeRacers))
	return nil
}

func (p *prober) raceCreates(ctx context.Context) []error {
	errs := make([]error, probeRacers)
	barrier := make(chan struct{})
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			<-barrier
			errs[i] = p.store.Create(ctx, p.race, racerBody(i))
		})
	}
	close(barrier)
	wg.Wait()
	return errs
}

func racerBody(i int) []byte { return fmt.Appendf(nil, "racer %d", i) }

// clean removes what the probe made, even when ctx ended meanwhile. A failure is
// ignored: the nonce is never used again and two tiny objects hurt nobody.
func (p *prober) clean(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	_ = p.store.Delete(ctx, p.twice)
	_ = p.store.Delete(ctx, p.race)
}
