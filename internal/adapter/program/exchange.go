package program

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// exchange sends one request and waits for one line. Every error but that of ctx and
// ErrClosed is a *Failure without its names. After an error the process is killed.
func (c *child) exchange(ctx context.Context, line []byte, deadline <-chan time.Time, closed <-chan struct{}) ([]byte, error) {
	wrote := make(chan error, 1)
	c.writers.Go(func() {
		_, err := c.stdin.Write(line)
		wrote <- err
	})
	got, err := c.wait(ctx, wrote, deadline, closed)
	if err != nil {
		c.kill()
	}
	return got, err
}

// wait returns when the request is written and answered. An answer to what was not
// read to its end would leave the rest in the way of the next request.
func (c *child) wait(ctx context.Context, wrote <-chan error, deadline <-chan time.Time, closed <-chan struct{}) (got []byte, err error) {
	lines, answered, broken := c.lines, false, false
	spent := c.meter()
	defer spent.stop()
	for wrote != nil || !answered {
		select {
		case line, ok := <-lines:
			if !ok {
				return nil, c.ended()
			}
			got, answered, lines = line, true, nil
		case err := <-wrote:
			wrote, broken = nil, err != nil // lines usually ends, too, and says more
		case <-spent.tick:
			if spent.over() {
				return nil, &Failure{Kind: KindLimit, Reason: fmt.Sprintf("it used more than %s of processor time", c.spec.CPUTime)}
			}
		case <-deadline:
			return nil, &Failure{Kind: KindTimeout}
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-closed:
			return nil, ErrClosed
		}
	}
	if broken {
		return nil, &Failure{Kind: KindCrash, Reason: "it closed its input before it had read the request"}
	}
	return got, nil
}

// cpuCheck is how often the processor time of a call is looked at.
const cpuCheck = 100 * time.Millisecond

// meter measures the processor time of one call; it never ticks without a limit.
type meter struct {
	pid   int
	from  time.Duration
	most  time.Duration
	tick  <-chan time.Time
	clock *time.Ticker
}

func (c *child) meter() meter {
	from, ok := cpuUsed(c.startedAs)
	if c.spec.CPUTime == 0 || !ok {
		return meter{}
	}
	clock := time.NewTicker(cpuCheck)
	return meter{pid: c.startedAs, from: from, most: c.spec.CPUTime, tick: clock.C, clock: clock}
}

func (m meter) over() bool {
	used, ok := cpuUsed(m.pid)
	return ok && used-m.from > m.most
}

func (m meter) stop() {
	if m.clock != nil {
		m.clock.Stop()
	}
}

// ended explains why there will be no answer.
func (c *child) ended() error {
	if errors.Is(c.cut, errOversize) {
		return &Failure{Kind: KindLimit, Reason: fmt.Sprintf("it answered with more than %d bytes in one line", c.spec.LineBytes)}
	}
	select {
	case <-c.exited:
	case <-time.After(drainWait):
		c.kill()
		return &Failure{Kind: KindCrash, Reason: "it closed its output and ran on"}
	}
	c.settle()
	select {
	case <-c.dead: // only now the status may be read
	default:
		return &Failure{Kind: KindCrash, Reason: "it ended"}
	}
	reason := "it ended with " + c.state.String()
	if c.spec.MemoryBytes > 0 {
		reason += fmt.Sprintf(" (its memory is limited to %d bytes)", c.spec.MemoryBytes)
	}
	return &Failure{Kind: KindCrash, Reason: reason}
}
