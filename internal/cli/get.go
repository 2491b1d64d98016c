package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lockstep/internal/app"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// shownRecord is one record for people and programs.
type shownRecord struct {
	Collection lockstep.Collection `json:"collection"`
	ID         string              `json:"id"`
	Document   *string             `json:"document"`
	Metadata   map[string]any      `json:"metadata"`
	Dimension  uint32              `json:"dimension"`
	Vector     []float32           `json:"vector,omitempty"`
	Author     lockstep.Author     `json:"author"`
}

func (c *session) get() *cobra.Command {
	var prefix, vectors bool
	var limit int
	cmd := &cobra.Command{
		Use:     "get COLLECTION [ID]",
		GroupID: groupRead,
		Short:   "Show records, without Chroma",
		Long: `Shows one record, or with --prefix all whose id begins with ID, or the first ones
of the collection. The collections "table", "parked" and "malformed" are
Lockstep's own: the mirror of the table, and what is set aside.`,
		Example: `  lockstep get words 'IMAGE#3f8f2a10-5b0d-4c77-9a57-2f6f0f7a1c01#RECEIPT#00001' --prefix`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usageError{errors.New("lockstep get takes a collection and perhaps an id (see \"lockstep get --help\")")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q := query{collection: lockstep.Collection(args[0]), limit: limit, prefix: prefix || len(args) == 1, vectors: vectors}
			if len(args) == 2 {
				q.id = args[1]
			}
			return c.runGet(cmd.Context(), q)
		},
	}
	cmd.Flags().BoolVarP(&prefix, "prefix", "p", false, "all records whose id begins with ID")
	cmd.Flags().BoolVar(&vectors, "vectors", false, "show the vectors as well")
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "at most this many")
	return cmd
}

type query struct {
	collection lockstep.Collection
	id         string
	limit      int
	prefix     bool
	vectors    bool
}

func (c *session) runGet(ctx context.Context, q query) error {
	var out []shownRecord
	err := c.looking(ctx, func(a *app.App) (err error) {
		view, err := a.State.Read()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, view.Close()) }()
		out, err = find(ctx, view, q)
		return err
	})
	if err != nil {
		return err
	}
	return c.printed(out, func(w io.Writer) {
		for _, r := range out {
			printRecord(w, r)
		}
	})
}

var errEnough = errors.New("enough")

func find(ctx context.Context, view *state.Reader, q query) ([]shownRecord, error) {
	out := []shownRecord{}
	add := func(row state.Row) error {
		if len(out) == q.limit {
			return errEnough
		}
		rec, err := version.DecodeRecord(string(row.ID), row.Record)
		if err != nil {
			return err
		}
		r := shownRecord{Collection: q.collection, ID: rec.ID, Metadata: rec.Metadata.Map(), Dimension: rec.Vector.Dim, Author: row.Author()}
		if rec.HasDocument {
			r.Document = &rec.Document
		}
		if q.vectors {
			v, err := view.Vector(ctx, q.collection, rec.ID, rec.Vector)
			if err != nil {
				return err
			}
			r.Vector = version.VectorOf(v)
		}
		out = append(out, r)
		return nil
	}
	if q.prefix {
		if err := view.Scan(ctx, q.collection, q.id, add); err != nil && !errors.Is(err, errEnough) {
			return nil, err
		}
		return out, nil
	}
	found, err := view.Get(q.collection, q.id, func(row state.Row) error {
		row.ID = []byte(q.id)
		return add(row)
	})
	if err != nil || found {
		return out, err
	}
	return nil, lockstep.Hint(fmt.Errorf("record %q of %s: %w", q.id, q.collection, lockstep.ErrNotFound), `"lockstep get COLLECTION ID --prefix" shows what begins like it`)
}

func printRecord(w io.Writer, r shownRecord) {
	fmt.Fprintf(w, "%s\n", r.ID)
	if r.Document != nil {
		fmt.Fprintf(w, "  document  %s\n", *r.Document)
	}
	for _, k := range sortedKeys(r.Metadata) {
		fmt.Fprintf(w, "  %s = %v\n", k, r.Metadata[k])
	}
	if r.Dimension > 0 {
		fmt.Fprintf(w, "  vector of %d components\n", r.Dimension)
	}
	if r.Vector != nil {
		fmt.Fprintf(w, "  %v\n", r.Vector)
	}
	fmt.Fprintf(w, "  written by %s in version %d for message %s\n", orNone(r.Author.Revision), r.Author.Version, orNone(r.Author.Message))
}
