package program

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// drainWait is how long the output of an ended process is still read: something
	// that left its group may hold the pipe open for ever.
	drainWait = 500 * time.Millisecond
	// leaveWait is how long a process may take to end when its input ends.
	leaveWait = time.Second
)

var errOversize = errors.New("the line is too long")

// child is one running process. One call at a time may use it.
type child struct {
	cmd       *exec.Cmd
	spec      *Spec
	stdin     io.WriteCloser
	stderr    *tail
	lines     chan []byte      // its answers; closed when there will be no more
	cut       error            // why lines was closed before the output ended; read it after the close
	unwanted  chan struct{}    // closed by kill: nobody takes lines any more
	exited    chan struct{}    // closed when the process has ended
	dead      chan struct{}    // closed when it is reaped and nothing of ours works for it
	state     *os.ProcessState // how it ended; read it after dead
	writers   sync.WaitGroup
	startedAs int // process id

	mu     sync.Mutex // guards everything below
	killed bool
	reaped bool // the process id may belong to somebody else now
}

// spawn starts a process and the goroutines that serve it, which end with it;
// children counts them.
func spawn(spec *Spec, log *slog.Logger, children *sync.WaitGroup) (*child, error) {
	path, err := spec.executable()
	if err != nil {
		return nil, err
	}
	if strings.ContainsRune(spec.Command[0], os.PathSeparator) {
		path = spec.Command[0] // the new process looks from Dir itself
	}
	c := &child{
		cmd: &exec.Cmd{
			Path: path, Args: spec.Command, Dir: spec.Dir, Env: spec.environ(), SysProcAttr: groupOfItsOwn(),
		},
		spec:     spec,
		stderr:   &tail{log: log, size: spec.StderrBytes},
		lines:    make(chan []byte),
		unwanted: make(chan struct{}),
		exited:   make(chan struct{}),
		dead:     make(chan struct{}),
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	started := make(chan error, 1)
	children.Go(func() { c.attend(stdout, stderr, started) })
	return c, <-started
}

// attend is with the process from its start to its end, on one thread: the kernel
// kills the process when the thread that started it ends.
func (c *child) attend(stdout, stderr io.Reader, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.dead)
	if err := c.cmd.Start(); err != nil {
		close(c.exited)
		started <- err
		return
	}
	c.startedAs = c.cmd.Process.Pid
	if err := limit(c.startedAs, c.spec); err != nil {
		c.kill()
		started <- fmt.Errorf("limit the process: %w", err)
	} else {
		started <- nil
	}
	var readers sync.WaitGroup
	readers.Go(func() { c.read(stdout) })
	readers.Go(func() { c.stderr.drain(stderr) })
	drained := make(chan struct{})
	go func() { readers.Wait(); close(drained) }()

	c.state = awaitEnd(c.cmd.Process)
	close(c.exited)
	c.killGroup() // what it started and left behind
	select {
	case <-drained:
	case <-time.After(drainWait):
	}
	c.retire()
	_ = c.cmd.Wait() // closes our ends of the pipes, which ends readers and writers
	if c.state == nil {
		c.state = c.cmd.ProcessState
	}
	<-drained
	c.writers.Wait()
}

// retire is the end of killing: the process id is given back next.
func (c *child) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reaped = true
	if !c.killed {
		c.killed = true
		close(c.unwanted)
	}
}

// kill ends the process and its group at once and does not wait for it.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed {
		return
	}
	c.killed = true
	close(c.unwanted)
	c.signal()
}

func (c *child) killGroup() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signal()
}

// signal needs mu. It fails only when nobody of the group is left.
func (c *child) signal() {
	if !c.reaped {
		_ = unix.Kill(-c.startedAs, unix.SIGKILL)
	}
}

// usable says whether another call may be made.
func (c *child) usable() bool {
	select {
	case <-c.exited:
		return false
	case <-c.unwanted:
		return false
	default:
		return true
	}
}

// leave asks the process to end by ending its input, and ends it when it does not.
func (c *child) leave() {
	_ = c.stdin.Close() // nobody writes any more
	select {
	case <-c.exited:
	case <-time.After(leaveWait):
		c.kill()
	}
	<-c.dead
}

// settle waits a moment for the end of a process that is ending, so that what it
// said last and its exit status are known.
func (c *child) settle() {
	select {
	case <-c.dead:
	case <-time.After(2 * drainWait):
	}
}

// read hands over the lines of the process until somebody has had enough of them.
func (c *child) read(stdout io.Reader) {
	defer close(c.lines)
	r := bufio.NewReaderSize(stdout, 64<<10)
	for {
		line, err := readLine(r, c.spec.LineBytes)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.cut = err
			}
			return
		}
		select {
		case c.lines <- line:
		case <-c.unwanted:
			return
		}
	}
}

// readLine reads one line of no more than most bytes, without its end. A last line
// that has no end is no line: whoever wrote it did not finish.
func readLine(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		if len(line)+len(piece) > most+1 {
			return nil, errOversize
		}
		line = append(line, piece...)
		if err == nil {
			return line[:len(line)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}
