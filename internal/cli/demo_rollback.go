package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"lockstep/internal/app"
	"lockstep/internal/app/recovery"
	"lockstep/internal/durable"
	"lockstep/internal/incident"
	"lockstep/internal/rollback"
)

// demoRollback is how the rollback of the demonstration went.
type demoRollback struct {
	Plan      string  `json:"plan"`
	Outcome   string  `json:"outcome"`
	Records   int     `json:"records"` // that came out different
	Keys      int     `json:"keys"`
	Proof     string  `json:"proof"`
	Proven    bool    `json:"proven"`
	ElapsedMS float64 `json:"elapsed_ms"`
	Incident  string  `json:"incident"`
	Report    string  `json:"report"` // a file
}

// playRollback takes the data of the bad release back, by the same plan and the same
// targets as "lockstep rollback run", and writes the report of its incident.
func (c *session) playRollback(ctx context.Context, a *app.App, s *story) error {
	head, err := a.Releases.Head(ctx)
	if err != nil {
		return err
	}
	r := head.State().Release
	if r == nil || r.Ending == nil {
		return nil
	}
	as := &recovery.Assembly{Control: a.Control, Config: a.Config, Workplace: recovery.Opened{App: a}, Actor: c.who(), Now: c.env.Now, Getenv: c.env.Getenv}
	as.Config.Rollback.Watch.For = 0 // nobody wants to wait half an hour for a demonstration
	desk := recovery.NewDesk(a.Control, as.Config, as.Secrets())
	in, _, err := desk.OpenByVerdict(ctx, head.State())
	if err != nil {
		return err
	}
	out := &demoRollback{Incident: in.ID}
	if err := c.walkDemo(ctx, as, in.ID, out); err != nil {
		return err
	}
	if in.ID != "" {
		if out.Report, err = writeReport(ctx, desk, in.ID, s.Directory); err != nil {
			return err
		}
	}
	s.Rollback = out
	return nil
}

// walkDemo plans and walks.
func (c *session) walkDemo(ctx context.Context, as *recovery.Assembly, incidentID string, out *demoRollback) error {
	fmt.Fprintln(c.env.Stderr, "taking back what it wrote, with everything that happened since handled again")
	id, err := as.Journals().NextID(ctx, as.Config.Environment)
	if err != nil {
		return err
	}
	begun := c.env.Now()
	plan, err := as.Plan(ctx, id, recovery.Request{Request: rollback.Request{Procedure: rollback.Quick}, By: c.who(), Reason: "the demonstration's release was bad", Incident: incidentID})
	if err != nil {
		return err
	}
	e, err := c.engine(as)
	if err != nil {
		return err
	}
	if _, err := e.Start(ctx, plan); err != nil {
		return err
	}
	state, err := e.Run(ctx, plan.ID)
	if err != nil {
		return err
	}
	out.Plan, out.Outcome = plan.ID, string(state.Outcome())
	out.ElapsedMS = float64(c.env.Now().Sub(begun)) / float64(time.Millisecond)
	for i, step := range state.Plan.Steps {
		switch step.ID {
		case recovery.TargetIndex:
			o, err := recovery.RevertOf(state.Steps[i].Kept)
			if err != nil {
				return err
			}
			out.Records, out.Keys = o.Records, o.Keys
		case recovery.TargetProof:
			out.Proof, out.Proven = state.Steps[i].Sight.Detail, state.Steps[i].Progress == rollback.Done
		}
	}
	return nil
}

// writeReport writes the report of an incident beside the data, for people and for pages.
func writeReport(ctx context.Context, desk *recovery.Desk, id, dir string) (string, error) {
	in, err := desk.Input(ctx, id)
	if err != nil {
		return "", err
	}
	rep := incident.NewReport(in)
	page, err := rep.HTML()
	if err != nil {
		return "", err
	}
	text := filepath.Join(dir, "incident-"+id+".md")
	if err := errors.Join(durable.Replace(text, []byte(rep.Markdown())), durable.Replace(filepath.Join(dir, "incident-"+id+".html"), []byte(page))); err != nil {
		return "", fmt.Errorf("write the report: %w", err)
	}
	return text, nil
}

func printDemoRollback(w io.Writer, r *demoRollback) {
	fmt.Fprintf(w, "The rollback of its data: %s after %.0f ms; of %d keys %d records came out different.\n", r.Outcome, r.ElapsedMS, r.Keys, r.Records)
	if r.Proven {
		fmt.Fprintf(w, "  Proven:  %s\n", r.Proof)
	} else {
		fmt.Fprintf(w, "  NOT PROVEN, which must not happen: %s\n", r.Proof)
	}
	if r.Report != "" {
		fmt.Fprintf(w, "  Report:  %s (and .html): what happened, when, to what, and what is left for people\n", r.Report)
	}
	fmt.Fprintln(w)
}
