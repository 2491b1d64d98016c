package contract

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// A suite that cannot fail proves nothing: each of these handlers breaks one rule.
func TestWitnessCatchesImpureHandlers(t *testing.T) {
	calls := 0
	type muts = []lockstep.Mutation
	for rule, h := range map[string]echo{
		"Plan answers differently": {plan: func(_ context.Context, _ handler.Unit, m muts) (muts, error) {
			calls++
			m[0].Record.Document = fmt.Sprint(calls)
			return m, nil
		}},
		"follow the clock": {plan: func(_ context.Context, u handler.Unit, m muts) (muts, error) {
			m[0].Record.Document = u.Now.Format(time.RFC3339)
			return m, nil
		}},
		"Plan changed its unit": {plan: func(_ context.Context, u handler.Unit, m muts) (muts, error) {
			u.Messages[0].Change.New["seen"] = lockstep.Attr{Type: lockstep.AttrS}
			return m, nil
		}},
		"Plan is not sure": {plan: func(_ context.Context, _ handler.Unit, m muts) (muts, error) {
			if calls++; calls%2 == 0 {
				return nil, errors.New("now and then")
			}
			return m, nil
		}},
		"fails at one time and not at another": {plan: func(_ context.Context, u handler.Unit, m muts) (muts, error) {
			if u.Now.Hour() == 2 {
				return nil, errors.New("not at night")
			}
			return m, nil
		}},
		"Reads answers differently": {reads: func(_ []lockstep.Message, r handler.Reads) handler.Reads {
			calls++
			r.Records = append(r.Records, handler.RecordRange{Collection: "texts", ID: fmt.Sprint(calls)})
			return r
		}},
		"Reads changed its messages": {reads: func(ms []lockstep.Message, r handler.Reads) handler.Reads {
			ms[0].Change.New["seen"] = lockstep.Attr{Type: lockstep.AttrS}
			return r
		}},
		"names message 1 of 1": {reads: func(_ []lockstep.Message, r handler.Reads) handler.Reads {
			r.Imports = append(r.Imports, handler.ImportRef{Collection: "texts", Location: "x", Message: 1})
			return r
		}},
	} {
		t.Run(rule, func(t *testing.T) {
			calls = 0
			w := &witness{Handler: h}
			x := NewIndex(w, func(ref handler.ImportRef) (handler.Import, error) { return handler.Import{Ref: ref}, nil })
			if _, err := x.Apply(t.Context(), told("p", "a", 1, lockstep.Insert, "x")); err != nil {
				t.Fatal(err)
			}
			if err := w.err(); !errors.Is(err, lockstep.ErrInvalid) || !strings.Contains(err.Error(), rule) {
				t.Errorf("not caught; seen: %v", err)
			}
		})
	}
}
