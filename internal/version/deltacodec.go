package version

import (
	"encoding/binary"
	"fmt"

	"lockstep/internal/lockstep"
)

// Flags of an encoded mutation.
const (
	mutBefore = 1 << iota
	mutAfter
	mutVectorBefore
	mutVectorAfter
	mutSameRevision // the same revision as the mutation before it in the frame
	mutPatch        // the image after as what differs from the image before
)

const mutKnown = mutBefore | mutAfter | mutVectorBefore | mutVectorAfter | mutSameRevision | mutPatch

// patchable says whether the image after is to be written as a patch.
func patchable(m *Mutation) bool {
	if m.Before == nil || m.After == nil {
		return false
	}
	prefix, suffix := commonEnds(m.Before, m.After)
	return prefix+suffix >= patchLeast
}

// EncodeDelta returns d as bytes. The order of messages and mutations is kept.
func (f *Framer) EncodeDelta(d *Delta) ([]byte, error) {
	out := append([]byte(nil), deltaMagic...)
	out, err := f.AppendMessages(out, d.Messages)
	if err != nil {
		return nil, err
	}
	return f.AppendMutations(out, d.Mutations)
}

// DeltaHeader returns the bytes that every delta begins with.
func DeltaHeader() []byte { return []byte(deltaMagic) }

// AppendMessages appends frames that hold the messages.
func (f *Framer) AppendMessages(dst []byte, ms []Archived) ([]byte, error) {
	var plain []byte
	var err error
	revision := ""
	for i := range ms {
		m := &ms[i]
		plain = appendString(plain, m.ID)
		plain = appendString(plain, m.Group)
		plain = appendString(plain, m.Source)
		plain = appendString(plain, string(m.Outcome))
		plain = appendString(plain, m.Reason)
		plain = appendUnlike(plain, m.Revision, revision)
		revision = m.Revision
		plain = binary.AppendUvarint(plain, uint64(len(m.Body)))
		plain = append(plain, m.Body...)
		if len(plain) >= FrameBytes || i == len(ms)-1 {
			if dst, err = f.append(dst, frameText, plain); err != nil {
				return nil, err
			}
			plain, revision = plain[:0], ""
		}
	}
	return dst, nil
}

// appendUnlike appends a text that is mostly the same as the one before: 0 then, else one
// more than its length, and the text.
func appendUnlike(dst []byte, s, before string) []byte {
	if s == before {
		return append(dst, 0)
	}
	return append(binary.AppendUvarint(dst, uint64(len(s))+1), s...)
}

// AppendMutations appends frames that hold the mutations. Cause stays relative to
// all messages of the delta.
func (f *Framer) AppendMutations(dst []byte, ms []Mutation) ([]byte, error) {
	plain, revision := f.plain[:0], ""
	defer func() { f.plain = plain[:0] }()
	var err error
	for i := range ms {
		plain = appendMutation(plain, &ms[i], revision)
		revision = ms[i].Revision
		if len(plain) >= FrameBytes || i == len(ms)-1 {
			if dst, err = f.append(dst, frameMuts, plain); err != nil {
				return nil, err
			}
			plain, revision = plain[:0], ""
		}
	}
	return dst, nil
}

func appendMutation(dst []byte, m *Mutation, revision string) []byte {
	var flags byte
	if m.Before != nil {
		flags |= mutBefore
	}
	if m.After != nil {
		flags |= mutAfter
	}
	if m.VectorBefore != nil {
		flags |= mutVectorBefore
	}
	if m.VectorAfter != nil {
		flags |= mutVectorAfter
	}
	if m.Revision == revision {
		flags |= mutSameRevision
	}
	var prefix, suffix int
	if m.Before != nil && m.After != nil {
		if prefix, suffix = commonEnds(m.Before, m.After); prefix+suffix >= patchLeast {
			flags |= mutPatch
		}
	}
	dst = append(dst, flags)
	dst = appendString(dst, string(m.Collection))
	dst = appendString(dst, m.ID)
	dst = binary.AppendUvarint(dst, uint64(m.Cause+1))
	if m.Revision != revision {
		dst = appendString(dst, m.Revision)
	}
	if m.Before != nil {
		dst = appendAuthor(dst, m.Author)
		dst = appendBytes(dst, m.Before)
	}
	switch {
	case flags&mutPatch != 0:
		dst = binary.AppendUvarint(dst, uint64(prefix))
		dst = binary.AppendUvarint(dst, uint64(suffix))
		dst = appendBytes(dst, m.After[prefix:len(m.After)-suffix])
	case m.After != nil:
		dst = appendBytes(dst, m.After)
	}
	if m.VectorBefore != nil {
		dst = appendBytes(dst, m.VectorBefore)
	}
	if m.VectorAfter != nil {
		dst = appendBytes(dst, m.VectorAfter)
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

func appendAuthor(dst []byte, a lockstep.Author) []byte {
	dst = binary.AppendUvarint(dst, a.Version)
	dst = appendString(dst, a.Message)
	return appendString(dst, a.Revision)
}

// DecodeDelta reads what EncodeDelta, or any sequence of Append calls behind
// DeltaHeader, wrote. ErrDeltaEncoding for anything else. The result shares no
// memory with b.
func DecodeDelta(b []byte) (*Delta, error) {
	if err := checkPlainBytes(b); err != nil {
		return nil, err
	}
	b = b[len(deltaMagic):]
	dec, err := newFrameDecoder()
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	out := &Delta{}
	for len(b) > 0 {
		var fr frame
		if fr, b, err = nextFrame(dec, b); err != nil {
			return nil, err
		}
		switch fr.kind {
		case frameText:
			err = out.decodeMessages(fr.plain)
		case frameMuts:
			err = out.decodeMutations(fr.plain)
		default:
			err = fmt.Errorf("%w: unknown frame kind %q", ErrDeltaEncoding, fr.kind)
		}
		if err != nil {
			return nil, err
		}
	}
	for i := range out.Mutations {
		if out.Mutations[i].Cause >= len(out.Messages) {
			return nil, fmt.Errorf("%w: mutation %d is caused by message %d of %d", ErrDeltaEncoding, i, out.Mutations[i].Cause, len(out.Messages))
		}
	}
	return out, nil
}

func (d *Delta) decodeMessages(plain []byte) error {
	r := reader{b: plain}
	revision := ""
	for len(r.b) > 0 && !r.bad {
		m := Archived{ID: r.string(), Group: r.string(), Source: r.string()}
		m.Outcome, m.Reason = lockstep.Outcome(r.string()), r.string()
		revision = r.unlike(revision)
		m.Revision, m.Body = revision, r.bytes()
		d.Messages = append(d.Messages, m)
	}
	if r.bad {
		return fmt.Errorf("%w: message %d", ErrDeltaEncoding, len(d.Messages)-1)
	}
	return nil
}

func (d *Delta) decodeMutations(plain []byte) error {
	r := reader{b: plain}
	revision := ""
	for len(r.b) > 0 && !r.bad {
		m := r.mutation(revision)
		revision = m.Revision
		d.Mutations = append(d.Mutations, m)
	}
	if r.bad {
		return fmt.Errorf("%w: mutation %d", ErrDeltaEncoding, len(d.Mutations)-1)
	}
	return nil
}

// reader is the decoder of frames: it hands out slices of the frame itself.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 { // cut short, too long, or not minimal
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) string() string { return string(r.bytes()) }

// unlike reads what appendUnlike wrote.
func (r *reader) unlike(before string) string {
	n := r.uvarint()
	if n == 0 {
		return before
	}
	if n-1 > uint64(len(r.b)) || string(r.b[:n-1]) == before { // there is one way to write it
		r.bad, r.b = true, nil
		return ""
	}
	s := string(r.b[:n-1])
	r.b = r.b[n-1:]
	return s
}

func (r *reader) mutation(revision string) Mutation {
	if len(r.b) == 0 {
		r.bad = true
		return Mutation{}
	}
	flags := r.b[0]
	r.b = r.b[1:]
	m := Mutation{Collection: lockstep.Collection(r.string()), ID: r.string(), Cause: int(min(r.uvarint(), 1<<40)) - 1, Revision: revision}
	if flags&mutSameRevision == 0 {
		if m.Revision = r.string(); m.Revision == revision {
			r.bad = true
		}
	}
	if flags&mutBefore != 0 {
		m.Author = lockstep.Author{Version: r.uvarint(), Message: r.string(), Revision: r.string()}
		m.Before = r.bytes()
	}
	switch {
	case flags&mutPatch != 0:
		m.After = r.patched(m.Before)
	case flags&mutAfter != 0:
		m.After = r.bytes()
	}
	if flags&mutVectorBefore != 0 {
		m.VectorBefore = r.bytes()
	}
	if flags&mutVectorAfter != 0 {
		m.VectorAfter = r.bytes()
	}
	if flags&^mutKnown != 0 || flags&(mutBefore|mutAfter) == 0 || flags&mutPatch != 0 && flags&(mutBefore|mutAfter) != mutBefore|mutAfter ||
		len(m.VectorBefore)%4 != 0 || len(m.VectorAfter)%4 != 0 || flags&mutPatch == 0 && patchable(&m) {
		r.bad = true
	}
	return m
}
