package simtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"lockstep/internal/blob"
	"lockstep/internal/lockstep"
)

// verdict is what the scheduler decides about one call.
type verdict uint8

const (
	letThrough   verdict = iota
	failBefore           // answered with ErrUnavailable, nothing happens
	refuse               // answered with ErrRefused, nothing happens: no space, no permission
	loseAnswer           // it happens, and the answer is ErrUnavailable
	delay                // answered with ErrUnavailable; it happens later, or never
	sendTwice            // a transport repeats it and gives the second answer (TRAPS T4)
	tearAnswer           // of a Get: the object breaks off in the middle
	cancelBefore         // the caller's context ends
	killBefore           // the process dies before it
	killAfter            // the process dies after it
)

func (v verdict) String() string {
	return [...]string{"", "fail", "refuse", "lose", "delay", "twice", "tear", "cancel", "kill-before", "kill-after"}[v]
}

// port is the object store as one actor reaches it.
type port struct{ a *actor }

var _ blob.Store = (*port)(nil)

func (p *port) Create(ctx context.Context, key string, body []byte) error {
	body = bytes.Clone(body)
	return p.effect(ctx, "create", key, func() error { return p.a.w.create(p.a, key, body) })
}

func (p *port) Hint(ctx context.Context, key string, body []byte) error {
	body = bytes.Clone(body)
	return p.effect(ctx, "hint", key, func() error { return p.a.w.store.Hint(p.a.w.ctx, key, body) })
}

func (p *port) effect(ctx context.Context, op, key string, do func() error) error {
	v := p.a.at(op, key)
	if err := ctx.Err(); err != nil {
		return err
	}
	switch v {
	case failBefore, tearAnswer:
		return weather(op, key)
	case refuse:
		return fmt.Errorf("%s %s: %w: no space left", op, key, lockstep.ErrRefused)
	case loseAnswer:
		_ = do() // the answer that is lost
		return weather(op, key)
	case delay:
		p.a.w.delayed = append(p.a.w.delayed, late{key, do})
		return weather(op, key)
	case sendTwice:
		_ = do() // the answer that the transport did not wait for
		return do()
	case killAfter:
		_ = do()
		panic(killed{})
	case letThrough, cancelBefore, killBefore:
	}
	return do()
}

// late is an effect on its way.
type late struct {
	key string
	do  func() error
}

func weather(op, key string) error { return fmt.Errorf("%s %s: %w", op, key, lockstep.ErrUnavailable) }

// isPart says whether the key is a part of a base. Parts are read ahead by a goroutine
// of package base, which cannot stop; they are read while nobody else moves, so the
// history is the same all the same.
func isPart(key string) bool {
	return strings.HasPrefix(key, "base/") && !strings.HasSuffix(key, "/manifest.json")
}

func (p *port) Get(ctx context.Context, key string) (io.ReadCloser, blob.Meta, error) {
	if isPart(key) {
		if p.a.down {
			return nil, blob.Meta{}, weather("get", key)
		}
		return p.a.w.store.Get(ctx, key)
	}
	v := p.a.at("get", key)
	if err := ctx.Err(); err != nil {
		return nil, blob.Meta{}, err
	}
	switch v {
	case failBefore, refuse, loseAnswer, delay:
		return nil, blob.Meta{}, weather("get", key)
	case tearAnswer:
		rc, meta, err := p.a.w.store.Get(ctx, key)
		if err != nil {
			return nil, meta, err
		}
		half := io.MultiReader(io.LimitReader(rc, meta.Size/2), torn{})
		return io.NopCloser(half), meta, nil
	case killAfter:
		panic(killed{})
	case letThrough, sendTwice, cancelBefore, killBefore:
	}
	return p.a.w.store.Get(ctx, key)
}

type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, weather("read", "the rest") }

var errNotHere = errors.New("no actor of the simulation lists or deletes")

func (p *port) List(context.Context, string, string) iter.Seq2[blob.Meta, error] {
	return func(yield func(blob.Meta, error) bool) { yield(blob.Meta{}, errNotHere) }
}

func (p *port) Delete(context.Context, string) error { return errNotHere }
