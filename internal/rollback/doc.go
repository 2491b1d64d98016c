// Package rollback answers: how does everything go back to a known-good pair, what of it
// is done, and what is left for a person?
package rollback
