package git

import (
	"context"
	"strconv"
	"strings"
)

const (
	recordLines = 10       // of the log, as the document has it
	recordBytes = 16 << 10 // of the list of what the migration changed
)

// Record is what there was before: "git log --oneline -10" and what differs from the
// point, for whoever looks later.
type Record struct {
	State   State    `json:"state"`
	Log     []string `json:"log"`
	Changes []string `json:"changes"`           // since the point: lines added, lines removed, path
	Omitted int      `json:"omitted,omitempty"` // changes that are not listed
}

// Record reads what there is now, and what differs from a point ("": nothing is
// compared). It changes nothing.
func (r *Repo) Record(ctx context.Context, point string) (Record, error) {
	w, err := r.open(ctx)
	if err != nil {
		return Record{}, err
	}
	return w.record(ctx, point)
}

func (w *work) record(ctx context.Context, point string) (Record, error) {
	var rec Record
	var err error
	if rec.State, err = w.state(ctx, nil); err != nil {
		return rec, err
	}
	rec.State.Dirty = rec.State.Dirty[:min(len(rec.State.Dirty), 100)]
	if rec.State.Head == "" {
		return rec, nil
	}
	out, err := w.look(ctx, "log", "-z", "--no-color", "--max-count="+strconv.Itoa(recordLines), "--format=tformat:%h %s", "HEAD", "--")
	if err != nil {
		return rec, err
	}
	for _, l := range words(out) {
		rec.Log = append(rec.Log, oneLine(l, 200))
	}
	if point == "" {
		return rec, nil
	}
	out, err = w.look(ctx, "diff-tree", "-r", "-z", "--numstat", "--no-renames", point, "HEAD", "--")
	if err != nil {
		return rec, err
	}
	left := recordBytes
	for _, l := range words(out) {
		l = oneLine(strings.ReplaceAll(l, "\t", " "), 300)
		if left -= len(l); left < 0 {
			rec.Omitted++
			continue
		}
		rec.Changes = append(rec.Changes, l)
	}
	return rec, nil
}
