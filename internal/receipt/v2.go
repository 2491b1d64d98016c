package receipt

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// The files that decide what receipts@2 does; a test keeps the list complete.
//
//go:embed receipt.go key.go patch.go rules.go ranges.go vector.go
//go:embed v2.go scope.go whole.go derive.go place.go labels.go sections.go imports.go
var v2Sources embed.FS

// LabelFormat is how a word's labels are kept: arrays, or the older text with
// commas around every name (DOMAIN 5, label format history).
type LabelFormat string

// The label formats.
const (
	LabelsArray LabelFormat = "array" // valid_labels_array, invalid_labels_array
	LabelsCSV   LabelFormat = "csv"   // valid_labels, invalid_labels: ",A,B,"
)

// V2Config configures receipts@2. The zero value is complete.
type V2Config struct {
	Labels    LabelFormat `json:"labels"`    // "" is LabelsArray
	Dimension int         `json:"dimension"` // components per vector; 0: taken from the first import
	Space     string      `json:"space"`     // "" is "l2"
}

// Check returns lockstep.ErrInvalid when the label format is not known. Dimension
// and space are checked with the description.
func (c V2Config) Check() error {
	switch c.Labels {
	case "", LabelsArray, LabelsCSV:
		return nil
	}
	return fmt.Errorf("%w labels %q: want %q or %q", lockstep.ErrInvalid, c.Labels, LabelsArray, LabelsCSV)
}

type v2 struct {
	desc  handler.Description
	cfg   V2Config
	fault error
}

// V2 returns receipts@2. A cfg that does not Check makes a handler that refuses
// every unit with what Check says.
func V2(cfg V2Config) handler.Handler {
	fault := cfg.Check()
	if cfg.Labels == "" {
		cfg.Labels = LabelsArray
	}
	if cfg.Space == "" {
		cfg.Space = "l2"
	}
	format := formatArray
	if cfg.Labels == LabelsCSV {
		format = formatCSV
	}
	return &v2{
		cfg:   cfg,
		fault: fault,
		desc: handler.Description{
			Name:         "receipts",
			Version:      "2",
			ReadsFormat:  formatCSV,
			WritesFormat: format,
			Code:         handler.SourceHash(v2Sources),
			Config:       canonical(cfg),
			Collections:  collections(cfg.Dimension, cfg.Space),
			Entities:     stateRules(),
		},
	}
}

// canonical is the configuration as JSON with all fields in their order.
func canonical(cfg any) []byte {
	b, err := json.Marshal(cfg)
	if err != nil { // strings and numbers always marshal
		panic(err)
	}
	return b
}

func collections(dimension int, space string) []handler.CollectionSpec {
	return []handler.CollectionSpec{
		{Name: Lines, Dimension: dimension, Space: space},
		{Name: Words, Dimension: dimension, Space: space},
	}
}

// Describe implements handler.Handler.
func (h *v2) Describe() handler.Description { return h.desc }

// Reads implements handler.Handler. A change asks for what it can move: a place
// for every record of its receipt and no label, a label for one word.
func (*v2) Reads(messages []lockstep.Message) handler.Reads {
	var a ask
	for i := range messages {
		c := &messages[i].Change
		k, ok := parseSort(c.Key.Sort)
		if !ok {
			continue
		}
		a.partition = c.Key.Partition
		switch kindOf(c, k) {
		case aspectNone:
		case aspectPlace:
			a.under(Lines, k.receipt)
			a.under(Words, k.receipt)
			a.items(k.receipt + "#METADATA")
			a.items(k.receipt + "#PLACE")
		case aspectLabels:
			a.record(Words, k.word)
			a.items(k.word + "#LABEL#")
		case aspectSection:
			a.under(Lines, k.receipt)
			a.items(k.receipt + "#SECTION#")
		case aspectImport:
			refs := runImports(&messages[i], i)
			if len(refs) == 0 {
				continue
			}
			a.reads.Imports = append(a.reads.Imports, refs...)
			a.under(Lines, k.receipt)
			a.under(Words, k.receipt)
			a.items(k.receipt)
		case aspectRemoval:
			a.removal(k)
		}
	}
	return a.done()
}

// removal asks for the records that end with an item, and for the removals above
// and below it that are known.
func (a *ask) removal(k sortKey) {
	switch {
	case k.word != "":
		a.record(Words, k.word)
		a.items(k.word)
	case k.line != "":
		a.record(Lines, k.line)
		a.under(Words, k.line)
		a.items(k.line)
	default:
		a.under(Lines, k.receipt)
		a.under(Words, k.receipt)
		a.items(k.receipt)
	}
}

// Plan implements handler.Handler: the messages say where to look, the view says
// what shall be.
func (h *v2) Plan(ctx context.Context, unit handler.Unit) ([]lockstep.Mutation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if h.fault != nil {
		return nil, h.fault
	}
	scopes, err := scopesOf(&unit)
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		return nil, nil
	}
	d := deriver{cfg: h.cfg, view: &unit.View, partition: unit.Messages[0].Change.Key.Partition}
	return d.derive(ctx, scopes)
}
