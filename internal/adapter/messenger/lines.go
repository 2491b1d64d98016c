package messenger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"lockstep/internal/durable"
	"lockstep/internal/lockstep"
	"lockstep/internal/notify"
)

// Lines appends messages to messages.jsonl in a directory: per message one line, which
// is what a webhook would get. A message that is there already is not appended again.
type Lines struct {
	name string
	dir  string
	mu   sync.Mutex // one writer here; what others append is whole, since a line is one write
}

var _ notify.Sender = (*Lines)(nil)

const linesName = "messages.jsonl"

// Send appends m and syncs the file. ErrUnavailable: the file cannot be written now.
func (l *Lines) Send(ctx context.Context, m notify.Message) (notify.Receipt, error) {
	if err := begin(ctx, l.name, m); err != nil {
		return notify.Receipt{}, err
	}
	body, err := bodyOf(l.name, m)
	if err != nil {
		return notify.Receipt{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	path := filepath.Join(l.dir, linesName)
	if err := l.append(path, m.ID, body); err != nil {
		return notify.Receipt{}, unwritable(l.name, err)
	}
	return notify.Receipt{Text: "written", Link: path}, nil
}

func (l *Lines) append(path, id string, line []byte) error {
	if err := durable.MkdirAll(l.dir); err != nil {
		return err
	}
	there, whole, err := findLine(path, id)
	if err != nil {
		return err
	}
	if !there {
		if !whole {
			line = append([]byte{'\n'}, line...) // behind what a crash cut off
		}
		if err := appendTo(path, append(line, '\n')); err != nil {
			return err
		}
	}
	// Also what was there: its writer may have died before it came to this.
	if err := durable.SyncFile(path); err != nil {
		return err
	}
	return durable.SyncDir(l.dir)
}

// findLine says whether a line of the file is the message of an ID, and whether the last
// line is whole. A line that cannot be read is nobody's.
func findLine(path, id string) (there, whole bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, true, nil
	}
	if err != nil {
		return false, false, err
	}
	// It was only read: Close has nothing to lose.
	defer func() { _ = f.Close() }()
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return false, false, err
		}
		var e struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(line, &e) == nil && e.ID == id && bytes.HasSuffix(line, []byte("\n")) {
			return true, true, nil
		}
		if err == io.EOF {
			return false, len(line) == 0, nil
		}
	}
}

func appendTo(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	return errors.Join(err, f.Close())
}

func unwritable(name string, err error) error {
	return lockstep.Hint(fmt.Errorf("%s: %w: %w", name, lockstep.ErrUnavailable, err), "look at the directory of recipient "+name)
}
