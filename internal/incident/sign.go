package incident

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"time"

	"lockstep/internal/blob"
	"lockstep/internal/ledger"
	"lockstep/internal/lockstep"
)

// ReportPrefix is where signed reports live in the store, named by their incident and
// their hash.
const ReportPrefix = "incident-report"

// MaxReportBytes bounds a signed report.
const MaxReportBytes = 4 << 20

// Signed is a person's word for a report. Its bytes are kept apart, named by their
// SHA-256, which anybody can check with a common tool.
type Signed struct {
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
	Markdown string    `json:"markdown"` // SHA-256 in hex
	HTML     string    `json:"html"`
}

// Frozen is a signed report: the bytes that were signed.
type Frozen struct {
	Signed   Signed
	Markdown []byte
	HTML     []byte
}

var hash = regexp.MustCompile(`^[0-9a-f]{64}$`)

func sum(body []byte) string {
	h := sha256.Sum256(body)
	return hex.EncodeToString(h[:])
}

func reportKey(id, hash, ext string) string { return ReportPrefix + "/" + id + "/" + hash + "." + ext }

// SignReport makes the report of in, with the newest state of its incident, and freezes
// it in the name of by. The bytes are stored before the entry that names them: after
// an error they may be there, named by nothing, and the report is not signed.
// ErrRefused: it is signed already. ErrInvalid: it has more than MaxReportBytes.
func (b *Book) SignReport(ctx context.Context, by Order, reason string, in Input) (Head, error) {
	id := in.Incident.ID
	for range tries {
		head, err := b.Head(ctx, id)
		if err != nil {
			return Head{}, err
		}
		in.Incident = head.Incident()
		t, bodies, err := b.sign(by, reason, in)
		if err != nil {
			return Head{}, err
		}
		r := t.Entry.Incident.Report
		for key, body := range map[string][]byte{reportKey(id, r.Markdown, "md"): bodies.Markdown, reportKey(id, r.HTML, "html"): bodies.HTML} {
			if err := b.keep(ctx, key, body); err != nil {
				return Head{}, fmt.Errorf("incident %s: store the report: %w", id, err)
			}
		}
		next, err := b.append(ctx, head.Ledger, t)
		if !errors.Is(err, ledger.ErrHeadMoved) {
			return next, err
		}
	}
	return Head{}, lockstep.Hint(fmt.Errorf("incident %s: sign its report: %w: somebody else was first %d times", id, lockstep.ErrConflict, tries), "try again")
}

func (b *Book) sign(by Order, reason string, in Input) (Transition, Frozen, error) {
	t, next, err := begin(in.Incident, by, KindSignReport)
	if err == nil {
		err = line().want("reason", reason)
	}
	if err != nil {
		return Transition{}, Frozen{}, err
	}
	if r := in.Incident.Report; r != nil {
		return Transition{}, Frozen{}, refuse(in.Incident, "sign its report", "it was signed by "+r.By+" at "+clockTime(r.At), "reopen the incident to write another")
	}
	in.Redact, in.Now = b.redact, t.Entry.At
	in.Signing = &Signature{Item: "report", Reason: reason, By: by.Actor, At: t.Entry.At}
	report := NewReport(in)
	page, err := report.HTML()
	if err != nil {
		return Transition{}, Frozen{}, err
	}
	f := Frozen{Markdown: []byte(report.Markdown()), HTML: []byte(page)}
	if n := max(len(f.Markdown), len(f.HTML)); n > MaxReportBytes {
		return Transition{}, Frozen{}, fmt.Errorf("incident %s: %w report: %d bytes, at most %d", in.Incident.ID, lockstep.ErrInvalid, n, MaxReportBytes)
	}
	next.Report = &Signed{By: by.Actor, Reason: reason, At: t.Entry.At, Markdown: sum(f.Markdown), HTML: sum(f.HTML)}
	said, err := t.said("signed the report, sha256 %s: %s", next.Report.Markdown, reason)
	return said, f, err
}

// keep stores what is named by its hash. That it is there already is success, and so is
// an unknown outcome that turns out well.
func (b *Book) keep(ctx context.Context, key string, body []byte) error {
	err := b.store.Create(ctx, key, body)
	if err == nil {
		return nil
	}
	there, look := blob.ReadAll(ctx, b.store, key, MaxReportBytes)
	switch {
	case look != nil:
		return errors.Join(err, look)
	case sum(there) != sum(body):
		return fmt.Errorf("%s: %w: it is not what its name says", key, lockstep.ErrCorrupt)
	}
	return nil
}

// Frozen returns the signed report of an incident. ErrNotFound: it is not signed, and
// NewReport makes it. ErrCorrupt: what is stored is not what was signed.
func (b *Book) Frozen(ctx context.Context, in Incident) (Frozen, error) {
	r := in.Report
	if r == nil {
		return Frozen{}, fmt.Errorf("incident %s: signed report: %w", in.ID, lockstep.ErrNotFound)
	}
	f := Frozen{Signed: *r}
	for _, x := range []struct {
		hash, ext string
		to        *[]byte
	}{{r.Markdown, "md", &f.Markdown}, {r.HTML, "html", &f.HTML}} {
		key := reportKey(in.ID, x.hash, x.ext)
		body, err := blob.ReadAll(ctx, b.store, key, MaxReportBytes)
		switch {
		case errors.Is(err, lockstep.ErrNotFound):
			return Frozen{}, fmt.Errorf("incident %s: %w: %s was signed and is gone", in.ID, lockstep.ErrCorrupt, key)
		case err != nil:
			return Frozen{}, fmt.Errorf("incident %s: read the signed report: %w", in.ID, err)
		case sum(body) != x.hash:
			return Frozen{}, fmt.Errorf("incident %s: %s: %w: it hashes to %s", in.ID, key, lockstep.ErrCorrupt, sum(body))
		}
		*x.to = body
	}
	return f, nil
}
