package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

// mute does not answer, and heeds nobody.
type mute struct {
	variant
	reads bool
}

func (m mute) Reads(messages []lockstep.Message) handler.Reads {
	if m.reads {
		select {}
	}
	return m.variant.Reads(messages)
}

func (mute) Plan(context.Context, handler.Unit) ([]lockstep.Mutation, error) { select {} }

func TestABuiltinHandlerThatHeedsNobodyDoesNotHoldPreflightUp(t *testing.T) {
	for name, reads := range map[string]bool{"in Plan": false, "in Reads": true} {
		t.Run(name, func(t *testing.T) {
			x := newStill(t, mute{newVariant("mute", nil), reads})
			x.app.cfg.Release.Budget = 30 * time.Millisecond
			x.created()
			began := time.Now()
			health, _, reasons := x.preflight("receipts@mute")
			if health != release.Bad || !strings.Contains(strings.Join(reasons, "; "), "no answer within") {
				t.Errorf("%q: %q", health, reasons)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestPatienceChangesNoAnswerAndNoPanic(t *testing.T) {
	plain := newVariant("plain", func(handler.Unit, []lockstep.Mutation) ([]lockstep.Mutation, error) { panic("no") })
	p := newPatient(handler.NewRevision(plain), time.Minute).Handler
	m := []lockstep.Message{{ID: "m", Group: "IMAGE#1"}}
	if got, want := len(p.Reads(m).Records), len(plain.Reads(m).Records); got != want {
		t.Errorf("%d ranges, want %d", got, want)
	}
	defer func() {
		if r := recover(); r != "no" {
			t.Errorf("it panicked with %v", r)
		}
	}()
	_, err := p.Plan(t.Context(), handler.Unit{Messages: m})
	t.Errorf("no panic, %v", err)
}
