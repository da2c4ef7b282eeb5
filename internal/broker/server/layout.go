package server

import (
	"reflect"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A layout says how the fields of a structure follow each other in one version of a request. With it, a request is walked
// through before it is decoded: kmsg believes the numbers that a request claims, so a few bytes could keep a core busy
// for minutes or take much memory.
//
// Layouts are not written down but learned from kmsg itself: a field is changed, and where the encoded request differs is
// where the field is.
type layout struct {
	flexible bool // lengths are short ones, and every structure ends with tags
	fields   []field
	tagged   map[uint32]field
}

type fieldKind int8

const (
	fixed    fieldKind = iota // so many bytes
	text                      // a string: its length, two bytes in old versions
	blob                      // bytes: their length, four bytes in old versions
	list                      // a number of elements
	optional                  // one byte that says whether the structure follows
	nested                    // a structure
)

type field struct {
	kind   fieldKind
	size   int     // of a fixed one
	memory int     // that an element of a list takes when it is decoded
	of     *layout // of a structure
	item   *field  // of a list, unless it is one of structures
}

// layoutOf learns the layout of a request.
func layoutOf(key, version int16) *layout {
	root := kmsg.RequestForKey(key)
	root.SetVersion(version)
	l := learner{root: root}
	return l.structure(reflect.ValueOf(root).Elem())
}

type learner struct{ root kmsg.Request }

func (l learner) encoded() []byte { return l.root.AppendTo(nil) }

// structure learns about a part of the root that is there already.
func (l learner) structure(v reflect.Value) *layout {
	out := &layout{flexible: l.root.IsFlexible(), tagged: map[uint32]field{}}
	before := l.encoded()
	tags := l.tagsAt(v, before)
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if name == "Version" || name == "UnknownTags" {
			continue
		}
		old := reflect.New(f.Type()).Elem()
		old.Set(f)
		disturb(f)
		after := l.encoded()
		switch at := firstDifference(before, after); {
		case at < 0: // not in this version
		case at == tags:
			number, _ := kbin.Uvarint(after[at+1:])
			out.tagged[number] = l.field(f)
		default:
			out.fields = append(out.fields, l.field(f))
		}
		f.Set(old)
	}
	return out
}

// tagsAt is where the number of tags of a structure is, -1 if it has none.
func (l learner) tagsAt(v reflect.Value, before []byte) int {
	if !l.root.IsFlexible() {
		return -1
	}
	tags := v.FieldByName("UnknownTags").Addr().Interface().(*kmsg.Tags)
	tags.Set(1<<20, nil)
	defer func() { *tags = kmsg.Tags{} }()
	return firstDifference(before, l.encoded())
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) == len(b) {
		return -1
	}
	return min(len(a), len(b))
}

// disturb changes a field so that its encoding changes. Lists get one element.
func disturb(f reflect.Value) {
	switch f.Kind() {
	case reflect.Bool:
		f.SetBool(!f.Bool())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.SetInt(f.Int() + 1)
	case reflect.Float64:
		f.SetFloat(f.Float() + 1)
	case reflect.String:
		f.SetString(f.String() + "x")
	case reflect.Array:
		disturbByte(f.Index(0))
	case reflect.Slice:
		f.Set(reflect.Append(reflect.MakeSlice(f.Type(), 0, 1), fresh(f.Type().Elem()).Elem()))
	case reflect.Pointer:
		f.Set(fresh(f.Type().Elem()))
		if f.Elem().Kind() == reflect.String {
			f.Elem().SetString("x") // some encode nil as an empty one
		}
	case reflect.Struct:
		disturb(f.Field(0))
	default:
		panic("assertion failed: requests have no fields of type " + f.Type().String())
	}
}

func disturbByte(b reflect.Value) { b.SetUint(b.Uint() + 1) }

// fresh is a pointer to a new value with its defaults.
func fresh(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if d, ok := reflect.TypeAssert[interface{ Default() }](v); ok {
		d.Default()
	}
	return v
}

// field learns about a field that was disturbed.
func (l learner) field(f reflect.Value) field {
	switch f.Kind() {
	case reflect.String:
		return field{kind: text}
	case reflect.Pointer:
		if f.Elem().Kind() == reflect.String {
			return field{kind: text}
		}
		return field{kind: optional, of: l.structure(f.Elem())}
	case reflect.Struct:
		return field{kind: nested, of: l.structure(f)}
	case reflect.Slice:
		return l.list(f)
	}
	return field{kind: fixed, size: int(f.Type().Size())}
}

func (l learner) list(f reflect.Value) field {
	element := f.Type().Elem()
	if element.Kind() == reflect.Uint8 {
		return field{kind: blob}
	}
	item := l.field(f.Index(0))
	return field{kind: list, memory: int(element.Size()), item: &item}
}

// maxElements bounds the elements of all lists of one request. The largest cluster has fewer partitions.
const maxElements = 1 << 18

// walk goes through an encoded request and tells how much memory its lists take when they are decoded. It returns false for
// one that ends too soon or claims too much.
func (l *layout) walk(src []byte) (memory int, ok bool) {
	w := walker{Reader: kbin.Reader{Src: src}}
	w.structure(l)
	return w.memory, w.Ok()
}

type walker struct {
	kbin.Reader
	elements, memory int
}

func (w *walker) structure(l *layout) {
	for i := range l.fields {
		w.field(&l.fields[i], l.flexible)
	}
	if l.flexible {
		w.tags(l)
	}
}

func (w *walker) field(f *field, flexible bool) {
	switch f.kind {
	case fixed:
		w.Span(f.size)
	case text:
		w.skip(w.textLength(flexible))
	case blob:
		w.skip(w.blobLength(flexible))
	case list:
		w.list(f, flexible)
	case optional:
		if w.Int8() >= 0 {
			w.structure(f.of)
		}
	case nested:
		w.structure(f.of)
	}
}

func (w *walker) skip(n int) {
	if n > 0 {
		w.Span(n)
	}
}

func (w *walker) textLength(flexible bool) int {
	if flexible {
		return int(w.Uvarint()) - 1
	}
	return int(w.Int16())
}

func (w *walker) blobLength(flexible bool) int {
	if flexible {
		return int(w.Uvarint()) - 1
	}
	return int(w.Int32())
}

func (w *walker) list(f *field, flexible bool) {
	n := w.listLength(flexible)
	w.elements += n
	w.memory += n * f.memory
	if w.elements > maxElements {
		w.refuse()
		return
	}
	for ; n > 0 && w.Ok(); n-- {
		w.field(f.item, flexible)
	}
}

func (w *walker) listLength(flexible bool) int {
	if flexible {
		return max(0, int(w.CompactArrayLen()))
	}
	return max(0, int(w.ArrayLen()))
}

// refuse makes the walk end as if there were no bytes left.
func (w *walker) refuse() { w.Span(-1) }

// tags walks through the tags of a structure. Each takes two bytes at least, so there cannot be more than that.
func (w *walker) tags(l *layout) {
	n := int(w.Uvarint())
	if n > len(w.Src)/2 || n > maxTags {
		w.refuse()
		return
	}
	for ; n > 0 && w.Ok(); n-- {
		number := w.Uvarint()
		inside := w.Span(int(w.Uvarint()))
		if f, known := l.tagged[number]; known && w.Ok() {
			w.inside(f, inside)
		}
	}
}

// maxTags bounds the tags of one structure; Kafka has no request with more than a few.
const maxTags = 64

// inside walks through the content of a tag, which ends by itself.
func (w *walker) inside(f field, content []byte) {
	in := walker{Reader: kbin.Reader{Src: content}, elements: w.elements, memory: w.memory}
	in.field(&f, true)
	w.elements, w.memory = in.elements, in.memory
	if !in.Ok() {
		w.refuse()
	}
}

// layouts are learned when the first request of their kind comes.
func (a *api) learnLayouts(key int16) {
	a.layouts = make([]func() *layout, a.max+1)
	for version := a.min; version <= a.max; version++ {
		a.layouts[version] = sync.OnceValue(func() *layout { return layoutOf(key, version) })
	}
}
