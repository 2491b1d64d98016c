package program

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	firstRest = 50 * time.Millisecond // before the start that follows a failure
	maxRest   = 5 * time.Second
)

// slot is the place of one process. Whoever took it from the pool owns it.
type slot struct {
	child   *child
	strikes int              // failures since the last answer
	rest    <-chan time.Time // when the next start may be made; nil: now
}

// strike notes a failure: the more there were, the longer the next start waits.
func (s *slot) strike() {
	s.rest = time.After(pause(s.strikes))
	s.strikes++
}

// pause is the rest after so many earlier failures in a row.
func pause(strikes int) time.Duration { return min(firstRest<<min(strikes, 16), maxRest) }

// take waits for a free slot; give must follow.
func (p *Program) take(ctx context.Context) (*slot, error) {
	select {
	case <-p.closed:
		return nil, ErrClosed
	default:
	}
	select {
	case s := <-p.slots:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, ErrClosed
	}
}

func (p *Program) give(s *slot) { p.slots <- s }

// call makes one exchange with one process and reads the answer.
func (p *Program) call(ctx context.Context, d decoder, id uint64, line []byte) (answer, error) {
	if len(line) > p.spec.LineBytes {
		return answer{}, p.named(&Failure{Kind: KindLimit, Reason: fmt.Sprintf("the request has %d bytes, at most %d", len(line), p.spec.LineBytes)}, d.request, nil)
	}
	if err := checkLine(line); err != nil {
		return answer{}, err
	}
	s, err := p.take(ctx)
	if err != nil {
		return answer{}, err
	}
	defer p.give(s)
	if err := p.ready(ctx, s); err != nil {
		return answer{}, err
	}
	a, err := p.ask(ctx, s, exchange{decoder: d, id: id, line: line, within: p.spec.CallTimeout})
	if err != nil {
		return answer{}, err
	}
	s.strikes, s.rest = 0, nil
	return a, nil
}

// exchange is one request on its way.
type exchange struct {
	decoder

	id     uint64
	line   []byte
	within time.Duration
}

// ask makes one exchange with the process of s, which must be ready.
func (p *Program) ask(ctx context.Context, s *slot, e exchange) (answer, error) {
	deadline := time.NewTimer(e.within)
	defer deadline.Stop()
	line, err := s.child.exchange(ctx, e.line, deadline.C, p.closed)
	if err != nil {
		if f, ok := errors.AsType[*Failure](err); ok {
			if f.Kind == KindTimeout {
				f.Reason = fmt.Sprintf("no answer within %s", e.within)
			}
			return answer{}, p.failed(s, f, e.request)
		}
		return answer{}, err // ours, and no strike
	}
	a, err := e.decode(line)
	if err == nil && a.id != e.id {
		err = fmt.Errorf("id: it answered %d, asked was %d", a.id, e.id)
	}
	if err != nil {
		s.child.kill()
		kind := KindGarbage
		if errors.Is(err, errLimit) {
			kind = KindLimit
		}
		return answer{}, p.failed(s, &Failure{Kind: kind, Reason: "the answer cannot be read: " + err.Error()}, e.request)
	}
	return a, nil
}

// failed counts a failure of the process of s against it and tells the log.
func (p *Program) failed(s *slot, f *Failure, request string) error {
	s.strike()
	c := s.child
	c.settle()
	_ = p.named(f, request, c.stderr.last())
	p.log.Warn("the program failed", "kind", string(f.Kind), "request", request, "reason", f.Reason)
	return f
}

// named completes a failure.
func (p *Program) named(f *Failure, request string, stderr []string) error {
	f.Program, f.Request, f.Stderr = p.spec.Name, request, stderr
	return f
}

// ready sees to it that s has a process that has described itself as it must.
func (p *Program) ready(ctx context.Context, s *slot) error {
	if s.child != nil {
		if s.child.usable() {
			return nil
		}
		if err := p.bury(ctx, s); err != nil {
			return err
		}
	}
	if s.rest != nil {
		select {
		case <-s.rest:
			s.rest = nil
		case <-ctx.Done():
			return ctx.Err()
		case <-p.closed:
			return ErrClosed
		}
	}
	return p.start(ctx, s)
}

// bury waits until nothing is left of the last process of s.
func (p *Program) bury(ctx context.Context, s *slot) error {
	select {
	case <-s.child.unwanted:
	default: // nobody killed it: it ended between two calls
		s.strike()
		p.log.WarnContext(ctx, "the program ended between two calls")
	}
	select {
	case <-s.child.dead:
		s.child = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return ErrClosed
	}
}

// start makes a process and has it describe itself. All that goes wrong here is a
// failure to start.
func (p *Program) start(ctx context.Context, s *slot) error {
	code, err := p.spec.code()
	if err != nil {
		return p.unstarted(s, err)
	}
	if s.child, err = spawn(&p.spec, p.log, &p.children); err != nil {
		return p.unstarted(s, err)
	}
	id := p.nextID()
	a, err := p.ask(ctx, s, exchange{decoder: decoder{request: requestDescribe}, id: id, line: describeLine(id), within: p.spec.StartTimeout})
	if err == nil {
		if err = p.introduce(a, code); err == nil {
			return nil
		}
		s.child.kill()
		return p.failed(s, &Failure{Kind: KindStart, Reason: err.Error()}, requestDescribe)
	}
	if f, ok := errors.AsType[*Failure](err); ok && f.Kind != KindStart {
		f.Reason = string(f.Kind) + ": " + f.Reason
		f.Kind = KindStart
	}
	return err
}

// unstarted is the failure of a start that made no process.
func (p *Program) unstarted(s *slot, err error) error {
	s.strike()
	s.child = nil
	f := &Failure{Kind: KindStart, Reason: err.Error()}
	p.log.Warn("the program did not start", "reason", f.Reason)
	return p.named(f, requestDescribe, nil)
}
