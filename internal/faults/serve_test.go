package faults

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
)

// conversation returns the requests of the example in the page of the protocol.
func conversation(t testing.TB) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/format/exec.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(page)) {
		if request, ok := strings.CutPrefix(line, "> {"); ok {
			out = append(out, "{"+request)
		}
	}
	if len(out) < 3 {
		t.Fatalf("the page has %d requests", len(out))
	}
	return out
}

func TestAServedHandlerAnswersEveryRequestInOrder(t *testing.T) {
	requests := conversation(t)
	var out, stderr bytes.Buffer
	if err := Serve(t.Context(), modeStderr, Process{strings.NewReader(strings.Join(requests, "")), &out, &stderr}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(requests) || stderr.Len() < floodBytes-100 {
		t.Fatalf("%d answers to %d requests, %d bytes of stderr", len(lines), len(requests), stderr.Len())
	}
	for i, l := range lines {
		var a struct{ ID int }
		if err := json.Unmarshal([]byte(l), &a); err != nil || a.ID != i+1 {
			t.Errorf("answer %d: %s, %v", i+1, l, err)
		}
	}
}

func TestAProgramThatCrashesSaysWhy(t *testing.T) {
	err := Serve(t.Context(), modeCrash, Process{strings.NewReader(""), io.Discard, io.Discard})
	if err == nil || !strings.Contains(err.Error(), "No module named") {
		t.Error(err)
	}
}

func FuzzServe(f *testing.F) {
	for _, r := range conversation(f) {
		f.Add(r)
	}
	f.Add(`{"id":1,"request":"plan","messages":[],"view":{"records":{"words":[{"id":"x","metadata":{},"vector":{"dim":2,"hash":"00"}}]}}}` + "\n")
	f.Fuzz(func(t *testing.T, in string) {
		// It may refuse whatever it likes; it may not panic.
		_ = Serve(t.Context(), modeGood, Process{strings.NewReader(in), io.Discard, io.Discard})
	})
}
