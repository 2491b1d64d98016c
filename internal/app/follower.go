package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lockstep/internal/adapter/chroma"
	"lockstep/internal/config"
	"lockstep/internal/follow"
	"lockstep/internal/lockstep"
	"lockstep/internal/state"
)

// FollowerStatus says where the follower stands.
type FollowerStatus struct {
	Kind      string    `json:"kind"`
	State     string    `json:"state"` // "following", "off", "missing" or "failing"
	Directory string    `json:"directory,omitempty"`
	Version   uint64    `json:"version"`
	Error     string    `json:"error,omitempty"`
	Advice    string    `json:"advice,omitempty"`
	At        time.Time `json:"at,omitzero"` // of the last look
}

// The states of a follower.
const (
	followerOff       = "off"
	followerMissing   = "missing" // wanted, but there is no Chroma here
	followerFollowing = "following"
	followerFailing   = "failing"
)

// followed is the follower with what is known of it.
type followed struct {
	follow.Follower
	every time.Duration

	mu     sync.Mutex // guards everything below
	status FollowerStatus
}

// newFollowed chooses the follower that the configuration names. Without any Chroma
// on this machine everything else works, and the status says what to install.
func newFollowed(a *App) (*followed, error) {
	f, err := openFollower(a.Config, a.Store, a.opts.LookPath)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func openFollower(cfg config.Config, s *Store, look func(string) (string, error)) (*followed, error) {
	c := cfg.Follower.Chroma
	f := &followed{Follower: follow.Follower{Log: s.Log, Store: s.Format.Store}, every: c.Every}
	f.status = FollowerStatus{Kind: "chroma-directory", State: followerFollowing, Directory: c.Directory}
	command, advice := chromaCommand(c, look)
	switch {
	case c.Enabled == "off":
		f.status.State, f.status.Advice = followerOff, "follower.chroma.enabled is off"
		return f, nil
	case command == nil && c.Template == "" && !published(c.Directory):
		f.status.State, f.status.Advice = followerMissing, advice
		return f, nil
	}
	dir, err := chroma.OpenDirectory(c.Directory, chroma.Options{Template: chroma.Template{Dir: c.Template, Command: command}, Keep: c.Keep})
	if err != nil {
		return nil, err
	}
	f.Target = dir
	return f, nil
}

// Status returns where the follower stands.
func (f *followed) Status() FollowerStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

// look asks the follower where it stands, unless that is known already.
func (f *followed) look(ctx context.Context, now time.Time) error {
	if st := f.Status(); f.Target == nil || !st.At.IsZero() {
		return nil
	}
	at, err := f.Target.Position(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.note(follow.Moved{To: at.Version}, err, now)
	return nil
}

func (f *followed) note(m follow.Moved, err error, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.At = now
	if err != nil {
		f.status.State, f.status.Error, f.status.Advice = followerFailing, err.Error(), hintOr(err, "")
		return
	}
	f.status.State, f.status.Version, f.status.Error, f.status.Advice = followerFollowing, m.To, "", ""
}

// Follow brings the follower to the version of the local state, once. It does
// nothing when there is no follower.
func (a *App) Follow(ctx context.Context) (follow.Moved, error) {
	return a.follow(ctx, a.follower.Bring)
}

// Repair writes the follower anew, whatever it holds.
func (a *App) Repair(ctx context.Context) (follow.Moved, error) {
	return a.follow(ctx, a.follower.Repair)
}

func (a *App) follow(ctx context.Context, step func(context.Context, *state.Reader) (follow.Moved, error)) (m follow.Moved, err error) {
	if a.follower.Target == nil {
		return follow.Moved{}, nil
	}
	view, err := a.State.Read()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	start := a.opts.Now()
	m, err = step(ctx, view)
	a.follower.note(m, err, a.opts.Now())
	a.metrics.followed(m, err, a.opts.Now().Sub(start))
	return m, err
}

// runFollower keeps the follower up to date until ctx ends. A follower that fails is
// tried again at its next turn: nothing else waits for it.
func (a *App) runFollower(ctx context.Context) error {
	if a.follower.Target == nil {
		return nil
	}
	tick := time.NewTicker(a.follower.every)
	defer tick.Stop()
	for {
		if _, err := a.Follow(ctx); err != nil && ctx.Err() == nil {
			a.opts.Log.WarnContext(ctx, "the follower could not be brought up to date", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// FollowerStatus returns where the follower stands.
func (a *App) FollowerStatus() FollowerStatus { return a.follower.Status() }

// FollowerReport is what reading the follower back said.
type FollowerReport struct {
	OK          bool             `json:"ok"`
	Version     uint64           `json:"version"`
	Collections []follow.Verdict `json:"collections"`
}

// VerifyFollower reads the follower back and compares it, record by record, with the
// version it says it holds. ErrRefused when there is no follower.
func (a *App) VerifyFollower(ctx context.Context) (r FollowerReport, err error) {
	if a.follower.Target == nil {
		st := a.follower.Status()
		return r, lockstep.Hint(fmt.Errorf("verify the follower: %w: there is none (%s)", lockstep.ErrRefused, st.State), st.Advice)
	}
	at, err := a.follower.Target.Position(ctx)
	if err != nil {
		return r, err
	}
	past, err := OpenPast(ctx, a.Config, a.opts)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, past.Close()) }()
	if err := past.State.MoveTo(ctx, a.Log, at.Version); err != nil {
		return r, err
	}
	view, err := past.State.Read()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	r.Version, r.OK = at.Version, true
	if r.Collections, err = a.follower.Verify(ctx, view); err != nil {
		return r, err
	}
	for _, v := range r.Collections {
		r.OK = r.OK && v.Equal
	}
	return r, nil
}
