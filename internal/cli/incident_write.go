package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lockstep/internal/app/recovery"
	"lockstep/internal/incident"
)

// oneOrTwo is a rule for an incident and one thing more that may be left out.
func oneOrTwo(names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < 1 || len(args) > 2 {
			return usageError{fmt.Errorf("%s takes %s (see %q)", cmd.CommandPath(), names, cmd.CommandPath()+" --help")}
		}
		return nil
	}
}

func (c *session) incidentNote() *cobra.Command {
	section, link := "", ""
	var sections []string
	for _, s := range incident.Sections() {
		sections = append(sections, string(s))
	}
	cmd := &cobra.Command{
		Use:   "note INCIDENT [TEXT]",
		Short: "Write something down, a section of the report, or what belongs to it",
		Long: `Keeps a text with your name and the time. With --section it is that section of the
report, and the newest counts: ` + strings.Join(sections, ", ") + `.
Without TEXT it is read from the standard input.

With --link it names something that belongs to the incident: plan=ID, issue=ADDRESS,
file=PATH or other=ANYTHING; TEXT then says what it is, and may be left out.`,
		Example: `  lockstep incident note prod-3 "the queue is empty again"
  lockstep incident note prod-3 --section root-cause < cause.md
  lockstep incident note prod-3 --link issue=https://github.com/acme/receipts/issues/812`,
		Args: oneOrTwo("an incident and at most one text"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if link != "" {
				if section != "" {
					return usageError{errors.New("--section and --link exclude each other")}
				}
				return c.linked(cmd.Context(), args, link)
			}
			text, err := c.textOf(args)
			if err != nil {
				return err
			}
			return c.changed(cmd.Context(), args[0], func(in incident.Incident, by incident.Order) (incident.Transition, error) {
				return incident.AddNote(in, by, incident.Section(section), text)
			})
		},
	}
	cmd.Flags().StringVar(&section, "section", "", "the section of the report that it is")
	cmd.Flags().StringVar(&link, "link", "", "KIND=TO: something that belongs to the incident")
	return cmd
}

// textOf is the second argument, or what the standard input holds.
func (c *session) textOf(args []string) (string, error) {
	if len(args) > 1 {
		return args[1], nil
	}
	if c.env.Asks {
		fmt.Fprintln(c.env.Stderr, "the text, ended by an end of file (Ctrl-D):")
	}
	// What is too long is refused with its length, and not cut.
	b, err := io.ReadAll(io.LimitReader(c.env.Stdin, incident.MaxEntryBytes))
	if err != nil {
		return "", fmt.Errorf("read the text: %w", err)
	}
	return string(b), nil
}

func (c *session) linked(ctx context.Context, args []string, link string) error {
	kind, to, ok := strings.Cut(link, "=")
	if !ok {
		return usageError{fmt.Errorf("--link %q: want KIND=TO, the kind plan, issue, file or other", link)}
	}
	l := incident.Link{Kind: incident.LinkKind(kind), To: to}
	if len(args) > 1 {
		l.Text = args[1]
	}
	return c.changed(ctx, args[0], func(in incident.Incident, by incident.Order) (incident.Transition, error) {
		return incident.AddLink(in, by, l)
	})
}

func (c *session) incidentDecide() *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use:     "decide INCIDENT WHAT --reason TEXT",
		Short:   "Keep a decision and its reason",
		Example: `  lockstep incident decide prod-3 "take the quick way back" --reason "customers are affected"`,
		Args:    exactly(2, "an incident and a decision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needReason(cmd, reason); err != nil {
				return err
			}
			return c.changed(cmd.Context(), args[0], func(in incident.Incident, by incident.Order) (incident.Transition, error) {
				return incident.Decide(in, by, args[1], reason)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why (required)")
	return cmd
}

func (c *session) incidentTask() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "task",
		Short: "List what is to be done, add to it, or say that it is done",
	}
	verbs(cmd)
	cmd.AddCommand(c.taskList(), c.taskAdd(), c.taskDone())
	return cmd
}

func (c *session) taskList() *cobra.Command {
	return &cobra.Command{
		Use:   "list [INCIDENT]",
		Short: "List the tasks of an incident, the most urgent first",
		Args:  atMostOne("one incident"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.desk(ctx, func(d *recovery.Desk) error {
				id, err := incidentNamed(ctx, d, args)
				if err != nil {
					return err
				}
				input, err := d.Input(ctx, id)
				if err != nil {
					return err
				}
				due := dueTasks(input.Incident, input.Now)
				all := map[string]any{"incident": id, "due": due, "tasks": input.Incident.Tasks}
				return c.printed(all, func(w io.Writer) { printTasks(w, input.Incident, due) })
			})
		},
	}
}

func (c *session) taskAdd() *cobra.Command {
	var t incident.Task
	due := ""
	cmd := &cobra.Command{
		Use:     "add INCIDENT TITLE",
		Short:   "Add something that is to be done",
		Example: `  lockstep incident task add prod-3 "alert on labels that shrink" --owner anna --due 14d`,
		Args:    exactly(2, "an incident and what is to be done"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t.Title = args[1]
			if due != "" {
				var err error
				if t.Due, err = endOf(due, c.env.Now()); err != nil {
					return usageError{fmt.Errorf("--due %q: want a duration such as 36h or 14d, a date such as 2026-12-31, or a time in RFC 3339", due)}
				}
			}
			return c.changed(cmd.Context(), args[0], func(in incident.Incident, by incident.Order) (incident.Transition, error) {
				return incident.AddTask(in, by, t)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.ID, "id", "", "a name for it (default: action-1, and so on)")
	f.StringVar(&t.Owner, "owner", "", "who does it")
	f.StringVar(&due, "due", "", "a duration such as 36h or 14d, a date, or a time in RFC 3339")
	f.StringArrayVar(&t.Steps, "step", nil, "a part of it; may be given again")
	return cmd
}

func (c *session) taskDone() *cobra.Command {
	reason, link := "", ""
	cmd := &cobra.Command{
		Use:     "done INCIDENT TASK --reason TEXT",
		Short:   "Say that a task is done, and what was done",
		Example: `  lockstep incident task done prod-3 fix-issues --reason "merged" --link https://github.com/acme/receipts/pull/815`,
		Args:    exactly(2, "an incident and a task"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needReason(cmd, reason); err != nil {
				return err
			}
			return c.changed(cmd.Context(), args[0], func(in incident.Incident, by incident.Order) (incident.Transition, error) {
				return incident.FinishTask(in, by, args[1], reason, link)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what was done (required)")
	cmd.Flags().StringVar(&link, "link", "", "where it can be looked up")
	return cmd
}

func (c *session) incidentSign() *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use:   "sign INCIDENT ITEM --reason TEXT",
		Short: "Answer for an item of the checklist, with your name",
		Long: `Ticks an item of the checklist by your word, in the incident and in the rollback that
belongs to it. The report shows it with your name, and beside it what a machine saw.`,
		Example: `  lockstep incident sign prod-3 monitor.customers --reason "support has seen no ticket for an hour"`,
		Args:    exactly(2, "an incident and an item of the checklist"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needReason(cmd, reason); err != nil {
				return err
			}
			return c.desk(cmd.Context(), func(d *recovery.Desk) error {
				if _, err := d.Sign(cmd.Context(), args[0], args[1], reason); err != nil {
					return err
				}
				return c.shown(cmd.Context(), d, args[0])
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "what you have seen (required)")
	return cmd
}

func (c *session) incidentClose() *cobra.Command {
	reason := ""
	var accept []string
	cmd := &cobra.Command{
		Use:   "close INCIDENT --reason TEXT",
		Short: "End an incident; what is open has to be finished, signed, or accepted by name",
		Long: `Ends an incident. Tasks that are due within a day and items of the checklist that are
open are in the way (status 5); --accept names one that may stay open, and the report
says that it did. "lockstep incident show" lists them.`,
		Example: `  lockstep incident close prod-3 --reason "fixed and understood" --accept fix-issues`,
		Args:    exactly(1, "an incident"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needReason(cmd, reason); err != nil {
				return err
			}
			return c.closeIncident(cmd.Context(), args[0], incident.Closing{Reason: reason, Accept: accept})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "how it ended (required)")
	cmd.Flags().StringSliceVar(&accept, "accept", nil, "a task or an item that may stay open; may be given again")
	return cmd
}

func (c *session) closeIncident(ctx context.Context, id string, closing incident.Closing) error {
	return c.desk(ctx, func(d *recovery.Desk) error {
		if _, err := d.Attend(ctx, id); err != nil {
			return err
		}
		input, err := d.Input(ctx, id)
		if err != nil {
			return err
		}
		closing.Checklist = input.Checklist
		_, err = d.Book().Do(ctx, id, func(in incident.Incident) (incident.Transition, error) { return incident.Close(in, d.Order(), closing) })
		if err != nil {
			return err
		}
		if input.Incident.Report == nil {
			c.next("lockstep incident report %s --sign --reason TEXT", id)
		}
		return c.shown(ctx, d, id)
	})
}

func (c *session) incidentReopen() *cobra.Command {
	reason := ""
	cmd := &cobra.Command{
		Use:   "reopen INCIDENT --reason TEXT",
		Short: "Take the end of an incident back, and the signature of its report with it",
		Args:  exactly(1, "an incident"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needReason(cmd, reason); err != nil {
				return err
			}
			return c.changed(cmd.Context(), args[0], func(in incident.Incident, by incident.Order) (incident.Transition, error) {
				return incident.Reopen(in, by, reason)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why it is not over (required)")
	return cmd
}
