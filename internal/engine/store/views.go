package store

import (
	"bytes"
	"iter"
	"time"
)

// writing is a reading that can be changed; nil behind the views of a Reader.
type writing interface {
	put(key, value []byte, at int64)
	delete(key []byte, at int64)
}

// view is what the views of all kinds have in common.
type view struct {
	name   string
	number []byte // what the keys of the store begin with
	r      reading
	w      writing
	buf    []byte // the writer's, for the store key at work
}

// lead returns the beginning of a store key, to be appended to. The writer has one buffer for all: a key is copied where
// it is kept.
func (v *view) lead() []byte {
	if v.w == nil {
		return append(make([]byte, 0, 64), v.number...)
	}
	if v.buf == nil {
		v.buf = append(v.buf, v.number...)
	}
	return v.buf[:len(v.number)]
}

// done keeps the buffer in which a key was made, as it may have grown.
func (v *view) done(key []byte) []byte {
	if v.w != nil {
		v.buf = key
	}
	return key
}

// write panics for the views of a Reader: that a query writes is a mistake in the program.
func (v *view) write() writing {
	if v.w == nil {
		panic("store: write to the read-only store \"" + v.name + "\"")
	}
	return v.w
}

// scan visits the items whose keys, without the number, are not less than from and less than to (nil: the end).
func (v *view) scan(from, to []byte, visit func(*item) bool) {
	end := after(v.number)
	if to != nil {
		end = join(v.number, to)
	}
	c, err := v.r.cursor(end)
	if err != nil {
		v.r.fail(err)
		return
	}
	defer v.close(c)
	c.seek(join(v.number, from))
	for it := c.next(); it != nil && bytes.Compare(it.key, end) < 0; it = c.next() {
		if !visit(it) {
			return
		}
	}
}

func join(a, b []byte) []byte {
	return append(append(make([]byte, 0, len(a)+len(b)), a...), b...)
}

func (v *view) close(c cursor) {
	if err := c.close(); err != nil {
		v.r.fail(err)
	}
}

// numberLen is how many bytes of a store key are the store's number.
const numberLen = 2

// user returns the key without the number of the store.
func (it *item) user() []byte { return it.key[numberLen:] }

func (it *item) entry() Entry { return Entry{Value: it.value, Time: timeOf(it.at)} }

type keyValue struct{ view }

var _ KeyValue = (*keyValue)(nil)

func (v *keyValue) key(user []byte) []byte { return v.done(append(v.lead(), user...)) }

func (v *keyValue) Get(key []byte) (Entry, bool) {
	c, ok := v.r.get(v.key(key))
	if !ok || c.at < v.r.horizon() {
		return Entry{}, false
	}
	return c.entry(), true
}

func (v *keyValue) Put(key []byte, e Entry) { v.write().put(v.key(key), e.Value, millis(e.Time)) }

func (v *keyValue) Delete(key []byte, at time.Time) { v.write().delete(v.key(key), millis(at)) }

func (v *keyValue) Range(from, to []byte) iter.Seq2[[]byte, Entry] {
	return func(yield func([]byte, Entry) bool) {
		horizon := v.r.horizon()
		v.scan(from, to, func(it *item) bool {
			return it.at < horizon || yield(it.user(), it.entry())
		})
	}
}

func (v *keyValue) Prefix(prefix []byte) iter.Seq2[[]byte, Entry] {
	return v.Range(prefix, after(prefix))
}
