package receipt

import (
	"strings"

	"lockstep/internal/lockstep"
)

// patch says what some keys of a record shall be. It is computed once and laid over
// many records, so applying it allocates at most the new slice.
type patch struct {
	fields []lockstep.Field // sorted by key; the zero Value says: absent
	prefix string           // keys that begin so and are not in fields are absent; "": none
}

// apply returns m with the patch laid over it. It returns m itself, and false, when
// nothing differs.
func (p *patch) apply(m lockstep.Metadata) (lockstep.Metadata, bool) {
	size, same := p.merge(m, nil)
	if same {
		return m, false
	}
	out := make(lockstep.Metadata, 0, size)
	p.merge(m, &out)
	return out, true
}

// merge walks both sorted lists once. Without out it only measures; the walk is
// cheaper than a copy that turns out to be equal.
func (p *patch) merge(m lockstep.Metadata, out *lockstep.Metadata) (size int, same bool) {
	put := func(f *lockstep.Field) {
		size++
		if out != nil {
			*out = append(*out, *f)
		}
	}
	same = true
	i := 0
	for j := range p.fields {
		f := &p.fields[j]
		order := 1
		for i < len(m) {
			if order = strings.Compare(m[i].Key, f.Key); order >= 0 {
				break
			}
			if p.drops(m[i].Key) {
				same = false
			} else {
				put(&m[i])
			}
			i++
		}
		present := i < len(m) && order == 0
		switch {
		case f.Value.Kind() == 0:
			same = same && !present
		case present && m[i].Value.Equal(f.Value):
			put(&m[i])
		default:
			same = false
			put(f)
		}
		if present {
			i++
		}
	}
	for ; i < len(m); i++ {
		if p.drops(m[i].Key) {
			same = false
		} else {
			put(&m[i])
		}
	}
	return size, same
}

func (p *patch) drops(key string) bool {
	return p.prefix != "" && strings.HasPrefix(key, p.prefix)
}

// text is the value of a key that holds s, and "absent" for "".
func text(s string) lockstep.Value {
	if s == "" {
		return lockstep.Value{}
	}
	return lockstep.String(s)
}

// csv is the older format of a list of labels: commas around every name, so that
// ",TAX," can be searched for. "" when there is none.
func csv(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "," + strings.Join(names, ",") + ","
}
