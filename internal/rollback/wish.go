package rollback

import (
	"fmt"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Wish is what is to happen to the data.
type Wish string

// The wishes.
const (
	WishAuto    Wish = "auto"    // the cheapest one that is safe
	WishRevert  Wish = "revert"  // what the bad revision wrote is undone and derived again; later changes stay
	WishReset   Wish = "reset"   // the index is the version again, and what came after is handled again
	WishRebuild Wish = "rebuild" // every record is derived anew from the mirror of the table
	WishDiscard Wish = "discard" // the index is the version again, and what came after is given up
	WishNone    Wish = "none"    // the data stays as it is
)

// RiskLoseChanges is what a person has to accept by name before changes are given up.
const RiskLoseChanges = "lose-changes"

// chosen is what happens to the data, and why.
type chosen struct {
	wish      Wish
	why       string
	loss      []string
	risk      string // that a person has to accept by name
	predicted time.Duration
}

// chooseData picks the wish for data. lockstep.ErrRefused: what was asked for cannot be
// done, or nothing can.
func chooseData(f Facts, r Request, to Pair) (chosen, error) {
	switch r.Data {
	case "", WishAuto:
		return autoData(f, r, to)
	case WishRevert, WishReset, WishRebuild, WishDiscard:
		if no := f.against(r.Data, to); no != "" {
			return chosen{}, lockstep.Hint(fmt.Errorf("%s: %w: %s", r.Data, lockstep.ErrRefused, no), "what can be done: "+f.possible(to))
		}
		return f.take(r.Data, to, "asked for: "), nil
	case WishNone:
		c := chosen{wish: WishNone, why: "none: asked for"}
		if f.Written.Records > 0 {
			c.why += "; " + f.wrote() + " and stay as they are"
		}
		return c, nil
	}
	return chosen{}, fmt.Errorf("%w wish %.80q for data: want auto, revert, reset, rebuild, discard or none", lockstep.ErrInvalid, r.Data)
}

// autoData never discards: that is for a person to say.
func autoData(f Facts, r Request, to Pair) (chosen, error) {
	order := []Wish{WishRevert, WishReset, WishRebuild}
	switch {
	case f.Bad == "" && r.To == (Pair{}) && f.Index.Damaged == "":
		return chosen{wish: WishNone, why: "none: no revision is known to be bad"}, nil
	case f.Bad == "":
		order = []Wish{WishReset, WishRebuild} // there is nobody to revert
	case f.Written.Records == 0 && f.Index.Damaged == "":
		return chosen{wish: WishNone, why: "none: " + f.Bad + " wrote nothing that is in the index"}, nil
	case f.mostlyBad():
		order = []Wish{WishReset, WishRevert, WishRebuild}
	}
	var not []string
	for _, w := range order {
		no := f.against(w, to)
		if no == "" {
			c := f.take(w, to, "")
			if len(not) > 0 {
				c.why += " (not " + strings.Join(not, "; not ") + ")"
			}
			return c, nil
		}
		not = append(not, string(w)+", because "+no)
	}
	return chosen{}, lockstep.Hint(fmt.Errorf("take the data back: %w: not %s", lockstep.ErrRefused, strings.Join(not, "; not ")), "what can be done: "+f.possible(to))
}

// mostlyBad says whether most of what came since was decided by the bad revision. Then
// one replay of it is cheaper than to pick out what is bad, record by record.
func (f Facts) mostlyBad() bool { return f.Since.Messages > 0 && f.Since.Bad > f.Since.Messages/2 }

// against says why the data cannot be taken back that way, "" when it can.
func (f Facts) against(w Wish, to Pair) string {
	if w == WishNone {
		return ""
	}
	if to.Revision == "" {
		return "no revision is known to be good"
	}
	x := f.Index
	switch w {
	case WishRevert:
		switch {
		case f.Bad == "":
			return "no revision is known to be bad"
		case f.Written.Records == 0:
			return f.Bad + " wrote nothing that is in the index"
		case x.Damaged != "":
			return "the index is damaged: " + x.Damaged
		case x.LogFrom > f.Written.First:
			return fmt.Sprintf("the log begins with version %d, and %s wrote first in version %d", x.LogFrom, f.Bad, f.Written.First)
		}
	case WishReset, WishDiscard:
		switch {
		case to.Version < x.Oldest:
			return fmt.Sprintf("version %d is not kept any more, the oldest is %d", to.Version, x.Oldest)
		case f.Written.Records > 0 && to.Version >= f.Written.First:
			return fmt.Sprintf("version %d is not good: %s wrote first in version %d", to.Version, f.Bad, f.Written.First)
		case w == WishReset && to.Version < x.Head && x.LogFrom > to.Version+1:
			return fmt.Sprintf("what came after version %d cannot be handled again: the log begins with version %d", to.Version, x.LogFrom)
		}
	case WishRebuild:
		if !x.Mirror {
			return "there is no whole mirror of the table"
		}
	case WishAuto, WishNone:
	}
	return ""
}

// possible lists the wishes that can be fulfilled.
func (f Facts) possible(to Pair) string {
	var out []string
	for _, w := range []Wish{WishRevert, WishReset, WishRebuild, WishDiscard, WishNone} {
		if f.against(w, to) != "" {
			continue
		}
		s := "--data " + string(w)
		if w == WishDiscard {
			s += " --accept-risk=" + RiskLoseChanges
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// take says what a wish that can be fulfilled will do.
func (f Facts) take(w Wish, to Pair, because string) chosen {
	c := chosen{wish: w}
	switch w {
	case WishRevert:
		c.why, c.predicted = f.wrote()+"; later changes stay", f.handling(f.Written.Messages)
	case WishReset:
		c.why = fmt.Sprintf("the index is version %d again, and %s handles again the %s that came after", to.Version, to.Revision, counted(f.Since.Messages, "message"))
		if f.mostlyBad() {
			c.why = fmt.Sprintf("%s of %s were decided by %s; %s", thousands(f.Since.Bad), counted(f.Since.Messages, "later message"), f.Bad, c.why)
		}
		c.predicted = f.handling(f.Since.Messages)
	case WishRebuild:
		c.why, c.predicted = fmt.Sprintf("%s derives every record anew from the %s of the mirror", to.Revision, counted(f.Index.Keys, "key")), f.handling(f.Index.Keys)
	case WishDiscard:
		c.why, c.risk = fmt.Sprintf("the index is version %d again, and what came after is given up", to.Version), RiskLoseChanges
		if f.Since.Messages > 0 {
			c.loss = []string{fmt.Sprintf("%s that came after version %d", counted(f.Since.Messages, "message"), to.Version)}
		}
	case WishAuto, WishNone:
	}
	c.why = because + string(w) + ": " + c.why
	return c
}

func (f Facts) wrote() string {
	w, verb := f.Written, "were"
	if w.Records == 1 {
		verb = "was"
	}
	return fmt.Sprintf("%s of %s %s written by %s, in %s since %d", thousands(w.Records), counted(f.Index.Records, "record"), verb, f.Bad, counted(w.Versions, "version"), w.First)
}

// handling is how long so many messages take.
func (f Facts) handling(messages uint64) time.Duration {
	if f.Rate <= 0 {
		return 0
	}
	return time.Duration(float64(messages) / f.Rate * float64(time.Second))
}

func counted(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// thousands is a number as people read it: "1,000,000".
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
