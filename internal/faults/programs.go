package faults

import (
	"fmt"
	"path/filepath"
	"time"

	"lockstep/internal/config"
	"lockstep/internal/lockstep"
)

// ProgramEnv is the variable that makes the program which runs the catalogue one of its
// faults: it then calls Serve with the value and does nothing else.
const ProgramEnv = "LOCKSTEP_FAULT"

// The programs that Serve can be.
const (
	modeGood    = "good"
	modeCrash   = "crashes-on-start"
	modeLeak    = "leaks-memory"
	modeStderr  = "floods-stderr"
	modeGarbage = "answers-garbage"
)

const (
	programMemory  = 3 << 30 // address space, of which a Go program takes one before it does anything
	programTimeout = 2 * time.Second
	// programPace is what a unit of a stable takes beside which a program is not slow.
	programPace = 5 * time.Millisecond
)

// programs lists the faults that only a program can have.
func programs() []Fault {
	return []Fault{
		{
			ID: modeCrash, What: "The program ends before it has said what it is: a module is missing.",
			Origin: "general; 10.2 c11b49ad7, e66ba88c8, 10.3 3722d5b91", Kind: Exec, Catch: []string{preflight, "revision-probe"}, Harm: HarmNone,
			program: self(modeCrash),
		},
		{
			ID: modeLeak, What: "Every call keeps 64 MiB, until the limit of its memory ends the program.",
			Origin: "general; 10.2 338779744", Kind: Exec, Shadow: true, Catch: append(append(failing(), slow()...), "memory"), Harm: HarmNone,
			program: self(modeLeak), stable: steady(programPace),
		},
		{
			ID: modeStderr, What: "Every call writes 256 KiB to standard error: it must cost nobody anything, and the answers are right.",
			Origin: "general", Kind: Exec, Harm: HarmNone, Held: "unit-time",
			program: self(modeStderr), stable: steady(programPace),
		},
		{
			ID: modeGarbage, What: "One answer in ten is not of the protocol: a stray print.",
			Origin: "general", Kind: Exec, Shadow: true, Catch: append(failing(), slow()...), Harm: HarmNone,
			program: self(modeGarbage), stable: steady(programPace),
		},
	}
}

func self(mode string) func(Options) (config.Program, error) {
	return func(o Options) (config.Program, error) {
		if len(o.Self) == 0 {
			return config.Program{}, fmt.Errorf("fault %s: %w: no command that calls Serve", mode, lockstep.ErrInvalid)
		}
		return config.Program{
			Name: mode, Command: o.Self, Env: map[string]string{ProgramEnv: mode},
			Processes: 2, Timeout: programTimeout, MemoryBytes: programMemory,
		}, nil
	}
}

// python is the handler of examples/handlers, a good candidate that is no Go.
func python(o Options) (config.Program, error) {
	return config.Program{
		Name: "python", Command: []string{o.Python, filepath.Join(o.Examples, "receipts_places.py")}, Env: map[string]string{},
		Processes: 2, Timeout: programTimeout,
	}, nil
}
