package change

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"lockstep/internal/lockstep"
)

// Options say how Decode reads. The zero value is usable.
type Options struct {
	Schema   Schema
	Limits   Limits
	Received time.Time // becomes Malformed.At
}

// Decoded is one record of the input: a message, or what could not be read.
type Decoded struct {
	Message lockstep.Message
	Bad     *Malformed // when set, Message is zero
}

// Decode yields the records of r in order. The shape is found out: a Lambda event,
// one stream record, an array of records, the answer of GetRecords, or one of these
// per line, mixed; docs/format/message.md has them all. Memory is bounded by one
// line, or by one document when a document spans several lines.
//
// What cannot be read is yielded as Bad and the reading goes on: a bad record costs
// itself, a broken line that line, a broken document what is left of the input. A
// value that is broken as JSON yields none of its records. The error is set only
// when the input cannot be read on, by its own fault or because ctx has ended, and
// then it is the last thing yielded. ctx is looked at between lines and records; a
// Read that blocks must be ended by whoever gave the reader.
func Decode(ctx context.Context, r io.Reader, source string, opts Options) iter.Seq2[Decoded, error] {
	return func(yield func(Decoded, error) bool) {
		limits := opts.Limits.resolved()
		d := decoder{
			reader:   reader{schema: resolve(opts.Schema), limits: limits},
			source:   strings.ToValidUTF8(source, "\uFFFD"),
			received: opts.Received,
			lines:    lines{in: bufio.NewReaderSize(r, bufferFor(r)), limit: limits.LineBytes},
			yield:    yield,
		}
		err := d.run(ctx)
		if err != nil && !errors.Is(err, errStopped) {
			yield(Decoded{}, fmt.Errorf("read changes from %s: %w", d.source, err))
		}
	}
}

// errStopped ends the reading when the consumer wants no more.
var errStopped = errors.New("stopped")

type decoder struct {
	reader
	source   string
	received time.Time
	lines    lines
	yield    func(Decoded, error) bool
}

// run reads value after value. Once a line is seen that is not the beginning of a
// longer document, the input is one value per line for good: then a torn line
// cannot swallow those that follow it.
func (d *decoder) run(ctx context.Context) error {
	perLine := false
	for {
		line, err := d.lines.next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if open, ok := beginning(line); ok && !perLine {
			if perLine, err = d.document(ctx, line.kept(), open); err != nil {
				return err
			}
			continue
		}
		perLine = true
		if err := d.value(ctx, line); err != nil {
			return err
		}
	}
}

// beginning says whether the line begins a value and does not end it.
func beginning(line piece) (open balance, ok bool) {
	i := skipBlank(line.text, 0)
	if line.sum != "" || line.text[i] != '{' && line.text[i] != '[' {
		return open, false
	}
	return open, open.feed(line.text, i) == unfinished
}

// document reads a value that spans several lines, of which the first is given. It
// says whether it found lines instead: a torn one, and whole ones after it.
func (d *decoder) document(ctx context.Context, first piece, open balance) (perLine bool, err error) {
	torn, err := d.torn(ctx, first)
	if err != nil {
		return false, err
	}
	if torn {
		return true, d.bad(first, faultf("the line ends in the middle of a value"))
	}
	doc := first.text
	for {
		line, err := d.lines.next(ctx)
		if errors.Is(err, io.EOF) {
			return false, d.bad(whole(doc), faultf("the document ends in the middle of a value"))
		}
		if err != nil {
			return false, err
		}
		from := len(doc) + 1
		doc = append(append(doc, '\n'), line.text...)
		if line.sum != "" || len(doc) > d.limits.LineBytes {
			return false, d.remainder(ctx, doc, faultf("a document of more than %d bytes", d.limits.LineBytes))
		}
		switch open.feed(doc, from) {
		case unfinished:
		case unbalanced:
			return false, d.remainder(ctx, doc, faultf("the document is broken in the line at byte %d", from))
		default: // what stands after the end is refused with the value
			return false, d.value(ctx, whole(doc))
		}
	}
}

// torn looks two lines ahead. A line that opens an object and is followed by a whole
// object, and that neither by a comma nor by a closing bracket, was cut off.
func (d *decoder) torn(ctx context.Context, first piece) (bool, error) {
	if t := bytes.TrimSpace(first.text); t[0] != '{' || len(t) == 1 {
		return false, nil
	}
	second, err := d.lines.next(ctx)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	second = second.kept()
	var b balance
	if second.text[0] != '{' || b.feed(second.text, 0) != len(second.text) {
		d.lines.unread(second)
		return false, nil
	}
	third, err := d.lines.next(ctx)
	switch {
	case err == nil:
		third = third.kept()
		d.lines.unread(second, third)
		return third.text[0] == '{', nil
	case errors.Is(err, io.EOF):
		d.lines.unread(second)
		return true, nil
	}
	return false, err
}

// remainder sets aside head and all that is left of the input as one piece.
func (d *decoder) remainder(ctx context.Context, head []byte, f *fault) error {
	p, err := d.lines.rest(ctx, head)
	if err != nil {
		return err
	}
	return d.bad(p, f)
}

// value yields the records of one top-level value.
func (d *decoder) value(ctx context.Context, p piece) error {
	if p.sum != "" {
		return d.bad(p, faultf("a line of %d bytes, at most %d", p.size, d.limits.LineBytes))
	}
	text := bytes.TrimSpace(p.text)
	switch {
	case text[0] == '[':
		return d.array(ctx, p, text)
	case text[0] != '{':
		return d.bad(p, faultf("want an object or an array"))
	case len(text) <= d.limits.RecordBytes:
		m, f := d.record(string(text))
		if f != isEvent {
			return d.one(m, f, whole(text))
		}
	}
	return d.event(ctx, p, text)
}

// event yields the members of "Records".
func (d *decoder) event(ctx context.Context, p piece, text []byte) error {
	ms, f := members(text)
	if f != nil {
		return d.bad(p, f)
	}
	var seen names
	var records []byte
	alsoRecord := false
	for _, m := range ms {
		known := fieldName(m.name)
		if !seen.add(known) {
			return d.bad(p, faultf("the name appears twice").in(segment(m.name)))
		}
		value := m.value.of(text)
		switch known {
		case "records":
			records = value
			continue
		case "dynamodb":
			alsoRecord = true
		}
		s := scanner{src: string(value)}
		if _, f = s.skip(2*d.limits.Depth + 8); f == nil {
			f = s.end()
		}
		if f != nil {
			return d.bad(p, f.in(segment(m.name)))
		}
	}
	switch {
	case records == nil:
		return d.bad(p, faultf("a record of %d bytes, at most %d", len(text), d.limits.RecordBytes))
	case alsoRecord:
		return d.bad(p, faultf("both a record and an event"))
	case records[0] != '[':
		return d.bad(p, faultf("want an array").in("Records"))
	}
	return d.array(ctx, p, records)
}

// array yields the records of an array, which is a part of p or all of it.
func (d *decoder) array(ctx context.Context, p piece, text []byte) error {
	if valueEnd(text, 0) != len(text) {
		return d.bad(p, faultf("the array is broken, or more follows it"))
	}
	spans, f := elements(text, d.limits.EventRecords)
	if f != nil {
		return d.bad(p, f)
	}
	if len(spans) > d.limits.EventRecords {
		return d.bad(p, faultf("more than %d records in one event: send them in several, or one per line", d.limits.EventRecords))
	}
	for i, s := range spans {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := s.of(text)
		m, f := d.element(part)
		if f != nil {
			f = f.clone().at(i) // isEvent is shared
		}
		if err := d.one(m, f, whole(part)); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) element(text []byte) (lockstep.Message, *fault) {
	if len(text) > d.limits.RecordBytes {
		return lockstep.Message{}, faultf("a record of %d bytes, at most %d", len(text), d.limits.RecordBytes)
	}
	return d.record(string(text))
}

// one yields a message, or the piece that should have been one.
func (d *decoder) one(m lockstep.Message, f *fault, p piece) error {
	if f != nil {
		return d.bad(p, f)
	}
	m.Source = d.source
	if !d.yield(Decoded{Message: m}, nil) {
		return errStopped
	}
	return nil
}

// bad yields a piece that cannot be read.
func (d *decoder) bad(p piece, f *fault) error {
	m := &Malformed{
		ID: p.sum, Size: p.size, Reason: f.Error(), Source: d.source, At: d.received,
		Key: d.keyOf(p.text),
	}
	if m.ID == "" {
		m.ID = hashOf(p.text)
	}
	m.Body = cutBody(p)
	if !d.yield(Decoded{Bad: m}, nil) {
		return errStopped
	}
	return nil
}

// cutBody copies at most MaxMalformedBytes and does not split a character of text.
func cutBody(p piece) []byte {
	text := p.text[:min(len(p.text), MaxMalformedBytes)]
	if p.size > int64(len(text)) {
		for cut := 1; cut <= utf8.UTFMax; cut++ {
			if i := len(text) - cut; utf8.RuneStart(text[i]) {
				if !utf8.FullRune(text[i:]) {
					text = text[:i]
				}
				break
			}
		}
	}
	return bytes.Clone(text)
}

// keyOf looks for the key of a record that cannot be read as a whole, so that a
// person learns which item is concerned. In doubt there is none.
func (d *decoder) keyOf(text []byte) lockstep.ItemKey {
	body := inside(inside(bytes.TrimSpace(text), "dynamodb"), "keys")
	s := scanner{src: string(body), depth: 1}
	keys, f := s.item(1)
	if f != nil {
		return lockstep.ItemKey{}
	}
	key, f := d.key(keys)
	if f != nil {
		return lockstep.ItemKey{}
	}
	return key
}

// inside returns the value of the one member of an object that has the folded name.
func inside(text []byte, folded string) (found []byte) {
	if len(text) == 0 || text[0] != '{' {
		return nil
	}
	ms, f := members(text)
	if f != nil {
		return nil
	}
	for _, m := range ms {
		if fieldName(m.name) != folded {
			continue
		}
		if found != nil {
			return nil
		}
		found = m.value.of(text)
	}
	return found
}

// bufferFor is how much of the input is read at a time: 64 KiB, or as much as there is. An
// archived message is read by itself, and there are many of them.
func bufferFor(r io.Reader) int {
	const most, least = 64 << 10, 512
	if known, ok := r.(interface{ Len() int }); ok {
		return min(max(known.Len(), least), most)
	}
	return most
}
