package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"lockstep/internal/analysis"
	"lockstep/internal/app"
	"lockstep/internal/config"
	"lockstep/internal/incident"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
	"lockstep/internal/redact"
	"lockstep/internal/release"
	"lockstep/internal/rollback"
)

// Desk keeps the incidents of an environment: it opens them, and tells them what the
// ledgers of releases, of versions and of plans say. It needs no lock, no server and no
// revision. Any number may be at work, in any process. It is safe for concurrent use.
//
// What it finds out is written by Attend, which Tick and the commands that change something
// call. Input only reads, and knows it all the same.
type Desk struct {
	control  *app.Control
	cfg      config.Config
	book     *incident.Book
	journals *rollback.Journals
	redact   *redact.Redactor

	mu       sync.Mutex           // guards everything below
	verdicts map[string]bool      // attempts of which there is an incident
	memories map[string]*memory   // by id of the incident
	plans    map[string]*planSeen // by id of the plan
	open     []string             // incidents that were open at the last look
	looked   time.Time            // when that was
}

// memory is what was read for an incident before. It only saves reading it again.
type memory struct {
	attempt  attempt
	entry    uint64 // of the ledger of releases, as of which attempt is
	trail    *trail
	affected *incident.Affected
	counted  uint64 // the last version that is counted in it
	linked   []string
	stamp    string // of everything, when it was attended last
}

// byItself is who opens an incident because of a verdict, and says what the ledgers say.
const byItself = "lockstep"

// NewDesk returns the incidents of the store of control. secrets are kept out of everything
// that is stored, besides what looks like one. It does not touch the store.
func NewDesk(control *app.Control, cfg config.Config, secrets []string) *Desk {
	opts := ledger.Options{Now: func() time.Time { return control.Order("").At }}
	r := redact.New(secrets...)
	return &Desk{
		control: control, cfg: cfg, redact: r, book: incident.NewBook(control.Blobs, r, opts), journals: rollback.NewJournals(control.Blobs, opts),
		verdicts: map[string]bool{}, memories: map[string]*memory{}, plans: map[string]*planSeen{},
	}
}

// Book returns the incidents themselves.
func (d *Desk) Book() *incident.Book { return d.book }

// Order is who asks here, and now.
func (d *Desk) Order() incident.Order {
	o := d.control.Order("")
	return incident.Order{Actor: o.Actor, At: o.At}
}

// itself is Order in the name of nobody.
func (d *Desk) itself() incident.Order { return incident.Order{Actor: byItself, At: d.Order().At} }

// OpenByVerdict opens the incident of the latest release of s when guards took that back, and
// returns it; opened is false when there was one already. The zero Incident: no guard took
// it back. After an error there is the incident or not, and the next call goes on.
func (d *Desk) OpenByVerdict(ctx context.Context, s release.State) (in incident.Incident, opened bool, err error) {
	r := s.Release
	if !byVerdict(r) {
		return in, false, ctx.Err()
	}
	a, err := attemptOf(ctx, d.control.Releases, r.ID, r.Attempt)
	if err != nil {
		return in, false, err
	}
	o := incident.Opening{Environment: d.cfg.Environment, Actor: byItself, At: d.Order().At, Subject: a.subject()}
	if o.Findings, o.Analysis, err = d.findings(ctx, r); err != nil {
		return in, false, err
	}
	o.Reason = shortly(r.Ending.Reason, o.Findings)
	h, opened, err := d.book.OpenFor(ctx, o)
	if err != nil {
		return in, false, err
	}
	d.noted(a.trial())
	in = h.Incident()
	if opened {
		in, err = d.Attend(ctx, in.ID)
	}
	return in, opened, err
}

func (d *Desk) noted(trial string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.verdicts[trial], d.looked = true, time.Time{}
}

func (d *Desk) known(r *release.Release) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.verdicts[release.Effect{Release: r.ID, Attempt: r.Attempt}.Name()]
}

// findings are the guards that failed, and all that was said of it, a line each. What
// cannot be judged any more leaves the reason of the abort, which says it as well.
func (d *Desk) findings(ctx context.Context, r *release.Release) ([]incident.Finding, string, error) {
	end := r.Ending
	lines := strings.Split(end.Reason, clause)
	j, err := d.control.Judge(ctx)
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	if err != nil || j.Release != r.ID || j.Attempt != r.Attempt {
		return nil, strings.Join(lines, "\n"), nil //nolint:nilerr // an incident must not wait for its analysis
	}
	var out []incident.Finding
	for i := range j.Judgement.Guards {
		if f := &j.Judgement.Guards[i]; f.Verdict == analysis.Fail {
			out = append(out, incident.Finding{Guard: f.Guard, Verdict: f.Verdict.String(), Reason: f.Reason, At: end.At, Link: "lockstep analysis explain"})
		}
	}
	for _, why := range slices.Concat(j.Hard, j.Judgement.Reasons) {
		if !strings.Contains(end.Reason, why) {
			lines = append(lines, why)
		}
	}
	return out, strings.Join(lines, "\n"), nil
}

// clause is what stands between two reasons.
const clause = "; "

// shortly is why a release was taken back, in one clause: what the first guard that failed
// has counted, or the first of the reasons.
func shortly(reason string, findings []incident.Finding) string {
	if len(findings) > 0 {
		return findings[0].Guard + ": " + firstOf(findings[0].Reason)
	}
	return firstOf(reason)
}

// firstOf is the first of the reasons in a text: a verdict has many, and a timeline links to
// where all of them are.
func firstOf(reasons string) string {
	first, _, _ := strings.Cut(reasons, clause)
	return first
}

// ByHand is what a person says of an incident.
type ByHand struct {
	Title  string // "": it is made from the reason
	Reason string
	// Release is what it is about: an id, "latest", or "" for none. Attempt 0 is its latest.
	Release string
	Attempt int
}

// Latest names the latest release.
const Latest = "latest"

// OpenByHand opens an incident in the name of who asks; opened is false when there was an
// open one about the same attempt, which is returned. incident.ErrClosed: there is one, and
// it is closed. lockstep.ErrNotFound: there was no such release. lockstep.ErrInvalid: there
// is no reason.
func (d *Desk) OpenByHand(ctx context.Context, h ByHand) (in incident.Incident, opened bool, err error) {
	by := d.Order()
	o := incident.Opening{Environment: d.cfg.Environment, Actor: by.Actor, At: by.At, Title: h.Title, Reason: h.Reason}
	if h.Release != "" {
		id := h.Release
		if id == Latest {
			id = ""
		}
		a, err := attemptOf(ctx, d.control.Releases, id, h.Attempt)
		if err != nil {
			return in, false, fmt.Errorf("open an incident: %w", err)
		}
		o.Subject = a.subject()
	}
	head, opened, err := d.book.OpenFor(ctx, o)
	if err != nil {
		return in, false, err
	}
	in = head.Incident()
	if !in.Open() {
		return in, false, lockstep.Hint(fmt.Errorf("open an incident: %s is about the same: %w", in.ID, incident.ErrClosed), `"lockstep incident reopen `+in.ID+`" goes on with it`)
	}
	in, err = d.Attend(ctx, in.ID)
	return in, opened, err
}

// Attend brings an open incident up to date with the other ledgers: rollbacks that belong
// to it, marks, affected records, and tasks that evidence finishes. Nothing is written when
// nothing is new; a closed one stays as it is. lockstep.ErrNotFound: there is no such
// incident. After an error some of it is written, and the next call goes on.
func (d *Desk) Attend(ctx context.Context, id string) (incident.Incident, error) {
	head, err := d.book.Head(ctx, id)
	if err != nil {
		return incident.Incident{}, err
	}
	in, by := head.Incident(), d.itself()
	if !in.Open() {
		return in, nil
	}
	_, k, err := d.look(ctx, in)
	if err != nil {
		return in, fmt.Errorf("incident %s: %w", id, err)
	}
	if _, news, err := k.told(in, by); err != nil || !news {
		return in, err
	}
	for _, do := range k.orders(by) {
		head, err := d.book.Do(ctx, id, do)
		if errors.Is(err, incident.ErrClosed) {
			return head.Incident(), nil // meanwhile, and that is the last word
		}
		if err != nil {
			return in, err
		}
		in = head.Incident()
	}
	return in, nil
}

// Sign keeps the word of who asks for an item of the checklist: in the incident, and in the
// rollback that belongs to it, so that both say the same. The same word again changes
// nothing. lockstep.ErrNotFound: there is no such item. lockstep.ErrInvalid: nothing was
// seen. After any other error the incident has it, and signing again tells the rollback.
func (d *Desk) Sign(ctx context.Context, id, item, seen string) (incident.Incident, error) {
	in, err := d.Attend(ctx, id)
	if err != nil {
		return in, err
	}
	if !isItem(item) {
		return in, lockstep.Hint(fmt.Errorf("incident %s: item %.80q of the checklist: %w", id, item, lockstep.ErrNotFound), `"lockstep incident show `+id+`" lists what is open`)
	}
	by, seen := d.Order(), d.redact.Text(seen) // so that the same word is known again
	head, err := d.book.Do(ctx, id, func(in incident.Incident) (incident.Transition, error) { return incident.SignItem(in, by, item, seen) })
	if err != nil {
		return in, err
	}
	in = head.Incident()
	src, _, err := d.look(ctx, in)
	if err != nil {
		return in, err
	}
	p := src.inForce()
	if p == nil || signed(p, item, by.Actor) {
		return in, nil
	}
	e := &rollback.Engine{Name: by.Actor, Journals: d.journals, Now: func() time.Time { return by.At }}
	_, err = e.Sign(ctx, p.Plan.ID, item, by.Actor, seen)
	return in, err
}

func isItem(id string) bool {
	for _, g := range (&rollback.State{}).Checklist() {
		for _, it := range g.Items {
			if it.ID == id {
				return true
			}
		}
	}
	return false
}

func signed(p *rollback.State, item, by string) bool {
	for _, g := range p.Signatures {
		if g.Item == item && g.By == by {
			return true
		}
	}
	return false
}
