//go:build !linux

package program

import (
	"os"
	"syscall"
	"time"
)

// groupOfItsOwn makes the process the leader of a group, so that all that it starts
// can be ended with it.
func groupOfItsOwn() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// limit does nothing: another process can be limited on Linux only.
func limit(int, *Spec) error { return nil }

// cpuUsed does not know.
func cpuUsed(int) (time.Duration, bool) { return 0, false }

// awaitEnd returns how the process has ended. It is reaped then, so in the moment
// before its group is killed its id may, in theory, belong to a new group.
func awaitEnd(p *os.Process) *os.ProcessState {
	state, _ := p.Wait()
	return state
}
