package program

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"lockstep/internal/receipt"
)

// helper is a handler that is good or bad in the way that mode says. Modes named
// "<request> ..." are good until that request.
func helper(mode string) int {
	switch mode {
	case "exits at start":
		fmt.Fprintln(os.Stderr, "cannot find module receipts")
		return 7
	case "silent at start":
		time.Sleep(time.Hour)
	case "garbage at start":
		fmt.Println("Welcome to receipts 1.0!")
	case "wrong protocol":
		greet(`{"id":%d,"protocol":"lockstep-exec/9","describe":{"name":"a","version":"1"}}`)
	case "describes nonsense":
		greet(`{"id":%d,"protocol":"lockstep-exec/1","describe":{"name":"A B","version":"1"}}`)
	case "deaf":
		greet(`{"id":%d,"protocol":"lockstep-exec/1","describe":{"name":"deaf","version":"1","collections":[{"name":"notes"}]}}`)
	case "hasty": // answers a request, the first of its program, that it does not read
		line := must(bufio.NewReader(os.Stdin).ReadBytes('\n'))
		_ = os.Stdin.Close()
		say(`{"id":%d,"protocol":"lockstep-exec/1","describe":{"name":"hasty","version":"1","collections":[{"name":"notes"}]}}`, parseRequest(line).ID)
		say(`{"id":1,"mutations":[]}`)
		time.Sleep(time.Hour)
	case "keeper":
		return keep()
	case "refuses at start":
		greet(`{"id":%d,"error":{"message":"the model is missing","class":"refused"}}`)
	case "receipts":
		serve(receipt.V2(receipt.V2Config{}), os.Stdin, os.Stdout, nil)
		return 0
	case "changes its mind":
		serve(notes{version: fmt.Sprint(len(must(os.ReadDir(os.Getenv(envPids)))))}, os.Stdin, os.Stdout, nil)
		return 0
	}
	serve(notes{version: "1"}, os.Stdin, os.Stdout, func(r wireRequest) bool {
		request, what, _ := strings.Cut(mode, " ")
		if r.Request != request {
			return true
		}
		return misbehave(what, r)
	})
	return 0
}

// greet reads a request and answers it, and then nothing more.
func greet(format string) {
	line := must(bufio.NewReader(os.Stdin).ReadBytes('\n'))
	say(format, parseRequest(line).ID)
	time.Sleep(time.Hour)
}

// keep has a program of its own, which does not care about its input, and waits.
func keep() int {
	spec := Spec{Command: os.Args[:1], Env: map[string]string{envMode: "silent at start", envPids: os.Getenv(envPids)}, StartTimeout: time.Hour}
	_, _ = must(New(spec, Options{})).Probe(context.Background())
	return 1
}

// once is true for the first process that asks.
func once() bool {
	f, err := os.OpenFile(os.Getenv(envOnce), os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_ = f.Close()
	}
	return err == nil
}

func say(format string, args ...any) bool {
	fmt.Printf(format+"\n", args...)
	return false
}

func misbehave(what string, r wireRequest) bool {
	switch what {
	case "hangs":
		time.Sleep(time.Hour)
	case "hangs once":
		if once() {
			time.Sleep(time.Hour)
		}
	case "exits":
		fmt.Fprintln(os.Stderr, "first\nKeyError: 'merchant_name'")
		os.Exit(3)
	case "exits once":
		if once() {
			os.Exit(3)
		}
	case "answers and exits":
		say(`{"id":%d,"mutations":[]}`, r.ID)
		os.Exit(0)
	case "stops in the middle":
		fmt.Printf(`{"id":%d,"mutati`, r.ID)
		os.Exit(0)
	case "prints":
		return say("processing 1 message")
	case "wrong id":
		return say(`{"id":%d,"mutations":[]}`, r.ID+1)
	case "answers twice":
		say(`{"id":%d,"mutations":[]}`, r.ID)
		return say(`{"id":%d,"mutations":[]}`, r.ID)
	case "unknown member":
		return say(`{"id":%d,"mutations":[{"collection":"notes","op":"upsert","id":"a","cause":0,"colour":"red"}]}`, r.ID)
	case "long line":
		for range 100 {
			fmt.Print(strings.Repeat("x", 10_000))
		}
		time.Sleep(time.Hour)
	case "many mutations":
		m := `{"collection":"notes","op":"delete","id":"a","cause":0}`
		return say(`{"id":%d,"mutations":[%s]}`, r.ID, strings.Repeat(m+",", 20)+m)
	case "floods":
		line := []byte(strings.Repeat("flood ", 20) + "\n")
		block := []byte(strings.Repeat(string(line), 1000))
		for range 500 { // 60 MB
			_, _ = os.Stderr.Write(block)
		}
		fmt.Fprintln(os.Stderr, "the last word")
	case "floods for ever":
		for {
			_, _ = os.Stderr.WriteString(strings.Repeat("y", 1<<16))
		}
	case "eats memory":
		held := make([][]byte, 0, 64)
		for range 64 {
			held = append(held, make([]byte, 1<<28))
		}
		fmt.Fprintln(os.Stderr, len(held))
	case "spins":
		for n := 0; ; n++ {
			_ = n
		}
	case "closes its output":
		_ = os.Stdout.Close()
		time.Sleep(time.Hour)
	case "hangs with a child", "answers with a child":
		c := exec.Command("/bin/sleep", "3600")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if err := c.Start(); err != nil {
			panic(err)
		}
		leavePid(os.Getenv(envPids), c.Process.Pid)
		if what == "hangs with a child" {
			time.Sleep(time.Hour)
		}
	case "leaves a daemon":
		c := exec.Command("/bin/sleep", "4") // out of our reach: it ends by itself
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := c.Start(); err != nil {
			panic(err)
		}
		os.Exit(4)
	case "shows its environment":
		return say(`{"id":%d,"error":{"message":%q,"class":"refused"}}`, r.ID, strings.Join(os.Environ(), " "))
	}
	return true
}
