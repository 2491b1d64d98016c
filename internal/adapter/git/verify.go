package git

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"lockstep/internal/rollback"
)

// verdict is what a working tree looks like beside the point.
type verdict struct {
	wrong    []string // files of the head, or on disk, that are not as at the point
	leftover []string // paths that did not exist at the point and do on disk
	compiled bool     // of some of these nothing is left but compiled files
	dirty    []File
	hashes   map[string]string // path: what it is at the point, for people
}

// unlike lists the files of a commit that differ from the point below the named paths,
// without those that a later commit may have changed.
func (w *work) unlike(ctx context.Context, commit string, p params) ([]string, error) {
	at, err := w.entries(ctx, p.Point, p.Paths)
	if err != nil {
		return nil, err
	}
	now, err := w.entries(ctx, commit, p.Paths)
	if err != nil || maps.Equal(at, now) {
		return nil, err
	}
	files, err := w.differences(ctx, p.Point, commit, p.Paths)
	return slices.DeleteFunc(files, func(f string) bool { return p.Kept[f] != "" }), err
}

// verify compares the head, the index and the files with the point.
func (w *work) verify(ctx context.Context, s State, p params) (verdict, error) {
	v := verdict{}
	var err error
	if v.wrong, err = w.unlike(ctx, s.Head, p); err != nil {
		return v, err
	}
	for _, f := range s.Dirty {
		if withinAny(strings.TrimSuffix(f.Path, "/"), p.Paths) {
			v.wrong = append(v.wrong, f.Path)
		}
	}
	v.dirty = s.inWay(p.Paths)
	slices.Sort(v.wrong)
	v.wrong = slices.Compact(v.wrong)
	return v, w.remains(ctx, &v, p)
}

// remains notes what the paths are at the point, and what is on disk where nothing was.
func (w *work) remains(ctx context.Context, v *verdict, p params) error {
	var err error
	if v.hashes, err = w.entries(ctx, p.Point, p.Paths); err != nil {
		return err
	}
	for _, dir := range p.Paths {
		if v.hashes[dir] != "" {
			continue
		}
		onDisk := filepath.Join(w.top, filepath.FromSlash(dir))
		if _, err := os.Lstat(onDisk); err != nil {
			continue
		}
		v.leftover = append(v.leftover, dir)
		v.compiled = v.compiled || onlyCompiled(onDisk)
	}
	return nil
}

func (v verdict) detail(k kept) string {
	text := "the named paths are as at the point"
	if len(v.wrong) > 0 {
		text = "unlike the point: " + list(v.wrong)
	}
	if len(k.Skipped) > 0 {
		text += "; changed nothing when taken back: " + list(k.Skipped)
	}
	return text
}

// evidence says what the verdict means for the checklist.
func (v verdict) evidence(s State, p params, k kept) []rollback.Evidence {
	done := fmt.Sprintf("branch %s at %s, at the point itself", s.Branch, short(s.Head))
	if len(p.Picks) > 0 {
		done = fmt.Sprintf("branch %s at %s: %s taken back, newest first", s.Branch, short(s.Head), count(len(p.Picks)-len(k.Skipped), "commit"))
	}
	if len(v.wrong) > 0 {
		done += "; unlike the point: " + list(v.wrong)
	}
	list := []rollback.Evidence{{Item: rollback.ItemGitReverted, OK: len(v.wrong) == 0, Text: done}, v.noCode(p), v.clean()}
	for _, item := range []string{rollback.ItemPkgInit, rollback.ItemHandlers} {
		if e, ok := v.files(item, p); ok {
			list = append(list, e)
		}
	}
	return list
}

func (v verdict) noCode(p params) rollback.Evidence {
	e := rollback.Evidence{Item: rollback.ItemGitNoCode, OK: len(v.wrong) == 0 && len(v.leftover) == 0}
	var gone []string
	for _, dir := range p.Paths {
		if v.hashes[dir] == "" && !slices.Contains(v.leftover, dir) {
			gone = append(gone, dir)
		}
	}
	switch {
	case len(v.leftover) > 0:
		e.Text = "not there at the point, and still on disk with files that git does not follow: " + list(v.leftover)
	case len(v.wrong) > 0:
		e.Text = "unlike the point: " + list(v.wrong)
	case len(gone) > 0:
		e.Text = "gone: " + list(gone)
	default:
		e.Text = count(len(p.Paths), "named path") + " as at " + short(p.Point)
	}
	return e
}

func (v verdict) clean() rollback.Evidence {
	if len(v.dirty) == 0 {
		return rollback.Evidence{Item: rollback.ItemGitClean, OK: true, Text: "nothing is changed or staged"}
	}
	names := make([]string, len(v.dirty))
	for i, f := range v.dirty {
		names[i] = f.Path + " (" + string(f.How) + ")"
	}
	return rollback.Evidence{Item: rollback.ItemGitClean, Text: "not committed: " + list(names)}
}

// files speaks of the named paths that existed at the point: the package's own file, or
// the handlers.
func (v verdict) files(item string, p params) (rollback.Evidence, bool) {
	var same, other []string
	for _, dir := range p.Paths {
		isInit := path.Base(dir) == "__init__.py"
		if v.hashes[dir] == "" || isInit != (item == rollback.ItemPkgInit) {
			continue
		}
		var how string
		for _, f := range v.wrong {
			if within(f, dir) {
				how = " is not as at the point: " + f
			}
		}
		if how != "" {
			other = append(other, dir+how)
			continue
		}
		fields := strings.Fields(v.hashes[dir])
		text := dir + " has the hash " + short(fields[len(fields)-1]) + " of the point"
		for f, by := range p.Kept {
			if within(f, dir) {
				text = dir + " is as at the point but for what " + by + " changed"
			}
		}
		same = append(same, text)
	}
	if len(same)+len(other) == 0 {
		return rollback.Evidence{}, false
	}
	return rollback.Evidence{Item: item, OK: len(other) == 0, Text: list(append(other, same...))}, true
}
