package chroma

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lockstep/internal/lockstep"
)

// Holder is a process that has a Chroma directory open.
type Holder struct {
	PID  int
	Name string // as the kernel shows it
}

// Holders lists the processes, this one excepted, that have the published directory
// open: readers that will not see a new version until they open it again. Only
// processes of the same user are visible, all of them to root, and only on Linux.
func (d *Directory) Holders() ([]Holder, error) {
	dir, err := d.current()
	if err != nil || dir == "" {
		return nil, err
	}
	return holdersOf(dir), nil
}

// holdersOf looks through /proc for open databases of dir. The file is compared by
// device and inode, because a process in a container knows it by another path. What
// cannot be read is skipped: the lock on the database is the second look.
func holdersOf(dir string) []Holder {
	file, err := os.Stat(filepath.Join(dir, databaseName))
	if err != nil {
		return nil
	}
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []Holder
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || pid == os.Getpid() || !hasOpen(pid, file) {
			continue
		}
		comm, _ := os.ReadFile(filepath.Join("/proc", p.Name(), "comm")) // a name is a courtesy
		out = append(out, Holder{PID: pid, Name: strings.TrimSpace(string(comm))})
	}
	return slices.Clip(out)
}

func hasOpen(pid int, file os.FileInfo) bool {
	fds := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(fds)
	if err != nil {
		return false
	}
	for _, e := range entries {
		link := filepath.Join(fds, e.Name())
		target, err := os.Readlink(link)
		if err != nil || filepath.Base(target) != databaseName {
			continue
		}
		if open, err := os.Stat(link); err == nil && os.SameFile(open, file) {
			return true
		}
	}
	return false
}

// refuseHolders returns ErrRefused when another process has dir open: it may be
// writing segment files, which have no lock, and its later writes would go into a
// directory that is no longer published.
func refuseHolders(dir string) error {
	if hs := holdersOf(dir); len(hs) > 0 {
		return heldError(dir, hs)
	}
	return nil
}

func heldError(dir string, hs []Holder) error {
	who := make([]string, len(hs))
	for i, h := range hs {
		who[i] = fmt.Sprintf("process %d (%s)", h.PID, h.Name)
	}
	if len(who) == 0 {
		who = []string{"a process that cannot be seen from here"}
	}
	err := fmt.Errorf("%w: %s has %s open", lockstep.ErrRefused, strings.Join(who, ", "), dir)
	return lockstep.Hint(err, "stop Chroma there, or let the reader close its client, and try again; a Full step needs neither")
}
