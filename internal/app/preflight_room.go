package app

import (
	"context"
	"syscall"

	"lockstep/internal/version"
)

// leastRoom is what a release needs beside copies of the index: versions, logs, a report.
const leastRoom = 256 << 20

// copiesOfIndex is how many copies of the index a release may make: the state of the
// comparison, that of a replay, and a base.
const copiesOfIndex = 3

// room opens a risk when the data directory may be too full for a release.
func (c *Control) room(ctx context.Context, out *cleared) error {
	head, err := c.Log.Head(ctx)
	if err != nil {
		return err
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(c.cfg.Data, &fs); err != nil {
		// It may be elsewhere, as for a command that works on the store alone.
		out.open(riskDisk, "nobody can tell how much room is in %s: %v", c.cfg.Data, err)
		return nil
	}
	free := int64(fs.Bavail) * int64(fs.Bsize) //nolint:unconvert // their types differ between systems
	if need := roomFor(head.Entry); free < need {
		out.open(riskDisk, "%s has %d MiB free; a release may need %d MiB", c.cfg.Data, free>>20, need>>20)
	}
	return nil
}

// roomFor returns how many bytes should be free before a release on the index of e starts.
func roomFor(e *version.Entry) int64 {
	if e == nil {
		return leastRoom
	}
	size := e.SinceBase
	if e.Base != nil {
		size += e.Base.Bytes
	}
	return leastRoom + copiesOfIndex*size
}
