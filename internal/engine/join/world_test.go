package join

import (
	"fmt"
	"log/slog"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// world is one task by itself: its stores in memory, its stream time and what its processors schedule.
type world struct {
	state   *store.State
	now     time.Time
	due     map[string]func(time.Time) error // by bolt
	tick    func(time.Time) error            // by wall clock
	dropped map[Reason]int
}

// stores are those of a task, by bolt.
type stores map[string][]store.Spec

// newWorld makes a task.
func newWorld(t rapid.TB, own stores) *world {
	t.Helper()
	var specs []store.Spec
	for bolt, list := range own {
		for _, s := range list {
			s.Name = store.NameOf(bolt, s.Name)
			specs = append(specs, s)
		}
	}
	state, err := store.Open(store.Options{Specs: specs})
	must(t, err)
	return &world{state: state, due: map[string]func(time.Time) error{}, dropped: map[Reason]int{}}
}

func (w *world) close(t rapid.TB) {
	t.Helper()
	must(t, w.state.Err())
	must(t, w.state.Close())
}

// open makes a processor ready to work, also anew over the same stores; what it emits goes to a function.
func (w *world) open(t rapid.TB, bolt string, p processor.Processor, emit func(port int, r *record.Record)) {
	t.Helper()
	delete(w.due, bolt)
	must(t, p.Open(&context{w, bolt, emit}))
}

// feed lets a processor work on one record as a task does.
func (w *world) feed(t rapid.TB, p processor.Processor, input int, r *record.Record) {
	t.Helper()
	w.observe(r.Time)
	must(t, p.Process(input, r))
	w.punctuate(t)
}

func (w *world) observe(at time.Time) {
	if at.After(w.now) {
		w.now = at
		w.state.Observe(at)
	}
}

func (w *world) punctuate(t rapid.TB) {
	t.Helper()
	for _, f := range w.due {
		must(t, f(w.now))
	}
}

// context is a processor.Context over a world.
type context struct {
	w    *world
	bolt string
	emit func(int, *record.Record)
}

var (
	_ processor.Context = (*context)(nil)
	_ Dropper           = (*context)(nil)
)

func (c *context) Emit(port int, r *record.Record)     { c.emit(port, r) }
func (c *context) Dropped(reason string)               { c.w.dropped[Reason(reason)]++ }
func (c *context) KeyValue(name string) store.KeyValue { return c.w.state.KeyValue(name) }
func (c *context) Windows(name string) store.Windows   { return c.w.state.Windows(name) }
func (c *context) Versions(name string) store.Versions { return c.w.state.Versions(name) }
func (c *context) Sessions(string) store.Sessions      { panic("a join has no sessions") }
func (c *context) StreamTime() time.Time               { return c.w.now }
func (c *context) Now() time.Time                      { panic("a join has no clock") }
func (c *context) Topology() string                    { return "t" }
func (c *context) Bolt() string                        { return c.bolt }
func (c *context) Partition() int32                    { return 0 }
func (c *context) Log() *slog.Logger                   { return slog.New(slog.DiscardHandler) }

func (c *context) Schedule(clock processor.Clock, every time.Duration, f func(time.Time) error) func() {
	switch {
	case clock == processor.StreamTime && every == time.Millisecond:
		c.w.due[c.bolt] = f
	case clock == processor.WallClock && every == closingPause:
		c.w.tick = f
	default:
		panic(fmt.Sprintf("unexpected schedule %d every %s", clock, every))
	}
	return func() { panic("a join never stops") }
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ms is a time of a test.
func ms(n int64) time.Time { return time.UnixMilli(n) }

// text shows a value, a hyphen if there is none; bytesOf is its inverse.
func text(b []byte) string {
	if b == nil {
		return "-"
	}
	return string(b)
}

func bytesOf(s string) []byte {
	if s == "-" {
		return nil
	}
	return []byte(s)
}

func rec(key, value string, at int64) *record.Record {
	return &record.Record{Key: bytesOf(key), Value: bytesOf(value), Time: ms(at)}
}

// pairOf is the joiner of the tests.
func pairOf(key, left, right []byte) ([]byte, error) {
	return fmt.Appendf(nil, "[%s %s %s]", key, text(left), text(right)), nil
}

func enrich(r *record.Record, right []byte) ([]byte, error) { return pairOf(r.Key, r.Value, right) }

// lines collects what a processor emits, one line per record.
type lines struct{ all []string }

func (l *lines) emit(port int, r *record.Record) {
	s := fmt.Sprintf("%s=%s was %s @%d", text(r.Key), text(r.Value), text(r.Old), r.Time.UnixMilli())
	if port != 0 {
		s = fmt.Sprintf("port %d: %s", port, s)
	}
	l.all = append(l.all, s)
}

func (l *lines) take() []string {
	all := l.all
	l.all = nil
	return all
}
