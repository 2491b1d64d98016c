package guard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Query is one question to one source.
type Query struct {
	Question string        // in the language of the source
	From, To time.Time     // the window that is asked about; To is the caller's now
	Step     time.Duration // how far apart samples should be; 0: the source decides
}

// Meter reads samples. An answer without samples is an empty Series and no error;
// ErrUnavailable says that nobody answered, ErrInvalid that the answer or the question
// is malformed, ErrRefused that the caller may not ask, ErrNotFound that what was asked
// for does not exist. A Meter honours ctx and puts no secret into an error. It fills
// Samples and Warnings and nothing else.
type Meter interface {
	Read(ctx context.Context, q Query) (Series, error)
}

// Collect asks the guard's source, and asks it about stable too when the guard
// compares. A source that fails is part of the answer (Series.Err) and not an error,
// because it has a verdict: broken. The errors are ctx's own, and ErrNotFound for a
// source that meters does not hold, which lists those that it does.
func Collect(ctx context.Context, meters map[string]Meter, g Guard, now time.Time) (Series, error) {
	if err := ctx.Err(); err != nil {
		return Series{}, err
	}
	m, ok := meters[g.Source]
	if !ok {
		err := fmt.Errorf("guard %s: source %q: %w; known are %s", g.Name, g.Source, lockstep.ErrNotFound, listed(slices.Sorted(maps.Keys(meters))))
		return Series{}, lockstep.Hint(err, "name one of them, or configure the source")
	}
	q := Query{Question: g.Question, From: now.Add(-g.Window), To: now}
	s, err := ask(ctx, m, q)
	if err != nil || g.Against == "" || s.Err != "" {
		return s, err
	}
	q.Question = g.Against
	stable, err := ask(ctx, m, q)
	if err != nil {
		return Series{}, err
	}
	s.Stable, s.Err = stable.Samples, stable.Err
	s.Warnings = append(s.Warnings, stable.Warnings...)
	return s, nil
}

func ask(ctx context.Context, m Meter, q Query) (Series, error) {
	s, err := m.Read(ctx, q)
	switch {
	case err == nil:
		return Series{Samples: s.Samples, Warnings: slices.Clip(s.Warnings)}, nil
	case ctx.Err() != nil:
		return Series{}, ctx.Err()
	case errors.Is(err, context.Canceled):
		return Series{}, err
	}
	return Series{Err: err.Error()}, nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
