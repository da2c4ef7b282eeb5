package document

import "iter"

// Object is the index of one object's members, made in one pass so that several lookups and an edit share it. Its
// zero value is ready for Read; reading again reuses its memory.
type Object struct {
	raw     []byte
	members []member

	// Scratch memory of edits, kept from one document to the next.
	hits  []hit
	stack []member
}

// member is where one member of an object, or one element of a list, stands. For an element start and keyEnd are
// where its value begins.
type member struct {
	start, keyEnd int // the name with its quotes
	value, end    int
	escaped       bool // the name holds escapes
}

// maxKept is how many members an index may have and still keep its memory for the next document.
const maxKept = 10_000

// Read indexes raw, which must be an object.
func (o *Object) Read(raw []byte) error {
	if cap(o.members) > maxKept || cap(o.stack) > maxKept {
		*o = Object{}
	}
	o.raw = raw
	var err error
	o.members, err = appendMembers(o.members[:0], raw, skipSpace(raw, 0))
	return err
}

// Raw is the object as it was read.
func (o *Object) Raw() []byte { return o.raw }

// Len is the number of members, repeated names counted each time.
func (o *Object) Len() int { return len(o.members) }

// Get returns the raw value of a member.
func (o *Object) Get(name string) (raw []byte, ok bool) {
	for i := len(o.members) - 1; i >= 0; i-- {
		if m := &o.members[i]; m.named(o.raw, name) {
			return o.raw[m.value:m.end], true
		}
	}
	return nil, false
}

// All runs over the members in order: the name as a raw JSON string, and the raw value.
func (o *Object) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := range o.members {
			m := &o.members[i]
			if !yield(o.raw[m.start:m.keyEnd], o.raw[m.value:m.end]) {
				return
			}
		}
	}
}

func (m *member) named(raw []byte, name string) bool {
	inner := raw[m.start+1 : m.keyEnd-1]
	if !m.escaped {
		return string(inner) == name
	}
	text, err := unescape(inner)
	return err == nil && text == name
}

// appendMembers indexes the object that begins at i.
func appendMembers(to []member, b []byte, i int) ([]member, error) {
	if i >= len(b) || b[i] != '{' {
		return to, &KindError{KindObject, KindOf(b[i:])}
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return to, nil
	}
	for {
		m, next := memberAt(b, i)
		if next < 0 {
			return to, &SyntaxError{i, "want a name and a value"}
		}
		to = append(to, m)
		if b[next] == '}' {
			return to, nil
		}
		i = skipSpace(b, next+1)
	}
}

// memberAt reads the member at i; next is the index of the comma or brace after it, -1 if it is broken.
func memberAt(b []byte, i int) (m member, next int) {
	if i >= len(b) || b[i] != '"' {
		return m, -1
	}
	m.start = i
	if m.keyEnd, m.escaped = skipString(b, i); m.keyEnd < 0 {
		return m, -1
	}
	colon := skipSpace(b, m.keyEnd)
	if colon >= len(b) || b[colon] != ':' {
		return m, -1
	}
	m.value = skipSpace(b, colon+1)
	if m.end = skipValue(b, m.value); m.end < 0 {
		return m, -1
	}
	next = skipSpace(b, m.end)
	if next >= len(b) || b[next] != ',' && b[next] != '}' {
		return m, -1
	}
	return m, next
}

// appendElements indexes the list that begins at i.
func appendElements(to []member, b []byte, i int) ([]member, error) {
	if i >= len(b) || b[i] != '[' {
		return to, &KindError{KindList, KindOf(b[i:])}
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return to, nil
	}
	for {
		end := skipValue(b, i)
		if end < 0 {
			return to, &SyntaxError{i, "want a value"}
		}
		to = append(to, member{start: i, keyEnd: i, value: i, end: end})
		next := skipSpace(b, end)
		if next >= len(b) || b[next] != ',' && b[next] != ']' {
			return to, &SyntaxError{next, "want ',' or ']'"}
		}
		if b[next] == ']' {
			return to, nil
		}
		i = skipSpace(b, next+1)
	}
}

// Member returns the raw value of a member of an object, without an index: for objects that are looked into once.
func Member(raw []byte, name string) (value []byte, ok bool) {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return nil, false
	}
	for i++; ; {
		m, next := memberAt(raw, skipSpace(raw, i))
		if next < 0 {
			return value, ok
		}
		if m.named(raw, name) {
			value, ok = raw[m.value:m.end], true
		}
		if i = next + 1; raw[next] == '}' {
			return value, ok
		}
	}
}

// Elements runs over a list's raw elements in order.
func Elements(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := skipSpace(raw, 0)
		if i >= len(raw) || raw[i] != '[' {
			return
		}
		for i = skipSpace(raw, i+1); ; i = skipSpace(raw, i+1) {
			end := skipValue(raw, i)
			if end < 0 || !yield(raw[i:end]) {
				return
			}
			if i = skipSpace(raw, end); i >= len(raw) || raw[i] != ',' {
				return
			}
		}
	}
}

// Element returns the raw element at an index of a list.
func Element(raw []byte, index int) (value []byte, ok bool) {
	n := 0
	for e := range Elements(raw) {
		if n == index {
			return e, true
		}
		n++
	}
	return nil, false
}
