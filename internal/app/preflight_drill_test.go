package app

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lockstep/internal/drill"
	"lockstep/internal/ledger"
	"lockstep/internal/release"
)

func TestPreflightAsksForADrillOnlyWhenItIsTold(t *testing.T) {
	x := newStill(t, newVariant("good", nil))
	x.created()
	x.edits(100)
	now, s := x.app.opts.Now(), x.start("receipts@good")
	asked := func(limit time.Duration) string {
		t.Helper()
		x.app.cfg.Rollback.Drill.MaxAge = limit
		health, risks, reasons, err := x.app.preflight(t.Context(), s)
		if err != nil || health != release.Healthy {
			t.Fatalf("%q, reasons %q, %v", health, reasons, err)
		}
		if i := slices.IndexFunc(risks, func(r release.OpenRisk) bool { return r.Name == riskNoDrill }); i >= 0 {
			return risks[i].Reason
		}
		return ""
	}
	if why := asked(0); why != "" {
		t.Errorf("without a limit: %s", why)
	}
	if why := asked(time.Hour); !strings.Contains(why, "no drill has passed in local") {
		t.Errorf("before the first drill: %q", why)
	}
	log := drill.NewLog(x.app.Blobs, ledger.Options{Now: x.app.opts.Now})
	at := now.Add(-2 * time.Hour)
	d := drill.Drill{
		ID: "local-drill-1", Environment: "local", At: at, By: "anna", Scenario: "dev", Procedure: "quick", Fault: "a fault", Revision: "receipts@1+111111111111",
		Plan: "local-drill-1", Outcome: drill.Passed, Same: true, Marks: drill.Marks{FirstBad: at, Detected: at, Commanded: at, LastBad: at, Clean: at},
	}
	if _, err := log.Record(t.Context(), d, now); err != nil {
		t.Fatal(err)
	}
	if why := asked(3 * time.Hour); why != "" {
		t.Errorf("behind a drill: %s", why)
	}
	if why := asked(time.Hour); !strings.Contains(why, "2 hours old, the limit is 1") {
		t.Errorf("behind an old drill: %q", why)
	}
	d.ID, d.At, d.Outcome, d.Why = "local-drill-2", now, drill.Failed, "3 records differ"
	if _, err := log.Record(t.Context(), d, now); err != nil {
		t.Fatal(err)
	}
	if why := asked(3 * time.Hour); !strings.Contains(why, "the newest drill in local") {
		t.Errorf("behind a failed drill: %q", why)
	}
}
