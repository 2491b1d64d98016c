package program

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lockstep/internal/lockstep"
)

// Spec says which program is a handler and what it may use. Only Command is
// needed; a zero field elsewhere means the default.
type Spec struct {
	// Command is the program and its arguments. A program without a slash is looked
	// for in Lockstep's own PATH, one with a slash relative to Dir.
	Command []string
	Name    string            // for people, in errors and logs; default: the base name of the command
	Dir     string            // working directory; default: Lockstep's own
	Env     map[string]string // the whole environment of the program
	// Files are further files that decide what the program does, as patterns of
	// filepath.Match relative to Dir; a directory stands for all files below it. The
	// program itself and arguments that name files need not be repeated.
	Files []string

	Processes    int           // how many run at a time, each with one call; default 1
	StartTimeout time.Duration // from the start to the description; default 10 s
	CallTimeout  time.Duration // of one call; default 10 s

	MemoryBytes int64         // address space of a process; default unlimited; Linux only
	CPUTime     time.Duration // processor time of one call; default unlimited; Linux only
	OpenFiles   int           // default 256; Linux only

	LineBytes   int // of one request or answer; default 64 MiB
	Mutations   int // in one answer; default 1,000,000
	StderrBytes int // of standard error kept for failures; default 16 KiB
}

// The defaults of Spec, and its ceilings.
const (
	DefaultStartTimeout = 10 * time.Second
	DefaultCallTimeout  = 10 * time.Second
	DefaultOpenFiles    = 256
	DefaultLineBytes    = 64 << 20
	DefaultMutations    = 1_000_000
	DefaultStderrBytes  = 16 << 10

	MaxProcesses = 64
	maxLineBytes = 1 << 30
	minLineBytes = 1 << 10
)

// resolved returns s with its defaults, or lockstep.ErrInvalid that names the field.
func (s Spec) resolved() (Spec, error) {
	if len(s.Command) == 0 || s.Command[0] == "" {
		return s, fmt.Errorf("%w command: it is empty", lockstep.ErrInvalid)
	}
	for _, a := range s.Command {
		if strings.ContainsRune(a, 0) {
			return s, fmt.Errorf("%w command: %q holds a zero byte", lockstep.ErrInvalid, a)
		}
	}
	for name, v := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(v, 0) {
			return s, fmt.Errorf("%w env: %q cannot be set", lockstep.ErrInvalid, name)
		}
	}
	for _, pattern := range s.Files {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return s, fmt.Errorf("%w files: %q: %w", lockstep.ErrInvalid, pattern, err)
		}
	}
	if s.Name == "" {
		s.Name = filepath.Base(s.Command[0])
	}
	s.Command, s.Files, s.Env = slices.Clone(s.Command), slices.Clone(s.Files), maps.Clone(s.Env)
	return s, s.numbers()
}

func (s *Spec) numbers() error {
	for _, f := range []struct {
		name     string
		at       *int
		fallback int
		lo, hi   int
	}{
		{"processes", &s.Processes, 1, 1, MaxProcesses},
		{"open_files", &s.OpenFiles, DefaultOpenFiles, 8, 1 << 20},
		{"line_bytes", &s.LineBytes, DefaultLineBytes, minLineBytes, maxLineBytes},
		{"mutations", &s.Mutations, DefaultMutations, 1, maxLineBytes},
		{"stderr_bytes", &s.StderrBytes, DefaultStderrBytes, 1, 16 << 20},
	} {
		if *f.at == 0 {
			*f.at = f.fallback
		}
		if *f.at < f.lo || *f.at > f.hi {
			return fmt.Errorf("%w %s: %d, want %d to %d", lockstep.ErrInvalid, f.name, *f.at, f.lo, f.hi)
		}
	}
	if s.StartTimeout == 0 {
		s.StartTimeout = DefaultStartTimeout
	}
	if s.CallTimeout == 0 {
		s.CallTimeout = DefaultCallTimeout
	}
	switch {
	case s.StartTimeout < 0:
		return fmt.Errorf("%w start_timeout: %s", lockstep.ErrInvalid, s.StartTimeout)
	case s.CallTimeout < 0:
		return fmt.Errorf("%w call_timeout: %s", lockstep.ErrInvalid, s.CallTimeout)
	case s.MemoryBytes < 0:
		return fmt.Errorf("%w memory: %d bytes", lockstep.ErrInvalid, s.MemoryBytes)
	case s.CPUTime < 0:
		return fmt.Errorf("%w cpu_time: %s", lockstep.ErrInvalid, s.CPUTime)
	}
	return nil
}

// environ is the environment in the form in which a process gets it: sorted, and
// never nil, which would stand for Lockstep's own.
func (s *Spec) environ() []string {
	env := make([]string, 0, len(s.Env))
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		env = append(env, name+"="+s.Env[name])
	}
	return env
}
