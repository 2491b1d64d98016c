package program

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// Limits of an answer that no option changes.
const (
	maxReads       = 1 << 16   // ranges of one kind in one answer
	maxSpecs       = 1 << 12   // collections or entities; Description.Check has narrower ones
	maxReasonBytes = 4 << 10   // kept of a reported error
	maxConfigBytes = 1 << 20   // of a description
	maxInt         = 1<<53 - 1 // of numbers that are counts: what every language can hold
)

// answer is one line of a program, read.
type answer struct {
	id        uint64
	reported  error // what the handler itself says against the request
	desc      handler.Description
	reads     handler.Reads
	mutations []lockstep.Mutation
}

// decoder knows what may be in an answer.
type decoder struct {
	request   string
	messages  int // of the request; indexes are below it
	mutations int // most in one answer
}

// decode reads one line. The error says where and what; it is errLimit when the
// answer is only too large.
func (d decoder) decode(line []byte) (answer, error) {
	var a answer
	s := scanner{src: string(line)}
	if !utf8.ValidString(s.src) {
		return a, errors.New("not UTF-8")
	}
	var hasID, hasResult, hasError, hasProtocol bool
	result := map[string]string{requestDescribe: "describe", requestReads: "reads", requestPlan: "mutations"}[d.request]
	s.object(func(name string) {
		switch {
		case name == "id":
			hasID = true
			a.id = uint64(s.integer(maxInt))
		case name == "error":
			hasError = true
			a.reported = s.reported()
		case name == "protocol" && d.request == requestDescribe:
			hasProtocol = true
			if got := s.str(); s.err == nil && got != Protocol {
				s.fail("%q, but Lockstep speaks %q", clip(got), Protocol)
			}
		case name == result:
			hasResult = true
			d.result(&s, &a)
		default:
			s.unknown(name)
		}
	})
	s.end()
	switch {
	case s.err != nil:
	case !hasID:
		s.fail("no id")
	case hasResult && hasError:
		s.fail("both %s and error", result)
	case !hasResult && !hasError:
		s.fail("neither %s nor error", result)
	case d.request == requestDescribe && !hasProtocol && !hasError:
		s.fail("no protocol")
	}
	return a, s.err
}

func (d decoder) result(s *scanner, a *answer) {
	switch d.request {
	case requestDescribe:
		a.desc = s.description()
	case requestReads:
		a.reads = s.reads(d.messages)
	case requestPlan:
		s.array(func(i int) {
			if i >= d.mutations {
				s.fail("%w: more than %d mutations", errLimit, d.mutations)
				return
			}
			a.mutations = append(a.mutations, s.mutation())
		})
	}
}

// reported reads the handler's own error.
func (s *scanner) reported() error {
	class := lockstep.ErrInvalid
	var text string
	s.object(func(name string) {
		switch name {
		case "message":
			text = s.str()
		case "class":
			switch c := s.str(); c {
			case "invalid":
			case "refused":
				class = lockstep.ErrRefused
			default:
				s.fail("%q, want invalid or refused", clip(c))
			}
		default:
			s.unknown(name)
		}
	})
	if s.err == nil && text == "" {
		s.fail("no message")
	}
	if len(text) > maxReasonBytes {
		text = strings.ToValidUTF8(text[:maxReasonBytes], "") + "…"
	}
	return fmt.Errorf("%w: %s", class, text)
}

func (s *scanner) description() handler.Description {
	var d handler.Description
	s.object(func(name string) {
		switch name {
		case "name":
			d.Name = s.str()
		case "version":
			d.Version = s.str()
		case "reads_format":
			d.ReadsFormat = s.str()
		case "writes_format":
			d.WritesFormat = s.str()
		case "config":
			if d.Config = []byte(s.str()); len(d.Config) > maxConfigBytes {
				s.fail("%d bytes, at most %d", len(d.Config), maxConfigBytes)
			}
		case "collections":
			s.few(maxSpecs, func(int) { d.Collections = append(d.Collections, s.collection()) })
		case "entities":
			s.few(maxSpecs, func(int) { d.Entities = append(d.Entities, s.entity()) })
		case "key":
			d.Key = s.key()
		default:
			s.unknown(name)
		}
	})
	return d
}

// few is array with a limit.
func (s *scanner) few(most int, element func(i int)) {
	s.array(func(i int) {
		if i >= most {
			s.fail("%w: more than %d of them", errLimit, most)
			return
		}
		element(i)
	})
}

func (s *scanner) collection() (c handler.CollectionSpec) {
	s.object(func(name string) {
		switch name {
		case "name":
			c.Name = lockstep.Collection(s.str())
		case "dimension":
			c.Dimension = int(s.integer(lockstep.MaxDimension))
		case "space":
			c.Space = s.str()
		default:
			s.unknown(name)
		}
	})
	return c
}

func (s *scanner) entity() (e handler.EntityRule) {
	s.object(func(name string) {
		switch name {
		case "entity":
			e.Entity = s.str()
		case "partition":
			e.Partition = s.str()
		case "sort":
			e.Sort = s.str()
		default:
			s.unknown(name)
		}
	})
	return e
}

func (s *scanner) key() (k handler.KeySchema) {
	s.object(func(name string) {
		switch name {
		case "partition":
			k.Partition = s.str()
		case "sort":
			k.Sort = s.str()
		default:
			s.unknown(name)
		}
	})
	return k
}

func (s *scanner) reads(messages int) (r handler.Reads) {
	s.object(func(name string) {
		switch name {
		case "records":
			s.few(maxReads, func(int) { r.Records = append(r.Records, s.recordRange()) })
		case "items":
			s.few(maxReads, func(int) { r.Items = append(r.Items, s.itemRange()) })
		case "imports":
			s.few(maxReads, func(int) { r.Imports = append(r.Imports, s.importRef(messages)) })
		default:
			s.unknown(name)
		}
	})
	return r
}

func (s *scanner) recordRange() (r handler.RecordRange) {
	s.object(func(name string) {
		switch name {
		case "collection":
			r.Collection = lockstep.Collection(s.str())
		case "id":
			r.ID = s.str()
		case "prefix":
			r.Prefix = s.truth()
		default:
			s.unknown(name)
		}
	})
	if s.err == nil && (r.Collection == "" || r.ID == "") {
		s.fail("a range needs a collection and an id")
	}
	return r
}

func (s *scanner) itemRange() (r handler.ItemRange) {
	s.object(func(name string) {
		switch name {
		case "partition":
			r.Partition = s.str()
		case "sort_prefix":
			r.SortPrefix = s.str()
		default:
			s.unknown(name)
		}
	})
	if s.err == nil && r.Partition == "" {
		s.fail("a range needs a partition")
	}
	return r
}

func (s *scanner) importRef(messages int) (r handler.ImportRef) {
	r.Message = -1
	s.object(func(name string) {
		switch name {
		case "collection":
			r.Collection = lockstep.Collection(s.str())
		case "location":
			r.Location = s.str()
		case "message":
			r.Message = int(s.integer(int64(messages - 1)))
		default:
			s.unknown(name)
		}
	})
	if s.err == nil && (r.Collection == "" || r.Location == "" || r.Message < 0) {
		s.fail("an import needs a collection, a location and a message")
	}
	return r
}

func (s *scanner) mutation() (m lockstep.Mutation) {
	m.Cause = -1
	s.object(func(name string) {
		switch name {
		case "collection":
			m.Collection = lockstep.Collection(s.str())
		case "op":
			switch op := s.str(); op {
			case lockstep.Upsert.String():
				m.Op = lockstep.Upsert
			case lockstep.Delete.String():
				m.Op = lockstep.Delete
			default:
				s.fail("%q, want upsert or delete", clip(op))
			}
		case "id":
			m.Record.ID = s.str()
		case "document":
			if !s.null() {
				m.Record.Document, m.Record.HasDocument = s.str(), true
			}
		case "metadata":
			m.Record.Metadata = s.metadata()
		case "vector":
			if !s.null() {
				m.Vector = s.vector()
			}
		case "cause":
			m.Cause = int(s.integer(maxInt))
		default:
			s.unknown(name)
		}
	})
	if s.err == nil && (m.Collection == "" || m.Op == 0 || m.Record.ID == "" || m.Cause < 0) {
		s.fail("a mutation needs a collection, an op, an id and a cause")
	}
	if s.err == nil && m.Op == lockstep.Delete && (m.Record.HasDocument || len(m.Record.Metadata) > 0 || m.Vector != nil) {
		s.fail("a delete has no document, metadata or vector")
	}
	return m
}

func (s *scanner) metadata() lockstep.Metadata {
	fields := map[string]lockstep.Value{}
	s.object(func(name string) {
		if len(fields) >= lockstep.MaxMetadataKeys {
			s.fail("%w: more than %d metadata keys", errLimit, lockstep.MaxMetadataKeys)
			return
		}
		if s.peek() != '[' {
			fields[name] = s.value()
			return
		}
		var elems []lockstep.Value
		s.array(func(int) { elems = append(elems, s.value()) })
		fields[name] = lockstep.List(elems)
	})
	if len(fields) == 0 {
		return nil
	}
	return lockstep.MetadataOf(fields)
}

// value reads a scalar. 1 is an integer and 1.0 is not: Chroma keeps them apart.
func (s *scanner) value() lockstep.Value {
	switch c := s.peek(); {
	case s.err != nil:
		return lockstep.Value{}
	case c == '"':
		return lockstep.String(s.str())
	case c == 't' || c == 'f':
		return lockstep.Bool(s.truth())
	case c == '-' || '0' <= c && c <= '9':
		return s.numeric()
	case c == 'n':
		s.fail("null is no value: leave the key out")
	default:
		s.fail("want a string, number, truth value or list of those at byte %d, found %s", s.pos, found(s.src[s.pos:]))
	}
	return lockstep.Value{}
}

func (s *scanner) numeric() lockstep.Value {
	text := s.number()
	if s.err != nil {
		return lockstep.Value{}
	}
	if !strings.ContainsAny(text, ".eE") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			s.fail("%s does not fit into 64 bits; write it with a point if it is a float", clip(text))
		}
		return lockstep.Int(n)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		s.fail("%s is too large for a float", clip(text))
	}
	return lockstep.Float(f)
}

// vector reads components: base64 of little-endian float32, or an array of numbers.
func (s *scanner) vector() []float32 {
	if s.peek() == '"' {
		return s.packed()
	}
	out := []float32{}
	s.array(func(i int) {
		if i >= lockstep.MaxDimension {
			s.fail("%w: more than %d components", errLimit, lockstep.MaxDimension)
			return
		}
		text := s.number()
		if s.err != nil {
			return
		}
		f, err := strconv.ParseFloat(text, 32)
		if err != nil {
			s.fail("%s does not fit into 32 bits", clip(text))
		}
		out = append(out, float32(f))
	})
	return out
}

func (s *scanner) packed() []float32 {
	text := s.str()
	if s.err != nil {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw)%4 != 0 || strings.ContainsAny(text, "\r\n") {
		s.fail("not base64 of 32-bit numbers")
		return nil
	}
	if len(raw)/4 > lockstep.MaxDimension {
		s.fail("%w: %d components, at most %d", errLimit, len(raw)/4, lockstep.MaxDimension)
		return nil
	}
	out := make([]float32, len(raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}
