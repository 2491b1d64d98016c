package chromadir

// The opcodes that Chroma's index metadata is made of: serde_pickle's protocol 3
// (Rust, >= 1.0) and CPython's protocols 2 to 5 (Python, <= 0.6.3).
const (
	opMark            = '('
	opStop            = '.'
	opNone            = 'N'
	opBinInt          = 'J'
	opBinInt1         = 'K'
	opBinInt2         = 'M'
	opLong1           = 0x8a
	opShortBinUnicode = 0x8c
	opBinUnicode      = 'X'
	opBinUnicode8     = 0x8d
	opEmptyDict       = '}'
	opSetItem         = 's'
	opSetItems        = 'u'
	opEmptyTuple      = ')'
	opGlobal          = 'c'
	opStackGlobal     = 0x93
	opNewObj          = 0x81
	opBuild           = 'b'
	opBinGet          = 'h'
	opLongBinGet      = 'j'
	opBinPut          = 'q'
	opLongBinPut      = 'r'
	opMemoize         = 0x94
	opProto           = 0x80
	opFrame           = 0x95
)

const maxProtocol = 5

// step executes one opcode.
func (u *unpickler) step(op byte) error {
	switch op {
	case opProto, opFrame:
		return u.envelope(op)
	case opMark:
		if len(u.marks) == maxPickleMarks {
			return u.corrupt("nested more than %d deep", maxPickleMarks)
		}
		u.marks = append(u.marks, len(u.stack))
		return nil
	case opNone:
		u.push(nil)
		return nil
	case opEmptyDict:
		u.push(&dict{})
		return nil
	case opEmptyTuple:
		u.push(tuple{})
		return nil
	case opBinInt, opBinInt1, opBinInt2, opLong1:
		return u.integer(op)
	case opShortBinUnicode:
		return u.unicode(1)
	case opBinUnicode:
		return u.unicode(4)
	case opBinUnicode8:
		return u.unicode(8)
	case opSetItem, opSetItems:
		return u.setItems(op)
	case opGlobal, opStackGlobal:
		return u.global(op)
	case opNewObj, opBuild:
		return u.instance(op)
	case opBinGet, opLongBinGet, opBinPut, opLongBinPut, opMemoize:
		return u.remember(op)
	}
	return u.corrupt("opcode 0x%02x has no place in index metadata", op)
}

func (u *unpickler) envelope(op byte) error {
	if op == opProto {
		v, err := u.byte()
		if err == nil && (v < 2 || v > maxProtocol) {
			err = u.corrupt("pickle protocol %d, known are 2 to %d", v, maxProtocol)
		}
		return err
	}
	n, err := u.number(8) // frames only help buffering; their content is read as it comes
	if err == nil && n > uint64(u.size-u.at) {
		err = u.corrupt("a frame of %d bytes, %d are left: the file is torn", n, u.size-u.at)
	}
	return err
}

func (u *unpickler) integer(op byte) error {
	width := map[byte]uint64{opBinInt: 4, opBinInt1: 1, opBinInt2: 2}[op]
	if op == opLong1 {
		n, err := u.byte()
		if err != nil {
			return err
		}
		if width = uint64(n); width > 8 {
			return u.corrupt("an integer of %d bytes", n)
		}
	}
	v, err := u.number(width)
	if err != nil {
		return err
	}
	if signed := op == opBinInt || op == opLong1; signed && width > 0 {
		shift := 64 - 8*width
		u.push(int64(v<<shift) >> shift)
		return nil
	}
	u.push(int64(v))
	return nil
}

func (u *unpickler) unicode(width uint64) error {
	s, err := u.text(width)
	if err != nil {
		return err
	}
	u.push(s)
	return nil
}

func (u *unpickler) setItems(op byte) error {
	take := u.popMark
	if op == opSetItem {
		take = func() ([]any, error) { return u.pop(2) }
	}
	items, err := take()
	if err != nil {
		return err
	}
	if len(items)%2 != 0 || len(u.stack) == 0 {
		return u.corrupt("%d items for a dict", len(items))
	}
	d, ok := u.stack[len(u.stack)-1].(*dict)
	if !ok {
		return u.corrupt("items for something that is no dict")
	}
	for i := 0; i < len(items); i += 2 {
		d.entries = append(d.entries, entry{items[i], items[i+1]})
	}
	return nil
}

func (u *unpickler) global(op byte) error {
	if op == opGlobal {
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		if err != nil {
			return err
		}
		u.push(class{module, name})
		return nil
	}
	names, err := u.pop(2)
	if err != nil {
		return err
	}
	module, ok1 := names[0].(string)
	name, ok2 := names[1].(string)
	if !ok1 || !ok2 {
		return u.corrupt("a class name that is no text")
	}
	u.push(class{module, name})
	return nil
}

func (u *unpickler) instance(op byte) error {
	args, err := u.pop(2)
	if err != nil {
		return err
	}
	if op == opNewObj {
		c, ok1 := args[0].(class)
		t, ok2 := args[1].(tuple)
		if !ok1 || !ok2 || len(t) != 0 {
			return u.corrupt("an instance that is not made of a class and no arguments")
		}
		u.push(&object{class: c})
		return nil
	}
	o, ok1 := args[0].(*object)
	state, ok2 := args[1].(*dict)
	if !ok1 || !ok2 || o.state != nil {
		return u.corrupt("a state that is not one dict for one instance")
	}
	o.state = state
	u.push(o)
	return nil
}

// remember serves the memo. Every pickler numbers its puts in order, so the memo
// never has to be larger than the input.
func (u *unpickler) remember(op byte) error {
	width := uint64(1)
	if op == opLongBinGet || op == opLongBinPut {
		width = 4
	}
	n := uint64(len(u.memo))
	if op != opMemoize {
		var err error
		if n, err = u.number(width); err != nil {
			return err
		}
	}
	switch op {
	case opBinGet, opLongBinGet:
		if n >= uint64(len(u.memo)) {
			return u.corrupt("memo %d of %d", n, len(u.memo))
		}
		u.push(u.memo[n])
		return nil
	}
	if len(u.stack) == 0 || n > uint64(len(u.memo)) {
		return u.corrupt("memo %d put out of order", n)
	}
	if top := u.stack[len(u.stack)-1]; n < uint64(len(u.memo)) {
		u.memo[n] = top
	} else {
		u.memo = append(u.memo, top)
	}
	return nil
}
