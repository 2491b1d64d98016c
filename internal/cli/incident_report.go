package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lockstep/internal/app/recovery"
	"lockstep/internal/incident"
	"lockstep/internal/lockstep"
)

// The forms of a report besides JSON.
const (
	outputMarkdown = "markdown"
	outputHTML     = "html"
)

func (c *session) incidentReport() *cobra.Command {
	html, sign, reason := false, false, ""
	cmd := &cobra.Command{
		Use:   "report [INCIDENT]",
		Short: "Print the report of an incident, as Markdown, HTML or JSON; or sign it",
		Long: `Prints the report in the form of the manual's post-mortem, made anew from what is known
now. Sections that nobody has written yet are gaps that say who has to fill them, and
are listed on the standard error.

--sign freezes it in your name: from then on it is the bytes that you signed, which
"sha256sum" can check against "lockstep incident show". An incident that is reopened
gets a new one.`,
		Example: `  lockstep incident report prod-3
  lockstep incident report prod-3 -o html > report.html
  lockstep incident report prod-3 --sign --reason "read and agreed in the review"`,
		Args: atMostOne("one incident"),
		// A report has forms that nothing else has.
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if c.output == outputMarkdown || c.output == outputHTML {
				return nil
			}
			return c.checkOutput()
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case html && cmd.Flags().Changed("output") && c.output != outputHTML:
				return usageError{fmt.Errorf("--html and -o %s exclude each other", c.output)}
			case html:
				c.output = outputHTML
			case !sign && reason != "":
				return usageError{lockstep.Hint(errors.New("--reason is of a signature"), "give --sign as well, or leave it away")}
			}
			if sign {
				if err := needReason(cmd, reason); err != nil {
					return err
				}
			}
			return c.desk(cmd.Context(), func(d *recovery.Desk) error {
				return c.report(cmd.Context(), d, args, reason)
			})
		},
	}
	cmd.Flags().BoolVar(&html, "html", false, "as HTML, one page that needs nothing else; -o html is the same")
	cmd.Flags().BoolVar(&sign, "sign", false, "sign it: it does not change any more")
	cmd.Flags().StringVar(&reason, "reason", "", "of a signature: why it may be signed")
	return cmd
}

// report prints a report, after signing it when there is a reason to.
func (c *session) report(ctx context.Context, d *recovery.Desk, args []string, signing string) error {
	id, err := incidentNamed(ctx, d, args)
	if err != nil {
		return err
	}
	if signing != "" {
		if err := signReport(ctx, d, id, signing); err != nil {
			return err
		}
	}
	input, err := d.Input(ctx, id)
	if err != nil {
		return err
	}
	report := incident.NewReport(input)
	if c.output == outputJSON {
		return c.printed(reportOf(input, report), nil)
	}
	body, err := c.reportBody(ctx, d, input.Incident, report)
	if err != nil {
		return err
	}
	if input.Incident.Report == nil {
		for _, gap := range report.Gaps() {
			fmt.Fprintf(c.env.Stderr, "to be written: %s\n", gap)
		}
	}
	_, err = c.env.Stdout.Write(body)
	return err
}

func signReport(ctx context.Context, d *recovery.Desk, id, reason string) error {
	if _, err := d.Attend(ctx, id); err != nil {
		return err
	}
	input, err := d.Input(ctx, id)
	if err == nil {
		_, err = d.Book().SignReport(ctx, d.Order(), reason, input)
	}
	return err
}

// reportBody is what was signed, or the report as of now.
func (c *session) reportBody(ctx context.Context, d *recovery.Desk, in incident.Incident, report incident.Report) ([]byte, error) {
	if in.Report != nil {
		f, err := d.Book().Frozen(ctx, in)
		if c.output == outputHTML {
			return f.HTML, err
		}
		return f.Markdown, err
	}
	if c.output == outputHTML {
		page, err := report.HTML()
		return []byte(page), err
	}
	return []byte(report.Markdown()), nil
}
