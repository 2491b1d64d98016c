package incident

import (
	"fmt"
	"slices"
	"strings"

	"lockstep/internal/lockstep"
)

// Section is a part of the report that people write, by a note that names it.
type Section string

// The sections, in the order of the document's template.
const (
	SectionSummary    Section = "summary"
	SectionCause      Section = "root-cause"
	SectionDetection  Section = "detection"
	SectionImpact     Section = "impact"
	SectionResolution Section = "resolution"
	SectionPrevention Section = "prevention"
	SectionActions    Section = "action-items" // one per line
)

// Sections lists the sections in the order of the report.
func Sections() []Section {
	return []Section{SectionSummary, SectionCause, SectionDetection, SectionImpact, SectionResolution, SectionPrevention, SectionActions}
}

// Written returns the note that is section of the report, the newest one.
func (in Incident) Written(section Section) (Note, bool) {
	for _, n := range slices.Backward(in.Notes) {
		if n.Section == section && section != "" {
			return n, true
		}
	}
	return Note{}, false
}

// AddNote writes something down, also after the end; with a section, it becomes that
// section of the report. ErrInvalid: there is no such section, or the text is empty or
// too long. ErrRefused: the report is signed and its sections do not change.
func AddNote(in Incident, by Order, section Section, words string) (Transition, error) {
	t, next, err := begin(in, by, KindNote)
	if err == nil {
		err = text().want("note", words)
	}
	if err != nil {
		return Transition{}, err
	}
	if section != "" {
		if !slices.Contains(Sections(), section) {
			return Transition{}, fmt.Errorf("incident %s: %w section %.40q: known are %s", in.ID, lockstep.ErrInvalid, section, sectionNames())
		}
		if in.Report != nil {
			return Transition{}, refuse(in, "write section "+string(section), "its report was signed by "+in.Report.By, `reopen the incident, or write a note without a section`)
		}
	}
	if err := full(in, "note", len(in.Notes), MaxNotes); err != nil {
		return Transition{}, err
	}
	next.Notes = append(next.Notes, Note{Section: section, Text: words, By: by.Actor, At: t.Entry.At})
	if section != "" {
		return t.said("wrote the section %s of the report", section)
	}
	return t.said("noted: %s", words)
}

func sectionNames() string {
	var names []string
	for _, s := range Sections() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

// Decide keeps a decision and its reason.
func Decide(in Incident, by Order, what, why string) (Transition, error) {
	t, next, err := beginOpen(in, by, KindDecide)
	if err == nil {
		err = line().want("decision", what)
	}
	if err == nil {
		err = line().want("reason of the decision", why)
	}
	if err == nil {
		err = full(in, "decision", len(in.Decisions), MaxDecisions)
	}
	if err != nil {
		return Transition{}, err
	}
	next.Decisions = append(next.Decisions, Decision{What: what, Why: why, By: by.Actor, At: t.Entry.At})
	return t.said("decided: %s, because %s", what, why)
}

// AddLink names something that belongs to the incident, also after its end. The same
// link again changes nothing.
func AddLink(in Incident, by Order, l Link) (Transition, error) {
	t, next, err := begin(in, by, KindLink)
	if err == nil {
		err = line().want("link", l.To)
	}
	if err != nil {
		return Transition{}, err
	}
	switch l.Kind {
	case LinkPlan, LinkIssue, LinkFile, LinkOther:
	default:
		return Transition{}, fmt.Errorf("incident %s: %w kind of link %.40q: known are plan, issue, file, other", in.ID, lockstep.ErrInvalid, l.Kind)
	}
	l.To = kept(l.To)
	if slices.ContainsFunc(in.Links, func(k Link) bool { return k.Kind == l.Kind && k.To == l.To }) {
		return same(in)
	}
	if err := full(in, "link", len(in.Links), MaxLinks); err != nil {
		return Transition{}, err
	}
	l.By, l.At = by.Actor, t.Entry.At
	next.Links = append(next.Links, l)
	return t.said("linked the %s %s", l.Kind, l.To)
}

// SetAffected says which records what was bad has written, in place of what was said
// before. Counts count all, lists keep the first: more than an entry holds are cut off.
// ErrInvalid: nobody says how it was found out, or the versions are the wrong way
// round.
func SetAffected(in Incident, by Order, a Affected) (Transition, error) {
	t, next, err := beginOpen(in, by, KindAffected)
	if err == nil {
		err = line().want("source of the affected records", a.Source)
	}
	if err != nil {
		return Transition{}, err
	}
	if a.FirstVersion > a.LastVersion || len(a.Counts) > MaxCounts {
		return Transition{}, fmt.Errorf("incident %s: %w affected records: versions %d to %d, %d collections", in.ID, lockstep.ErrInvalid, a.FirstVersion, a.LastVersion, len(a.Counts))
	}
	a.Counts = slices.Clone(a.Counts)
	slices.SortFunc(a.Counts, func(x, y Count) int { return strings.Compare(x.Collection, y.Collection) })
	a.IDs, a.Keys, a.Source = someKept(a.IDs, MaxIDs), someKept(a.Keys, MaxKeys), kept(a.Source)
	a.KeyCount = max(a.KeyCount, uint64(len(a.Keys)))
	a.By, a.At = by.Actor, t.Entry.At
	if old := in.Affected; old != nil && old.equal(a) {
		return same(in)
	}
	next.Affected = &a
	return t.said("%s affected, by %s", count(a.Records(), "record"), a.Source)
}

func someKept(all []string, most int) []string {
	var some []string
	for _, s := range all[:min(len(all), most)] {
		some = append(some, kept(s))
	}
	return some
}

// equal says whether two say the same, whoever says it.
func (a Affected) equal(b Affected) bool {
	return slices.Equal(a.Counts, b.Counts) && slices.Equal(a.IDs, b.IDs) && slices.Equal(a.Keys, b.Keys) &&
		a.FirstVersion == b.FirstVersion && a.LastVersion == b.LastVersion && a.KeyCount == b.KeyCount && a.Source == b.Source
}
