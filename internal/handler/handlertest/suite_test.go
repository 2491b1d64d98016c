package handlertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"lockstep/internal/handler"
	"lockstep/internal/handler/contract"
	"lockstep/internal/lockstep"
)

// echo keeps one record per item; the wrong one keeps the last message too, and hears
// no context.
type echo struct{ wrong bool }

func (echo) Describe() handler.Description {
	return handler.Description{
		Name: "echo", Version: "1", Code: "00",
		Collections: []handler.CollectionSpec{{Name: "texts"}},
		Entities:    []handler.EntityRule{{Entity: "TEXT", Partition: "p.*", Sort: ".*"}},
	}
}

func (echo) Reads(ms []lockstep.Message) handler.Reads {
	var r handler.Reads
	for _, m := range ms {
		if m.Change.Entity == "TEXT" {
			r.Items = append(r.Items, handler.ItemRange{Partition: m.Change.Key.Partition, SortPrefix: m.Change.Key.Sort})
			r.Records = append(r.Records, handler.RecordRange{Collection: "texts", ID: m.Change.Key.RecordID()})
		}
	}
	return r
}

func (e echo) Plan(ctx context.Context, u handler.Unit) ([]lockstep.Mutation, error) {
	if err := ctx.Err(); err != nil && !e.wrong {
		return nil, err
	}
	last := len(u.Messages) - 1
	var out []lockstep.Mutation
	for _, it := range u.View.Items {
		m := lockstep.Mutation{Collection: "texts", Op: lockstep.Delete, Record: lockstep.Record{ID: it.ID}, Cause: last}
		if it.Image != nil {
			m.Op, m.Vector, m.Record.Document, m.Record.HasDocument = lockstep.Upsert, []float32{1}, it.Image.Str("text"), true
			if e.wrong {
				m.Record.Document = u.Messages[last].ID
			}
		}
		out = append(out, m)
	}
	return out, nil
}

func fixture() Fixture {
	var ms []lockstep.Message
	for i := range 6 {
		key := lockstep.ItemKey{Partition: fmt.Sprint("p", i%2), Sort: fmt.Sprint(i % 3)}
		ms = append(ms, lockstep.Message{ID: fmt.Sprint(i), Group: key.Partition, Change: lockstep.Change{
			Key: key, Event: lockstep.Modify, Seq: lockstep.Sequence(fmt.Sprint(i + 1)),
			New: lockstep.Item{"text": {Type: lockstep.AttrS, Text: fmt.Sprint("text ", i)}},
		}})
	}
	ms = append(ms, ms[0], ms[1])
	ms[6].ID, ms[6].Change.Seq = "6", "7"
	ms[7].ID, ms[7].Change.Seq, ms[7].Change.Event, ms[7].Change.New = "7", "8", lockstep.Remove, nil
	return Fixture{Messages: ms, Convergent: true}
}

func TestSuitePassesAGoodHandler(t *testing.T) {
	Run(t, echo{}, fixture())
}

const wrongHandler = "LOCKSTEP_TEST_WRONG_HANDLER"

// TestWrongHandler is what TestSuiteFailsAWrongHandler runs, and expects to fail.
func TestWrongHandler(t *testing.T) {
	if os.Getenv(wrongHandler) == "" {
		t.Skip("only run by TestSuiteFailsAWrongHandler")
	}
	Run(t, echo{wrong: true}, fixture())
}

func TestSuiteFailsAWrongHandler(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWrongHandler$", "-test.v", "-rapid.nofailfile")
	cmd.Env = append(os.Environ(), wrongHandler+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("it passed:\n%s", out)
	}
	wrong := map[string]bool{
		"a cancelled context ends the plan":         true,
		"batches do not matter more than the clock": true,
		contract.OrderName:                          true,
	}
	for _, c := range contract.Checks() {
		want := "--- PASS: TestWrongHandler/"
		if wrong[c.Name] {
			want = "--- FAIL: TestWrongHandler/"
		}
		if want += strings.ReplaceAll(c.Name, " ", "_"); !strings.Contains(string(out), want) {
			t.Errorf("not found: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}
