package app

import (
	"context"
	"errors"
	"time"

	"lockstep/internal/change"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
	"lockstep/internal/version"
)

// Status is where an index stands: what "lockstep status" shows and what
// GET /v1/status answers.
type Status struct {
	Store       string                    `json:"store"`
	Directory   string                    `json:"directory"`
	Revision    string                    `json:"revision"`
	Version     uint64                    `json:"version"`
	Digest      string                    `json:"digest"` // of the whole index
	At          time.Time                 `json:"at,omitzero"`
	Collections []version.CollectionState `json:"collections"`
	Backlog     []version.Span            `json:"backlog,omitempty"`
	Parked      []ParkedMessage           `json:"parked,omitempty"`
	Malformed   []MalformedInput          `json:"malformed,omitempty"`
	ParkedCount int64                     `json:"parked_count"`
	BadCount    int64                     `json:"malformed_count"`
	Follower    FollowerStatus            `json:"follower"`
}

// ParkedMessage is one message that waits for its handler or for its key.
type ParkedMessage struct {
	ID       string    `json:"id"`
	Group    string    `json:"group"`
	Entity   string    `json:"entity"`
	Reason   string    `json:"reason"`
	Attempts int       `json:"attempts"`
	Blocked  bool      `json:"blocked"`
	At       time.Time `json:"at"`
	Record   string    `json:"record"` // its id in the parked collection
}

// MalformedInput is input that could not be read.
type MalformedInput struct {
	ID     string    `json:"id"`
	Reason string    `json:"reason"`
	Source string    `json:"source"`
	At     time.Time `json:"at"`
}

const shownMessages = 20

// Status reads where the index stands.
func (a *App) Status(ctx context.Context) (Status, error) {
	if err := a.follower.look(ctx, a.opts.Now()); err != nil {
		return Status{}, err
	}
	view, err := a.State.Read()
	if err != nil {
		return Status{}, err
	}
	s := Status{Store: a.Format.Store, Directory: a.Config.Data, Revision: a.Revision.ID(), Version: view.Version(), Collections: []version.CollectionState{}, Follower: a.follower.Status()}
	err = s.fill(ctx, a.Log, view, a.Revision.Handler.Describe().Key)
	return s, errors.Join(err, view.Close())
}

func (s *Status) fill(ctx context.Context, log *version.Log, view *state.Reader, schema change.Schema) error {
	digests := map[lockstep.Collection]string{}
	if s.Version > 0 {
		e, err := log.Read(ctx, s.Version)
		if err != nil {
			return err
		}
		s.At, s.Collections, s.Backlog, digests = e.At, e.Collections, e.Backlog, e.Digests()
	}
	s.Digest = version.IndexDigest(digests)
	s.ParkedCount, s.BadCount = view.Tally(lockstep.Parked).Records, view.Tally(lockstep.Malformed).Records
	var err error
	if s.Parked, err = ParkedMessages(ctx, view, schema, shownMessages); err != nil {
		return err
	}
	s.Malformed, err = malformed(ctx, view, shownMessages)
	return err
}

var errEnough = errors.New("enough")

// ParkedMessages lists the parked messages in order, at most limit of them.
func ParkedMessages(ctx context.Context, view *state.Reader, schema change.Schema, limit int) ([]ParkedMessage, error) {
	var out []ParkedMessage
	err := scan(ctx, view, lockstep.Parked, limit, func(rec lockstep.Record) error {
		p, err := change.ParseParked(rec, schema)
		out = append(out, ParkedMessage{
			ID: p.Message.ID, Group: p.Message.Group, Entity: p.Message.Change.Entity, Reason: p.Reason,
			Attempts: p.Attempts, Blocked: p.Blocked, At: p.At, Record: rec.ID,
		})
		return err
	})
	return out, err
}

func malformed(ctx context.Context, view *state.Reader, limit int) ([]MalformedInput, error) {
	var out []MalformedInput
	err := scan(ctx, view, lockstep.Malformed, limit, func(rec lockstep.Record) error {
		m, err := change.ParseMalformed(rec)
		out = append(out, MalformedInput{ID: m.ID, Reason: m.Reason, Source: m.Source, At: m.At})
		return err
	})
	return out, err
}

func scan(ctx context.Context, view *state.Reader, c lockstep.Collection, limit int, use func(lockstep.Record) error) error {
	n := 0
	err := view.Scan(ctx, c, "", func(row state.Row) error {
		if n++; n > limit {
			return errEnough
		}
		rec, err := version.DecodeRecord(string(row.ID), row.Record)
		if err != nil {
			return err
		}
		return use(rec)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
