package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"lockstep/internal/config"
	"lockstep/internal/durable"
	"lockstep/internal/receipt/synth"
)

// DemoOptions says how large the demonstration is.
type DemoOptions struct {
	Seed      uint64
	Receipts  int
	Dimension int
	Edits     int
}

// DemoConfig returns the configuration of a demonstration under dir.
func DemoConfig(cfg config.Config, dir string) config.Config {
	cfg = cfg.WithData(dir)
	cfg.Handler = config.HandlerReceipts2
	cfg.Imports = config.Imports{Directory: filepath.Join(dir, "imports")}
	return cfg
}

// DemoFiles are the two streams that a demonstration plays, as files that "lockstep
// ingest" reads, and the size of what they tell.
type DemoFiles struct {
	Created string // the table as it comes to be: receipts, lines, words, labels, embeddings
	Edited  string // a busy day: renamed places, moved labels, deletions, and what real streams send besides
	Records int    // stream records in Created
	Edits   int    // edits in Edited
	Keys    int    // partition keys, one for each receipt

	synth *synth.Generator // goes on where Edited ends
}

// WriteDemo invents a table of receipts and writes its stream records and its
// embeddings under dir.
func WriteDemo(ctx context.Context, dir string, opts DemoOptions) (DemoFiles, error) {
	g := synth.New(opts.Seed, synth.Options{Receipts: opts.Receipts, Dimension: opts.Dimension})
	f := DemoFiles{Created: filepath.Join(dir, "created.ndjson"), Edited: filepath.Join(dir, "edited.ndjson"), Edits: opts.Edits, Keys: opts.Receipts, synth: g}
	var out bytes.Buffer
	for e := range g.Events() {
		out.Write(e.AppendJSON(nil))
		out.WriteByte('\n')
		f.Records++
	}
	if err := writeFile(f.Created, out.Bytes()); err != nil {
		return f, err
	}
	for i := range g.Len() {
		if err := ctx.Err(); err != nil {
			return f, err
		}
		if err := writeObjects(dir, g, i); err != nil {
			return f, err
		}
	}
	out.Reset()
	for range opts.Edits {
		for _, edit := range g.Edits(1) {
			for _, e := range edit.Events {
				out.Write(e.AppendJSON(nil))
				out.WriteByte('\n')
			}
			if edit.Kind != "re-embedded" {
				continue
			}
			if err := writeObjects(dir, g, edit.Receipt); err != nil {
				return f, err
			}
		}
	}
	return f, writeFile(f.Edited, append(misfits(g), out.Bytes()...))
}

// misfits returns what real streams send too: records delivered again, one cut short,
// and one of an item that is none of our business.
func misfits(g *synth.Generator) []byte {
	var out bytes.Buffer
	n := 0
	for e := range g.Events() {
		line := e.AppendJSON(nil)
		switch n++; n {
		case 1, 2, 3:
			out.Write(line)
		case 4:
			out.Write(line[:len(line)/2])
		case 5:
			out.Write(bytes.ReplaceAll(line, []byte("RECEIPT#00001"), []byte("AUDIT#00001")))
		default:
			return out.Bytes()
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

func writeObjects(dir string, g *synth.Generator, receipt int) error {
	for _, o := range g.Objects(g.Receipt(receipt)) {
		if err := writeFile(filepath.Join(dir, "imports", filepath.FromSlash(o.Key)), o.Body); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, body []byte) error {
	if err := errors.Join(durable.MkdirAll(filepath.Dir(path)), durable.Replace(path, body)); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}
