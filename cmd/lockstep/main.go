// Command lockstep keeps ChromaDB collections in step with a DynamoDB table.
package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // freeze windows name time zones, and a small machine has no zone files

	"golang.org/x/term"

	"lockstep/internal/app"
	"lockstep/internal/cli"
)

func main() {
	app.BoundMemory(os.Getenv)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once, which is safe anywhere
	code := cli.Main(ctx, cli.Env{
		Args:     os.Args[1:],
		Stdin:    os.Stdin,
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		Getenv:   os.Getenv,
		LookPath: exec.LookPath,
		Now:      time.Now,
		Terminal: term.IsTerminal(int(os.Stderr.Fd())),
		Asks:     term.IsTerminal(int(os.Stdin.Fd())),
	})
	stop()
	os.Exit(code)
}
