package aggregate

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// bench runs one processor as a task does: stream time first, then the record, and if that fails nothing has happened.
type bench struct {
	tb      failer
	state   *store.State
	now     time.Time
	make    func() processor.Processor
	p       processor.Processor
	out     []emitted
	offset  int64
	spoiler *spoiler // nil: the stores as they are
}

// failer is a testing.T or a rapid.T.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// emitted is what came out of a port.
type emitted struct {
	port int
	*record.Record
}

func newBench(tb failer, specs []store.Spec, make func() processor.Processor) *bench {
	tb.Helper()
	for i := range specs {
		specs[i].Name = store.NameOf("b", specs[i].Name)
	}
	state, err := store.Open(store.Options{Specs: specs})
	if err != nil {
		tb.Fatal(err)
	}
	b := &bench{tb: tb, state: state, make: make, spoiler: &spoiler{}}
	b.restart()
	return b
}

// restart goes on with a new processor over the same stores.
func (b *bench) restart() {
	b.tb.Helper()
	b.p = b.make()
	if err := b.p.Open(b); err != nil {
		b.tb.Fatal(err)
	}
}

// commit decides all that was written.
func (b *bench) commit() {
	b.tb.Helper()
	b.state.Seal()
	if err := b.state.Commit(nil); err != nil {
		b.tb.Fatal(err)
	}
}

// try works on a record; what it emitted is returned.
func (b *bench) try(input int, r *record.Record) ([]emitted, error) {
	b.out = nil
	b.offset++
	r.Origin = record.Origin{Topic: "t", Offset: b.offset}
	before := b.now
	b.state.Mark()
	if r.Time.After(b.now) {
		b.now = r.Time
		b.state.Observe(b.now)
	}
	if err := b.p.Process(input, r); err != nil {
		b.state.Rollback()
		b.now = before
		return nil, err
	}
	return b.out, b.state.Err()
}

// undo works on a record and takes everything back, as if a bolt further down had failed.
func (b *bench) undo(r *record.Record) {
	before := b.now
	if _, err := b.try(0, r); err == nil {
		b.state.Rollback()
		b.now = before
	}
}

func (b *bench) do(r *record.Record) []emitted {
	b.tb.Helper()
	out, err := b.try(0, r)
	if err != nil {
		b.tb.Fatal(err)
	}
	return out
}

func (b *bench) Emit(port int, r *record.Record) { b.out = append(b.out, emitted{port, r}) }
func (b *bench) KeyValue(name string) store.KeyValue {
	if b.spoiler == nil {
		return b.state.KeyValue(name)
	}
	return spoiledKeyValue{b.state.KeyValue(name), b.spoiler}
}

func (b *bench) Windows(name string) store.Windows {
	if b.spoiler == nil {
		return b.state.Windows(name)
	}
	return spoiledWindows{b.state.Windows(name), b.spoiler}
}

func (b *bench) Sessions(name string) store.Sessions {
	if b.spoiler == nil {
		return b.state.Sessions(name)
	}
	return spoiledSessions{b.state.Sessions(name), b.spoiler}
}

func (b *bench) Versions(name string) store.Versions { return b.state.Versions(name) }
func (b *bench) StreamTime() time.Time               { return b.now }
func (b *bench) Now() time.Time                      { return b.now }
func (b *bench) Topology() string                    { return "t" }
func (b *bench) Bolt() string                        { return "b" }
func (b *bench) Partition() int32                    { return 0 }
func (b *bench) Log() *slog.Logger                   { return slog.New(slog.DiscardHandler) }
func (b *bench) Schedule(processor.Clock, time.Duration, func(time.Time) error) func() {
	panic("not used")
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func rec(key, value string, ms int64) *record.Record {
	r := &record.Record{Key: []byte(key), Time: at(ms)}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

// show writes what came out, one line each: port key[window] old->new @time.
func show(out []emitted) string {
	var b strings.Builder
	for _, e := range out {
		b.WriteString(line(e) + "\n")
	}
	return b.String()
}

func line(e emitted) string {
	w := ""
	if win, ok := window.Of(e.Record); ok {
		w = fmt.Sprintf("[%d,%d]", win.Start.UnixMilli(), win.End.UnixMilli())
	}
	return fmt.Sprintf("%d %s%s %s->%s @%d", e.port, e.Key, w, text(e.Old), text(e.Value), e.Time.UnixMilli())
}

func text(b []byte) string {
	if b == nil {
		return "-"
	}
	return string(b)
}

// concat is an aggregate that shows what it was made of, in order.
func concat() Options {
	join := func(a, b []byte) []byte { return append(append([]byte{}, a...), b...) }
	return Options{
		Inputs: []Input{{Add: func(r *record.Record, agg []byte) ([]byte, error) {
			if strings.Contains(string(r.Value), "!") {
				return nil, fmt.Errorf("bad value %q", r.Value)
			}
			return join(agg, r.Value), nil
		}, Remove: func(r *record.Record, agg []byte) ([]byte, error) {
			return []byte(strings.Replace(string(agg), string(r.Value), "", 1)), nil
		}}},
		Merge:  func(_, a, b []byte) ([]byte, error) { return join(a, b), nil },
		Format: record.Text,
	}
}
