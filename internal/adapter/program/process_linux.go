package program

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// groupOfItsOwn makes the process the leader of a group, so that all that it starts
// can be ended with it, and ends it with the thread that starts it.
func groupOfItsOwn() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limit sets the resource limits of a process that has just started. What it did
// before stays: the limits are against accidents.
func limit(pid int, s *Spec) error {
	limits := []struct {
		resource int
		value    uint64
	}{
		{unix.RLIMIT_CORE, 0}, // a core would hold items of the table
		{unix.RLIMIT_NOFILE, uint64(s.OpenFiles)},
	}
	for _, l := range limits {
		if err := prlimit(pid, l.resource, l.value); err != nil {
			return err
		}
	}
	if s.MemoryBytes > 0 {
		return prlimit(pid, unix.RLIMIT_AS, uint64(s.MemoryBytes))
	}
	return nil
}

func prlimit(pid, resource int, value uint64) error {
	var had unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &had); err != nil {
		return gone(err)
	}
	value = min(value, had.Max) // what we may not have, it may not either
	return gone(unix.Prlimit(pid, resource, &unix.Rlimit{Cur: value, Max: value}, nil))
}

// gone passes over a process that has ended already: its exit tells more.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// cpuUsed returns the processor time that the process has used so far, ok false when
// that is not known. A soft RLIMIT_CPU would not do: its signal can be ignored, as Go
// programs do, and a hard one could not be raised again for the next call.
func cpuUsed(pid int) (used time.Duration, ok bool) {
	const schedClock = 2 // CPUCLOCK_SCHED in the kernel's encoding of the clock of a process
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}

// awaitEnd returns when the process has ended and leaves it to be reaped, so that
// its id, which is that of its group, still belongs to nobody else. The state is nil.
func awaitEnd(p *os.Process) *os.ProcessState {
	for {
		err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return nil
		}
	}
}
