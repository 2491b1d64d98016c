package messenger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"lockstep/internal/durable"
	"lockstep/internal/notify"
)

// Pages writes each message as a Markdown file of its own into a directory. The name of
// the file is that of the message, so a message that is there already stays as it is.
type Pages struct {
	name string
	dir  string
}

var _ notify.Sender = (*Pages)(nil)

// Send writes m. ErrUnavailable: the directory cannot be written now.
func (p *Pages) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	if err := begin(ctx, p.name, m); err != nil {
		return notify.Receipt{}, err
	}
	path := filepath.Join(p.dir, pageName(m))
	if err := durable.MkdirAll(p.dir); err != nil {
		return notify.Receipt{}, unwritable(p.name, err)
	}
	// A file of that name was made by an earlier attempt: the name holds a hash of the ID,
	// and CreateNew leaves no half a file.
	if err := durable.CreateNew(path, []byte(page(m))); err != nil && !errors.Is(err, fs.ErrExist) {
		return notify.Receipt{}, unwritable(p.name, err)
	}
	return notify.Receipt{Text: "written", Link: path}, nil
}

func page(m notify.Message) string {
	return fmt.Sprintf("%s\n# %s\n\n%s", notify.MessageMarker(m.ID), m.Subject, m.Page())
}

// pageName sorts by time, can be read, and is of one ID alone.
func pageName(m notify.Message) string {
	readable := strings.Trim(strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, m.ID), "-.")
	readable = readable[:min(len(readable), 80)]
	return fmt.Sprintf("%s-%s-%s.md", m.At.UTC().Format("20060102T150405Z"), readable, keyFor(m.ID)[len("lockstep_"):][:12])
}
