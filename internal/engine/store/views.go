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
	name string
	r    reading
	w    writing
}

// write panics for the views of a Reader: that a query writes is a mistake in the program.
func (v *view) write() writing {
	if v.w == nil {
		panic("store: write to the read-only store \"" + v.name + "\"")
	}
	return v.w
}

// scan visits the items from a key on, until one that is not less than to (nil: the end).
func (v *view) scan(from, to []byte, visit func(*item) bool) {
	c := v.r.cursor()
	defer v.close(c)
	c.seek(from)
	for it := c.next(); it != nil && (to == nil || bytes.Compare(it.key, to) < 0); it = c.next() {
		if !visit(it) {
			return
		}
	}
}

func (v *view) close(c cursor) {
	if err := c.close(); err != nil {
		v.r.fail(err)
	}
}

func (it *item) entry() Entry { return Entry{Value: it.value, Time: timeOf(it.at)} }

type keyValue struct{ view }

var _ KeyValue = (*keyValue)(nil)

func (v *keyValue) Get(key []byte) (Entry, bool) {
	c, ok := v.r.get(key)
	if !ok || c.at < v.r.horizon() {
		return Entry{}, false
	}
	return c.entry(), true
}

func (v *keyValue) Put(key []byte, e Entry) { v.write().put(key, e.Value, millis(e.Time)) }

func (v *keyValue) Delete(key []byte, at time.Time) { v.write().delete(key, millis(at)) }

func (v *keyValue) Range(from, to []byte) iter.Seq2[[]byte, Entry] {
	return func(yield func([]byte, Entry) bool) {
		horizon := v.r.horizon()
		v.scan(from, to, func(it *item) bool {
			return it.at < horizon || yield(it.key, it.entry())
		})
	}
}

func (v *keyValue) Prefix(prefix []byte) iter.Seq2[[]byte, Entry] {
	return v.Range(prefix, after(prefix))
}
