package expr

import (
	"errors"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

var (
	_ traits.Mapper = (*objectValue)(nil)
	_ traits.Lister = (*listValue)(nil)
	_ traits.Mapper = headerMap{}
	_ ref.Val       = numberBeyond{}
)

var errNoNative = errors.New("a value of an event has no Go form")

// objectValue is a JSON object as a CEL map: a member is parsed when it is looked at.
type objectValue struct {
	in    *Input
	raw   []byte
	index *document.Object // nil until all members are needed
}

func (o *objectValue) member(name string) ([]byte, bool) {
	if len(o.raw) < knownBytes && o.index == nil {
		return document.Member(o.raw, name)
	}
	return o.indexed().Get(name)
}

func (o *objectValue) indexed() *document.Object {
	if o.index == nil {
		o.index = new(document.Object)
		if o.index.Read(o.raw) != nil {
			o.index = new(document.Object) // not JSON: an object without members
		}
	}
	return o.index
}

// FindStringKey spares the interpreter from wrapping the name.
func (o *objectValue) FindStringKey(name string) (any, bool) {
	raw, ok := o.member(name)
	if !ok {
		return nil, false
	}
	return o.in.value(raw), true
}

// Find implements traits.Mapper.
func (o *objectValue) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	raw, ok := o.member(string(name))
	if !ok {
		return nil, false
	}
	return o.in.value(raw), true
}

// Get implements traits.Indexer.
func (o *objectValue) Get(key ref.Val) ref.Val {
	if v, ok := o.Find(key); ok {
		return v
	}
	return types.NewErr("no such key: %v", key.Value())
}

// Contains implements traits.Container.
func (o *objectValue) Contains(key ref.Val) ref.Val {
	name, ok := key.(types.String)
	if ok {
		_, ok = o.member(string(name))
	}
	return types.Bool(ok)
}

// names are the members' names, each once, in the order of the document.
func (o *objectValue) names() []string {
	index := o.indexed()
	names := make([]string, 0, index.Len())
	seen := make(map[string]bool, index.Len())
	for raw := range index.All() {
		if name, err := document.Text(raw); err == nil && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// Size implements traits.Sizer.
func (o *objectValue) Size() ref.Val { return types.Int(len(o.names())) }

// Iterator implements traits.Iterable: it runs over the names.
func (o *objectValue) Iterator() traits.Iterator { return newNames(o.names()) }

// Equal implements ref.Val.
func (o *objectValue) Equal(other ref.Val) ref.Val { return equalMaps(o, other) }

// Type implements ref.Val.
func (o *objectValue) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (o *objectValue) Value() any { return o.raw }

// ConvertToType implements ref.Val.
func (o *objectValue) ConvertToType(t ref.Type) ref.Val { return convert(o, t) }

// ConvertToNative implements ref.Val.
func (o *objectValue) ConvertToNative(reflect.Type) (any, error) { return nil, errNoNative }

func equalMaps(m traits.Mapper, other ref.Val) ref.Val {
	n, ok := other.(traits.Mapper)
	if !ok || m.Size() != n.Size() {
		return types.False
	}
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		a, _ := m.Find(key)
		b, found := n.Find(key)
		if !found || types.Equal(a, b) != types.True {
			return types.False
		}
	}
	return types.True
}

func convert(v ref.Val, t ref.Type) ref.Val {
	switch t {
	case v.Type():
		return v
	case types.TypeType:
		if own, ok := v.Type().(*types.Type); ok {
			return own
		}
	}
	return types.NewErr("no such overload")
}

// listValue is a JSON list as a CEL list.
type listValue struct {
	in       *Input
	raw      []byte
	read     bool
	elements [][]byte
}

func (l *listValue) all() [][]byte {
	if !l.read {
		for e := range document.Elements(l.raw) {
			l.elements = append(l.elements, e)
		}
		l.read = true
	}
	return l.elements
}

// Get implements traits.Indexer.
func (l *listValue) Get(index ref.Val) ref.Val {
	i, err := types.GetOrError(index)
	if err != nil {
		return types.WrapErr(err)
	}
	if i < 0 || i >= len(l.all()) {
		return types.NewErr("index out of bounds: %d", i)
	}
	return l.in.value(l.elements[i])
}

// Size implements traits.Sizer.
func (l *listValue) Size() ref.Val { return types.Int(len(l.all())) }

// Add implements traits.Adder.
func (l *listValue) Add(other ref.Val) ref.Val {
	if _, ok := other.(traits.Lister); !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	values := make([]ref.Val, 0, len(l.all()))
	for _, raw := range l.elements {
		values = append(values, l.in.value(raw))
	}
	return types.NewRefValList(types.DefaultTypeAdapter, values).Add(other)
}

// Contains implements traits.Container.
func (l *listValue) Contains(wanted ref.Val) ref.Val {
	for _, raw := range l.all() {
		if types.Equal(l.in.value(raw), wanted) == types.True {
			return types.True
		}
	}
	return types.False
}

// Iterator implements traits.Iterable.
func (l *listValue) Iterator() traits.Iterator {
	return &iterator{n: len(l.all()), at: func(i int) ref.Val { return l.in.value(l.elements[i]) }}
}

// Equal implements ref.Val.
func (l *listValue) Equal(other ref.Val) ref.Val {
	o, ok := other.(traits.Lister)
	if !ok || l.Size() != o.Size() {
		return types.False
	}
	for i, raw := range l.all() {
		if types.Equal(l.in.value(raw), o.Get(types.Int(i))) != types.True {
			return types.False
		}
	}
	return types.True
}

// Type implements ref.Val.
func (l *listValue) Type() ref.Type { return types.ListType }

// Value implements ref.Val.
func (l *listValue) Value() any { return l.raw }

// ConvertToType implements ref.Val.
func (l *listValue) ConvertToType(t ref.Type) ref.Val { return convert(l, t) }

// ConvertToNative implements ref.Val.
func (l *listValue) ConvertToNative(reflect.Type) (any, error) { return nil, errNoNative }

// iterator runs over values by number. The embedded value is never looked at: CEL only asks for HasNext and Next.
type iterator struct {
	ref.Val
	i, n int
	at   func(int) ref.Val
}

func newNames(names []string) *iterator {
	return &iterator{n: len(names), at: func(i int) ref.Val { return types.String(names[i]) }}
}

// HasNext implements traits.Iterator.
func (it *iterator) HasNext() ref.Val { return types.Bool(it.i < it.n) }

// Next implements traits.Iterator.
func (it *iterator) Next() ref.Val {
	it.i++
	return it.at(it.i - 1)
}

// Type implements ref.Val.
func (it *iterator) Type() ref.Type { return types.IteratorType }

// numberBeyond is a number that 64 bits cannot hold. It can be copied and compared with itself, nothing else.
type numberBeyond struct{ raw []byte }

var beyondType = types.NewOpaqueType("number_beyond_64_bits")

// Equal implements ref.Val.
func (n numberBeyond) Equal(other ref.Val) ref.Val {
	o, ok := other.(numberBeyond)
	return types.Bool(ok && string(o.raw) == string(n.raw))
}

// Type implements ref.Val.
func (n numberBeyond) Type() ref.Type { return beyondType }

// Value implements ref.Val.
func (n numberBeyond) Value() any { return n.raw }

// ConvertToType implements ref.Val: a text keeps every digit.
func (n numberBeyond) ConvertToType(t ref.Type) ref.Val {
	if t == types.StringType {
		return types.String(n.raw)
	}
	return convert(n, t)
}

// ConvertToNative implements ref.Val.
func (n numberBeyond) ConvertToNative(reflect.Type) (any, error) { return nil, errNoNative }

// headerMap is a record's headers as a CEL map of texts; of a name that occurs twice the last counts.
type headerMap struct{ r *record.Record }

// FindStringKey spares the interpreter from wrapping the name.
func (h headerMap) FindStringKey(name string) (any, bool) {
	v, ok := h.r.Header(name)
	if !ok {
		return nil, false
	}
	return types.String(validText(v)), true
}

// Find implements traits.Mapper.
func (h headerMap) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	v, ok := h.r.Header(string(name))
	if !ok {
		return nil, false
	}
	return types.String(validText(v)), true
}

// Get implements traits.Indexer.
func (h headerMap) Get(key ref.Val) ref.Val {
	if v, ok := h.Find(key); ok {
		return v
	}
	return types.NewErr("no such key: %v", key.Value())
}

// Contains implements traits.Container.
func (h headerMap) Contains(key ref.Val) ref.Val {
	_, ok := h.Find(key)
	return types.Bool(ok)
}

func (h headerMap) names() []string {
	var names []string
	seen := make(map[string]bool, len(h.r.Headers))
	for _, header := range h.r.Headers {
		if !seen[header.Key] {
			seen[header.Key] = true
			names = append(names, header.Key)
		}
	}
	return names
}

// Size implements traits.Sizer.
func (h headerMap) Size() ref.Val { return types.Int(len(h.names())) }

// Iterator implements traits.Iterable.
func (h headerMap) Iterator() traits.Iterator { return newNames(h.names()) }

// Equal implements ref.Val.
func (h headerMap) Equal(other ref.Val) ref.Val { return equalMaps(h, other) }

// Type implements ref.Val.
func (h headerMap) Type() ref.Type { return types.MapType }

// Value implements ref.Val.
func (h headerMap) Value() any { return h.r.Headers }

// ConvertToType implements ref.Val.
func (h headerMap) ConvertToType(t ref.Type) ref.Val { return convert(h, t) }

// ConvertToNative implements ref.Val.
func (h headerMap) ConvertToNative(reflect.Type) (any, error) { return nil, errNoNative }
