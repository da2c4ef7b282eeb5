package join

import (
	"bytes"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// world is one task by itself: its stores, its stream time and what its processors schedule. Bytes that a store has
// returned are scribbled over at the next write, as its contract allows.
type world struct {
	plain    map[string]map[string]store.Entry
	windows  map[string]*windowStore
	versions map[string]*versionStore
	specs    map[string]store.Spec
	now      time.Time
	lent     [][]byte
	due      []func(time.Time) error
	dropped  map[Reason]int
}

func newWorld() *world {
	return &world{plain: map[string]map[string]store.Entry{}, windows: map[string]*windowStore{}, versions: map[string]*versionStore{},
		specs: map[string]store.Spec{}, dropped: map[Reason]int{}}
}

// add makes the stores of a bolt.
func (w *world) add(bolt string, specs ...store.Spec) {
	for _, s := range specs {
		name := storeName(bolt, s.Name)
		w.specs[name] = s
		switch s.Kind {
		case store.KindKeyValue:
			w.plain[name] = map[string]store.Entry{}
		case store.KindWindow:
			w.windows[name] = &windowStore{w: w, retention: s.Retention, entries: map[windowKey]store.Entry{}}
		case store.KindVersioned:
			w.versions[name] = &versionStore{w: w, retention: s.Retention, entries: map[string][]store.Entry{}}
		default:
			panic(s.Kind)
		}
	}
}

// snapshot copies the stores; the function it returns puts them back.
func (w *world) snapshot() (restore func()) {
	plain, windows, versions := map[string]map[string]store.Entry{}, map[string]map[windowKey]store.Entry{}, map[string]map[string][]store.Entry{}
	for name, s := range w.plain {
		plain[name] = maps.Clone(s)
	}
	for name, s := range w.windows {
		windows[name] = maps.Clone(s.entries)
	}
	for name, s := range w.versions {
		versions[name] = maps.Clone(s.entries)
	}
	now := w.now
	return func() {
		w.now = now
		for name, entries := range plain {
			w.plain[name] = entries
		}
		for name, entries := range windows {
			w.windows[name].entries = entries
		}
		for name, entries := range versions {
			w.versions[name].entries = entries
		}
	}
}

// observe moves stream time.
func (w *world) observe(at time.Time) {
	if !at.After(w.now) {
		return
	}
	w.now = at
	for _, s := range w.windows {
		s.Observe(at)
	}
}

// punctuate runs what is scheduled by stream time.
func (w *world) punctuate(t testing.TB) {
	for _, f := range w.due {
		if err := f(w.now); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) lend(b []byte) []byte {
	c := append([]byte{}, b...)
	w.lent = append(w.lent, c)
	return c
}

func (w *world) written() {
	for _, b := range w.lent {
		for i := range b {
			b[i] = 0xEE
		}
	}
	w.lent = nil
}

// open makes a processor ready to work; what it emits goes to a function.
func (w *world) open(t testing.TB, bolt string, p processor.Processor, emit func(port int, r *record.Record)) {
	t.Helper()
	if err := p.Open(&fakeContext{w: w, bolt: bolt, emit: emit}); err != nil {
		t.Fatal(err)
	}
}

type fakeContext struct {
	w    *world
	bolt string
	emit func(int, *record.Record)
}

var _ processor.Context = (*fakeContext)(nil)
var _ Dropper = (*fakeContext)(nil)

func (c *fakeContext) Emit(port int, r *record.Record) { c.emit(port, r) }
func (c *fakeContext) Dropped(reason string)           { c.w.dropped[Reason(reason)]++ }
func (c *fakeContext) KeyValue(name string) store.KeyValue {
	if _, ok := c.w.plain[name]; !ok {
		panic("no store " + name)
	}
	return plainView{c.w, name}
}
func (c *fakeContext) Windows(name string) store.Windows {
	s, ok := c.w.windows[name]
	if !ok {
		panic("no store " + name)
	}
	return s
}
func (c *fakeContext) Versions(name string) store.Versions {
	s, ok := c.w.versions[name]
	if !ok {
		panic("no store " + name)
	}
	return s
}
func (c *fakeContext) Sessions(string) store.Sessions { panic("no sessions") }
func (c *fakeContext) StreamTime() time.Time          { return c.w.now }
func (c *fakeContext) Now() time.Time                 { panic("a join has no clock") }
func (c *fakeContext) Schedule(clock processor.Clock, every time.Duration, f func(time.Time) error) func() {
	if clock != processor.StreamTime || every != time.Millisecond {
		panic("unexpected schedule")
	}
	c.w.due = append(c.w.due, f)
	return func() {}
}
func (c *fakeContext) Topology() string  { return "t" }
func (c *fakeContext) Bolt() string      { return c.bolt }
func (c *fakeContext) Partition() int32  { return 0 }
func (c *fakeContext) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }

// plainView finds its store anew each time, so that a snapshot can be put back below it.
type plainView struct {
	w    *world
	name string
}

func (v plainView) entries() map[string]store.Entry { return v.w.plain[v.name] }

func (v plainView) Get(key []byte) (store.Entry, bool) {
	e, ok := v.entries()[string(key)]
	if ok {
		e.Value = v.w.lend(e.Value)
	}
	return e, ok
}

func (v plainView) Put(key []byte, e store.Entry) {
	if key == nil || e.Value == nil {
		panic(fmt.Sprintf("put %q: %v", key, e))
	}
	name, e := string(key), store.Entry{Value: bytes.Clone(e.Value), Time: e.Time}
	v.w.written()
	v.entries()[name] = e
}

func (v plainView) Delete(key []byte, _ time.Time) {
	delete(v.entries(), string(key))
	v.w.written()
}

func (v plainView) Range(from, to []byte) iter.Seq2[[]byte, store.Entry] {
	return v.visit(func(key string) bool { return key >= string(from) && (to == nil || key < string(to)) })
}

func (v plainView) Prefix(prefix []byte) iter.Seq2[[]byte, store.Entry] {
	return v.visit(func(key string) bool { return strings.HasPrefix(key, string(prefix)) })
}

func (v plainView) visit(want func(string) bool) iter.Seq2[[]byte, store.Entry] {
	entries := maps.Clone(v.entries())
	return func(yield func([]byte, store.Entry) bool) {
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			e := entries[key]
			if want(key) && !yield(v.w.lend([]byte(key)), store.Entry{Value: v.w.lend(e.Value), Time: e.Time}) {
				return
			}
		}
	}
}

type windowKey struct {
	key   string
	start int64
	seq   uint64
}

type windowStore struct {
	w         *world
	retention time.Duration
	entries   map[windowKey]store.Entry
}

func (s *windowStore) at(key []byte, start time.Time, seq uint64) windowKey {
	return windowKey{string(key), start.UnixMilli(), seq}
}

func (s *windowStore) gone(start int64) bool {
	return start < s.w.now.Add(-s.retention).UnixMilli()
}

func (s *windowStore) Get(key []byte, start time.Time, seq uint64) (store.Entry, bool) {
	e, ok := s.entries[s.at(key, start, seq)]
	return e, ok && !s.gone(start.UnixMilli())
}

func (s *windowStore) Put(key []byte, start time.Time, seq uint64, e store.Entry) {
	at := s.at(key, start, seq)
	s.entries[at] = store.Entry{Value: bytes.Clone(e.Value), Time: e.Time}
	s.w.written()
}

func (s *windowStore) Delete(key []byte, start time.Time, seq uint64, _ time.Time) {
	delete(s.entries, s.at(key, start, seq))
	s.w.written()
}

func (s *windowStore) Fetch(key []byte, from, to time.Time) iter.Seq2[store.WindowKey, store.Entry] {
	var found []windowKey
	for at := range s.entries {
		if at.key == string(key) && at.start >= from.UnixMilli() && at.start <= to.UnixMilli() && !s.gone(at.start) {
			found = append(found, at)
		}
	}
	slices.SortFunc(found, func(a, b windowKey) int {
		if a.start != b.start {
			return int(a.start - b.start)
		}
		return bytes.Compare(fmt.Appendf(nil, "%020d", a.seq), fmt.Appendf(nil, "%020d", b.seq))
	})
	entries := maps.Clone(s.entries)
	return func(yield func(store.WindowKey, store.Entry) bool) {
		for _, at := range found {
			e := entries[at]
			k := store.WindowKey{Key: s.w.lend([]byte(at.key)), Start: time.UnixMilli(at.start), Seq: at.seq}
			if !yield(k, store.Entry{Value: s.w.lend(e.Value), Time: e.Time}) {
				return
			}
		}
	}
}

func (s *windowStore) All(time.Time, time.Time) iter.Seq2[store.WindowKey, store.Entry] {
	panic("a join does not ask for all")
}

func (s *windowStore) Observe(time.Time) {
	maps.DeleteFunc(s.entries, func(at windowKey, _ store.Entry) bool { return s.gone(at.start) })
}

type versionStore struct {
	w         *world
	retention time.Duration
	entries   map[string][]store.Entry // by time
}

func (s *versionStore) Put(key []byte, e store.Entry) {
	name, e := string(key), store.Entry{Value: bytes.Clone(e.Value), Time: e.Time}
	s.w.written()
	all := slices.Clone(s.entries[name])
	i, same := slices.BinarySearchFunc(all, e, func(a, b store.Entry) int { return a.Time.Compare(b.Time) })
	if same {
		all[i] = e
	} else {
		all = slices.Insert(all, i, e)
	}
	s.entries[name] = all
}

func (s *versionStore) AsOf(key []byte, at time.Time) (store.Entry, bool) {
	all := s.entries[string(key)]
	for i := len(all) - 1; i >= 0; i-- {
		if !all[i].Time.After(at) {
			return s.lend(all[i])
		}
	}
	return store.Entry{}, false
}

func (s *versionStore) lend(e store.Entry) (store.Entry, bool) {
	if e.Value != nil {
		e.Value = s.w.lend(e.Value)
	}
	return e, true
}

func (s *versionStore) Latest(key []byte) (store.Entry, bool) {
	all := s.entries[string(key)]
	if len(all) == 0 || all[len(all)-1].Value == nil {
		return store.Entry{}, false
	}
	return s.lend(all[len(all)-1])
}

func (s *versionStore) History(key []byte, from, to time.Time) iter.Seq[store.Entry] {
	return func(yield func(store.Entry) bool) {
		for _, e := range s.entries[string(key)] {
			if e.Time.Before(from) || e.Time.After(to) {
				continue
			}
			if e, _ := s.lend(e); !yield(e) {
				return
			}
		}
	}
}

func (s *versionStore) Range([]byte, []byte) iter.Seq2[[]byte, store.Entry] {
	panic("a join does not ask for a range")
}

func (s *versionStore) Observe(time.Time) {}

// ms is a time of a test.
func ms(n int64) time.Time { return time.UnixMilli(n) }

// text shows a value, a hyphen if there is none.
func text(b []byte) string {
	if b == nil {
		return "-"
	}
	return string(b)
}

// pairOf is the joiner of the tests: "[key left right]".
func pairOf(key, left, right []byte) ([]byte, error) {
	return fmt.Appendf(nil, "[%s %s %s]", key, text(left), text(right)), nil
}

// bytesOf is the inverse of text.
func bytesOf(s string) []byte {
	if s == "-" {
		return nil
	}
	return []byte(s)
}
