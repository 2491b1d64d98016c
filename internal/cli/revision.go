package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/release"
)

func (c *session) revision() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revision",
		GroupID: groupReleases,
		Short:   "Show what can run here, try it, refuse it",
		Long: `A revision is one build of a handler with its configuration. It is known by the hash of
its content: a quarantined hash is refused everywhere, under whatever name, also as
LOCKSTEP_REVISION.`,
	}
	verbs(cmd)
	cmd.AddCommand(c.revisionList(), c.revisionProbe(), c.revisionQuarantine(), c.revisionRelease())
	return cmd
}

// revisionsView is what "revision list" tells programs.
type revisionsView struct {
	Revisions []app.RevisionInfo   `json:"revisions"`
	Broken    []app.BrokenRevision `json:"broken"` // configured, and do not start
}

func (c *session) revisionList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the revisions: where they come from, what they are, which are refused",
		Args:  exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return c.releasing(ctx, app.OpenControl, func(control *app.Control) error {
				_, s, err := control.Standing(ctx)
				if err != nil {
					return err
				}
				v := revisionsView{Revisions: control.ListRevisions(s), Broken: append([]app.BrokenRevision{}, control.Revisions.Broken()...)}
				return c.printed(v, func(w io.Writer) { printRevisions(w, v) })
			})
		},
	}
}

func printRevisions(w io.Writer, v revisionsView) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, r := range v.Revisions {
		state := strings.Join(r.Roles, ", ")
		if r.Quarantined != "" {
			if state != "" {
				state += "; "
			}
			state += "quarantined " + r.Quarantined
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.ID, cmp.Or(r.Origin, "not here"), cmp.Or(state, "-"))
	}
	for _, b := range v.Broken {
		fmt.Fprintf(t, "%s\tprogram\tbroken: %s\n", b.Name, b.Reason)
	}
	_ = t.Flush() // the same writer that printed takes this too; an error there has shown itself
}

// collectionView is a collection that a revision declares.
type collectionView struct {
	Name      lockstep.Collection `json:"name"`
	Dimension int                 `json:"dimension"` // 0: taken from the first import
	Space     string              `json:"space,omitempty"`
}

// revisionView is what a revision says about itself.
type revisionView struct {
	ID           string           `json:"id"`
	Hash         string           `json:"hash"`
	Origin       string           `json:"origin"`
	ReadsFormat  string           `json:"reads_format"`
	WritesFormat string           `json:"writes_format"`
	Code         string           `json:"code"`
	Config       string           `json:"config,omitempty"`
	Collections  []collectionView `json:"collections"`
	Entities     []string         `json:"entities"`
	Partition    string           `json:"partition_key,omitempty"`
	Sort         string           `json:"sort_key,omitempty"`
}

func (c *session) revisionProbe() *cobra.Command {
	return &cobra.Command{
		Use:   "probe NAME",
		Short: "Start a revision and show what it says about itself",
		Args:  exactly(1, "one revision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.releasing(ctx, app.OpenControl, func(control *app.Control) error {
				for _, b := range control.Revisions.Broken() {
					if b.Name == args[0] {
						return fmt.Errorf("probe %s: %w: it does not start: %s", b.Name, lockstep.ErrNotFound, b.Reason)
					}
				}
				rev, err := control.Revisions.Lookup(args[0])
				if err == nil {
					err = control.Revisions.Probe(ctx, rev)
				}
				if err != nil {
					return fmt.Errorf("probe: %w", err)
				}
				v := described(rev, control.Revisions.Origin(rev))
				return c.printed(v, func(w io.Writer) { printRevision(w, &v) })
			})
		},
	}
}

func described(rev handler.Revision, origin string) revisionView {
	d := rev.Handler.Describe()
	v := revisionView{
		ID: rev.ID(), Hash: rev.Hash, Origin: origin, ReadsFormat: d.ReadsFormat, WritesFormat: d.WritesFormat, Code: d.Code, Config: string(d.Config),
		Collections: []collectionView{}, Entities: []string{}, Partition: d.Key.Partition, Sort: d.Key.Sort,
	}
	for _, col := range d.Collections {
		v.Collections = append(v.Collections, collectionView{col.Name, col.Dimension, col.Space})
	}
	for _, e := range d.Entities {
		v.Entities = append(v.Entities, e.Entity)
	}
	return v
}

func printRevision(w io.Writer, v *revisionView) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "revision\t%s\n", v.ID)
	fmt.Fprintf(t, "hash\t%s\n", v.Hash)
	fmt.Fprintf(t, "origin\t%s\n", v.Origin)
	fmt.Fprintf(t, "reads\t%s\n", v.ReadsFormat)
	fmt.Fprintf(t, "writes\t%s\n", v.WritesFormat)
	if v.Config != "" {
		fmt.Fprintf(t, "config\t%s\n", v.Config)
	}
	for _, col := range v.Collections {
		fmt.Fprintf(t, "collection\t%s, %s, %s\n", col.Name, components(col.Dimension), cmp.Or(col.Space, "l2"))
	}
	fmt.Fprintf(t, "entities\t%s\n", strings.Join(v.Entities, ", "))
	_ = t.Flush() // the same writer that printed takes this too; an error there has shown itself
}

func components(n int) string {
	if n == 0 {
		return "components as imported"
	}
	return fmt.Sprintf("%d components", n)
}

func (c *session) revisionQuarantine() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "quarantine NAME --reason WHY",
		Short: "Refuse a revision from now on, by the hash of its content",
		Long: `NAME is the ID of a revision, whether it can run here or not; or a label, or the first
digits of a hash. A release of it that is under way is aborted by the same order. The
candidate of the latest release is found without starting anything.`,
		Args: exactly(1, "one revision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needReason(cmd, reason); err != nil {
				return err
			}
			return c.quarantine(cmd.Context(), args[0], reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger")
	return cmd
}

func (c *session) quarantine(ctx context.Context, name, reason string) error {
	id := ""
	err := c.releasing(ctx, app.OpenOrders, func(control *app.Control) error {
		_, s, err := control.Standing(ctx)
		id, _ = app.Named(s, name)
		return err
	})
	if err == nil && id == "" {
		err = c.releasing(ctx, app.OpenControl, func(control *app.Control) error {
			rev, err := control.Revisions.Lookup(name)
			if err == nil {
				id = rev.ID()
			}
			return err
		})
	}
	if err != nil {
		return err
	}
	return c.order(ctx, reason, func(s release.State, by release.Order) (release.Transition, error) {
		return release.Quarantine(s, by, id)
	})
}

func (c *session) revisionRelease() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "release-quarantine NAME --reason WHY",
		Short: "Let a quarantined revision in again; the evidence against it stays",
		Args:  exactly(1, "one revision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needReason(cmd, reason); err != nil {
				return err
			}
			return c.order(cmd.Context(), reason, func(s release.State, by release.Order) (release.Transition, error) {
				id, err := jailed(s, args[0])
				if err != nil {
					return release.Transition{}, err
				}
				return release.Unquarantine(s, by, id)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger")
	return cmd
}

// jailed finds the quarantined revision that a name stands for.
func jailed(s release.State, name string) (string, error) {
	var found, all []string
	for _, q := range s.Quarantine {
		all = append(all, q.Revision)
		if app.Answers(q.Revision, name) || release.SameRevision(q.Revision, name) {
			found = append(found, q.Revision)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		known := "none is"
		if len(all) > 0 {
			known = "those are " + strings.Join(all, ", ")
		}
		return "", fmt.Errorf("quarantined revision %q: %w; %s", name, lockstep.ErrNotFound, known)
	}
	return "", lockstep.Hint(fmt.Errorf("quarantined revision %q: %w: it could be %s", name, lockstep.ErrRefused, strings.Join(found, ", ")), "name it by its id")
}
