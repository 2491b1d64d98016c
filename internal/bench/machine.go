package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"lockstep/internal/app"
)

// Machine is what the figures were measured on.
type Machine struct {
	CPUs       int           `json:"cpus"`
	CPU        string        `json:"cpu,omitempty"`
	System     string        `json:"system"`
	Go         string        `json:"go"`
	LoadBefore string        `json:"load_before,omitempty"` // 1, 5 and 15 minutes
	LoadAfter  string        `json:"load_after,omitempty"`
	Create     time.Duration `json:"durable_create_ns"` // median, of a small object in the store
}

// lookAround describes the machine, and measures in dir the one operation that
// every commit waits for.
func lookAround(ctx context.Context, dir string, now func() time.Time) (Machine, error) {
	m := Machine{CPUs: runtime.GOMAXPROCS(0), CPU: cpuName(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), LoadBefore: loadAverage()}
	probe := filepath.Join(dir, "probe")
	store, err := app.InitStore(ctx, settings(probe), now)
	if err != nil {
		return m, err
	}
	body := make([]byte, 4<<10)
	var took []time.Duration
	for i := range 50 {
		start := now()
		if err := store.Blobs.Create(ctx, fmt.Sprintf("probe/%d", i), body); err != nil {
			return m, fmt.Errorf("bench: %w", err)
		}
		took = append(took, now().Sub(start))
	}
	m.Create = median(took)
	return m, os.RemoveAll(probe)
}

// cpuTime is what this process has used so far. Much less than there is, in a time in
// which it had enough to do, says that others had the rest or that the disk was slow.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	f := strings.Fields(string(b))
	return strings.Join(f[:min(3, len(f))], " ")
}

func cpuName() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// sizeOf returns the bytes in the files below dir. It is told to people, so that
// what cannot be read is left out.
func sizeOf(dir string) int64 {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // files come and go while this looks
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	return sum
}
