package faults

import (
	"errors"
	"sync/atomic"
	"time"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
	"lockstep/internal/receipt"
)

var (
	errIndex  = errors.New("index out of range [3] with length 3")
	errRemove = errors.New("'NoneType' object has no attribute 'key'")
)

const fromGeneral = "general"

// pace is how long a unit of a slow stable takes: far above what the machine does to a
// unit that takes no time.
const pace = 1500 * time.Microsecond

// general lists how bad code fails whatever its domain.
func general() []Fault {
	return []Fault{
		{
			ID: "fails-1-in-20", What: "One unit in twenty ends in an error.", Origin: fromGeneral,
			Kind: Builtin, Shadow: true, Catch: failing(), Harm: HarmNone,
			candidate: spoilt("fails-1-in-20", func(p *plan) error {
				if one(20, p.first()) {
					return errIndex
				}
				return nil
			}),
		},
		{
			ID: "fails-on-deletes", What: "Every unit that removes an item ends in an error.", Origin: fromGeneral,
			Kind: Builtin, Shadow: true, Catch: failing(), Harm: HarmNone,
			candidate: spoilt("fails-on-deletes", func(p *plan) error {
				if p.any(func(c *lockstep.Change) bool { return c.Event == lockstep.Remove }) {
					return errRemove
				}
				return nil
			}),
		},
		{
			ID: "slow-3x", What: "Every unit takes three times as long as with stable.", Origin: fromGeneral,
			Kind: Builtin, Catch: slow(), Harm: HarmNone, stable: steady(pace),
			candidate: spoilt("slow-3x", func(p *plan) error { return p.wait(3 * pace) }),
		},
		{
			ID: "hangs", What: "One unit in thirty never returns until it is told to.", Origin: fromGeneral + "; 532ac5744, 3f625b839",
			Kind: Builtin, Shadow: true, Catch: append(failing(), slow()...), Harm: HarmNone,
			candidate: spoilt("hangs", func(p *plan) error {
				if one(30, p.first()) {
					<-p.ctx.Done()
					return p.ctx.Err()
				}
				return nil
			}),
		},
		{
			ID: "fails-later", What: "It works for its first 150 units and fails on every one after them.", Origin: "10.3 c72e7bb9d (a start time that a warm process kept)",
			Kind: Builtin, Shadow: true, Catch: failing(), Harm: HarmNone,
			candidate: func() handler.Handler {
				var units atomic.Int64
				return spoilt("fails-later", func(*plan) error {
					if units.Add(1) > 150 {
						return errors.New("timed out")
					}
					return nil
				})()
			},
		},
	}
}

// generalAnswers lists how bad code answers wrongly whatever its domain.
func generalAnswers() []Fault {
	return []Fault{
		{
			ID: "wrong-1-percent", What: "One record in a hundred gets a wrong text under one key.", Origin: fromGeneral,
			Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("wrong-1-percent", func(p *plan) error {
				p.upserts(func(m *lockstep.Mutation) {
					if one(100, m.Record.ID) {
						set(m, "text", lockstep.String("?"))
					}
				})
				return nil
			}),
		},
		{
			ID: "drops-50th", What: "One mutation in fifty is left out.", Origin: fromGeneral,
			Kind: Builtin, Shadow: true, Catch: lossy(), Harm: HarmKeys,
			candidate: spoilt("drops-50th", func(p *plan) error {
				p.drop(func(m *lockstep.Mutation) bool { return one(50, p.first()+m.Record.ID) })
				return nil
			}),
		},
		{
			ID: "extra-key", What: "Every record gets a key that nobody asked for.", Origin: fromGeneral,
			Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: spoilt("extra-key", func(p *plan) error {
				p.upserts(func(m *lockstep.Mutation) { set(m, "debug", lockstep.Bool(true)) })
				return nil
			}),
		},
		{
			ID: "deletes-too-much", What: "The removal of a word takes the record of its line as well.", Origin: fromGeneral,
			Kind: Builtin, Shadow: true, Catch: append(wrong(), "records-shrinking"), Harm: HarmKeys,
			candidate: func() handler.Handler {
				v := good("deletes-too-much")
				v.reads = everyRecord
				v.plan = func(p *plan) error { return p.takeLines() }
				return v
			},
		},
		{
			ID: "not-deterministic", What: "The same input gives another answer each time.", Origin: fromGeneral,
			Kind: Builtin, Shadow: true, Catch: wrong(), Harm: HarmKeys,
			candidate: func() handler.Handler {
				var calls atomic.Int64
				return spoilt("not-deterministic", func(p *plan) error {
					n := calls.Add(1)
					p.upserts(func(m *lockstep.Mutation) { set(m, "rank", lockstep.Int(n)) })
					return nil
				})()
			},
		},
		{
			ID: "wrong-dimension", What: "One vector in ten has a component too many.", Origin: fromGeneral,
			Kind: Builtin, Shadow: true, Catch: failing(), Harm: HarmNone,
			candidate: spoilt("wrong-dimension", func(p *plan) error {
				p.upserts(func(m *lockstep.Mutation) {
					if one(10, p.first()+m.Record.ID) {
						m.Vector = make([]float32, dimension+1)
					}
				})
				return nil
			}),
		},
	}
}

// takeLines deletes the line of every word that goes.
func (p *plan) takeLines() error {
	for _, m := range p.muts {
		if m.Op == lockstep.Delete && m.Collection == receipt.Words && p.change(&m).Entity == receipt.EntityWord {
			p.add(lockstep.Mutation{Collection: receipt.Lines, Op: lockstep.Delete, Record: lockstep.Record{ID: lineOf(m.Record.ID)}, Cause: m.Cause})
		}
	}
	return nil
}
