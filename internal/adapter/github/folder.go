package github

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"lockstep/internal/durable"
	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

// Folder keeps issues as Markdown files in a directory, one per topic: the first message
// is its beginning, those that follow are sections at its end.
type Folder struct {
	name   string
	dir    string
	labels []string
	mu     sync.Mutex // one at a time rewrites a file
}

var _ notify.Sender = (*Folder)(nil)

const maxFile = 16 << 20

// Send puts m into the file of its topic and syncs it. ErrUnavailable: it cannot be read
// or written now. ErrRefused: the file has become too long.
func (f *Folder) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return notify.Receipt{}, err
	}
	if err := m.Check(); err != nil {
		return notify.Receipt{}, fmt.Errorf("%s: %w", f.name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	path := filepath.Join(f.dir, fileName(m.Thread()))
	if err := f.put(path, m); err != nil {
		if !errors.Is(err, lockstep.ErrRefused) {
			err = fmt.Errorf("%w: %w", lockstep.ErrUnavailable, err)
		}
		return notify.Receipt{}, lockstep.Hint(fmt.Errorf("%s: %w", f.name, err), "look at the directory of recipient "+f.name)
	}
	return notify.Receipt{Text: "written", Link: path}, nil
}

func (f *Folder) put(path string, m notify.Message) error {
	if err := durable.MkdirAll(f.dir); err != nil {
		return err
	}
	before, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return durable.CreateNew(path, []byte(f.first(m)))
	case err != nil:
		return err
	case notify.HasLine(string(before), notify.MessageMarker(m.ID)):
		return nil // whoever wrote it did so with one rename
	case len(before) > maxFile:
		return fmt.Errorf("%s: %w: it has %d bytes, at most %d", path, lockstep.ErrRefused, len(before), maxFile)
	}
	section := fmt.Sprintf("\n---\n\n%s\n## %s: %s\n\n%s", notify.MessageMarker(m.ID), m.At.UTC().Format(time.RFC3339), m.Subject, m.Page())
	return durable.Replace(path, append(before, section...))
}

func (f *Folder) first(m notify.Message) string {
	return fmt.Sprintf("%s\n%s\n# %s\n\nLabels: %s\n\n%s", notify.Marker(m.Thread()), notify.MessageMarker(m.ID), m.Subject, strings.Join(f.labels, ", "), m.Page())
}

// fileName can be read and is of one topic alone.
func fileName(topic string) string {
	readable := strings.Trim(strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, topic), "-")
	sum := sha256.Sum256([]byte(topic))
	return readable[:min(len(readable), 80)] + "-" + hex.EncodeToString(sum[:6]) + ".md"
}
