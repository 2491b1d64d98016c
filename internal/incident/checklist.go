package incident

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"lockstep/internal/lockstep"
	"lockstep/internal/rollback"
)

// Group is one group of the checklist of a rollback, as its run gives it.
type Group struct {
	Title string
	Items []Item
}

// Item is one line of the checklist: what the machine saw, and what a person signed.
type Item struct {
	ID       string // one of the Item constants of package rollback
	Title    string
	Evidence *rollback.Evidence // the newest; nil: nothing was seen
	At       time.Time          // of the evidence
	Signed   *Signature
	// Void is why the item does not apply: its target takes no part in the plan.
	Void string
}

// Signature is a person's word for one item of the checklist.
type Signature struct {
	Item   string    `json:"item"`
	Reason string    `json:"reason"` // what the person saw
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// ItemState is where an item of the checklist stands.
type ItemState string

// The states of an item.
const (
	ItemOpen         ItemState = "open"
	ItemTicked       ItemState = "ticked"         // by evidence
	ItemSigned       ItemState = "signed"         // by a person
	ItemContradicted ItemState = "contradicted"   // evidence says that it is not so
	ItemVoid         ItemState = "not applicable" // nothing of the kind was part of the rollback
)

// State says where the item stands. A person's word also stands against evidence, and
// the report then shows both.
func (i Item) State() ItemState {
	switch {
	case i.Signed != nil:
		return ItemSigned
	case i.Evidence != nil && i.Evidence.OK:
		return ItemTicked
	case i.Evidence != nil:
		return ItemContradicted
	case i.Void != "":
		return ItemVoid
	}
	return ItemOpen
}

// Merge returns the checklist with the signatures of the incident on it. Of two for one
// item the newer counts.
func Merge(checklist []Group, signatures []Signature) []Group {
	newest := map[string]Signature{}
	for _, s := range signatures {
		if old, there := newest[s.Item]; !there || !s.At.Before(old.At) {
			newest[s.Item] = s
		}
	}
	merged := make([]Group, len(checklist))
	for g, group := range checklist {
		merged[g] = Group{Title: group.Title, Items: slices.Clone(group.Items)}
		for i, item := range merged[g].Items {
			s, there := newest[item.ID]
			if there && (item.Signed == nil || item.Signed.At.Before(s.At)) {
				merged[g].Items[i].Signed = &s
			}
		}
	}
	return merged
}

var itemID = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)

// SignItem keeps a person's word for an item of the checklist, also after the end. It
// ticks the task that the item stands for as well. The same word of the same person
// again changes nothing. ErrInvalid: that is no id of an item.
func SignItem(in Incident, by Order, item, reason string) (Transition, error) {
	t, next, err := begin(in, by, KindSignItem)
	if err == nil {
		err = line().want("what was seen", reason)
	}
	if err != nil {
		return Transition{}, err
	}
	if !itemID.MatchString(item) {
		return Transition{}, fmt.Errorf("incident %s: %w item %.80q: want the id of an item of the checklist", in.ID, lockstep.ErrInvalid, item)
	}
	s := Signature{Item: item, Reason: kept(reason), By: by.Actor, At: t.Entry.At}
	if slices.ContainsFunc(in.Signatures, func(o Signature) bool { return o.Item == item && o.By == s.By && o.Reason == s.Reason }) {
		return same(in)
	}
	if err := full(in, "signature", len(in.Signatures), MaxSignatures); err != nil {
		return Transition{}, err
	}
	next.Signatures = append(next.Signatures, s)
	for i, task := range next.Tasks {
		if of := taskOf()[task.ID]; task.Done == nil && len(of) == 1 && of[0] == item {
			next.Tasks[i].Done = &Done{By: by.Actor, At: t.Entry.At, Text: s.Reason}
		}
	}
	return t.said("signed %s: %s", item, reason)
}
