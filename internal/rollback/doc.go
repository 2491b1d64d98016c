// Package rollback answers: how does everything go back to a known-good pair, what of it
// is done, and what is left for a person?
//
// A Plan is a list of steps that name both of their ends, and is stored before its first
// step. A Target is what carries steps out: a pair of look and do. The Engine walks a
// plan: it looks, does, and looks again, notes each in the plan's ledger, and goes on. The
// package knows no target and decides nothing about data, git or deployments; assembly
// makes the steps.
//
// It promises:
//
//   - A plan that was killed anywhere goes on with the next Run, and does each step once:
//     a step whose end is true already is not done again.
//   - A step that finds what neither of its ends names is not done. It says what it found.
//   - A step that cannot be done holds up those that need it, and no others. What is left
//     then is stuck: a state that says what a person does next, and whom to call.
//   - One process walks a plan at a time. Another one that tries is told so, and changes
//     nothing. Who walks shows signs of life; one that shows none for some beats is taken
//     for dead, and its step is looked at and gone on with.
//   - A person signs, leaves out and retries while a plan is walked; the walk goes on.
//   - A plan is taken back by another plan, made of what its targets say.
//
// What a kill leaves, arrow by arrow:
//
//	killed                                 there is                     the next Run
//	before the entry "planned"             nothing                      finds no plan
//	between two steps                      a plan under way             goes on with the next step
//	after "begin", before the Do           a step that is being done    looks: the beginning; does it
//	inside the Do                          the same, half an effect     looks: Partial; does it, from there
//	after the Do, before the second look   the same, the whole effect   looks: the end; notes it, does nothing
//	in the append of an entry              the entry, or not            reads the newest entry and looks
//	after the last step, before "walked"   nothing left that can be     notes it
//
// The checklist of the document is made of what the looks have shown and of what people
// have signed; nothing else ticks an item.
package rollback
