package stream

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// Uses declares the stores a processor opens: its own, those of other processors, and tables that it reads.
func Uses(stores ...Store) Option {
	return Option{optUses, func(o *options) { o.uses = append(o.uses, stores...) }}
}

// KeepsKeys promises that a processor emits under the key of the record it is given, so that what follows needs no
// repartitioning. A record under another key is an error.
func KeepsKeys() Option { return Option{optKeeps, func(o *options) { o.keeps = true }} }

// Process works on records with code of your own that keeps state. Open is called once per task, when its stores are
// restored; what it returns is called for every record, in order. Variables of open belong to its task and are lost with
// it: keep in stores what must last. It takes Uses, KeepsKeys, WithKey and WithValue.
//
// An error makes the record a dead letter and undoes what it wrote.
func Process[K, V, K2, V2 any](s Stream[K, V], open func(c *Context[K2, V2]) func(r Record[K, V]) error, opts ...Option) Stream[K2, V2] {
	const op = "process"
	o := s.t.read(op, opts, optUses, optKeeps, optKey, optValue)
	o.uses = s.t.given(op, o.uses)
	out := Stream[K2, V2]{t: s.t, key: codecOr[K2](s.t, op, o.key), value: codecOr[V2](s.t, op, o.value)}
	as := shapeOf(s.t, out.key, out.value)
	n := &node{kind: boltNode, op: op, from: []input{s.input()}, outs: []output{{shape: as, side: true}}, calls: []function{{"open", open}}}
	n.shape = func() component.Shape { return n.usesShape(component.Shape{Rekeys: !o.keeps}, o.uses) }
	in := s.input().want
	n.open = func(component.Env) (processor.Processor, error) {
		return &process[K, V, K2, V2]{n: n, open: open, keeps: o.keeps, in: in, out: as, key: s.key, value: s.value, outKey: out.key, outValue: out.value}, nil
	}
	s.t.add(n, o)
	s.t.owns(n, o.uses)
	out.at = source{n, 0}
	return out
}

// given leaves out stores that are nil, which are a problem.
func (t *Topology) given(op string, stores []Store) []Store {
	return slices.DeleteFunc(stores, func(s Store) bool {
		nothing := s == nil || reflect.ValueOf(s).Kind() == reflect.Pointer && reflect.ValueOf(s).IsNil()
		if nothing {
			t.problem(CodeValueInvalid, op, "make it with NewStore or NewWindowStore first", "read %s: one of the stores given to Uses is nil", op)
		}
		return nothing
	})
}

// owns gives stores that nobody has used yet to a node.
func (t *Topology) owns(n *node, stores []Store) {
	for _, s := range stores {
		d := s.declaration()
		if d.own == nil {
			d.own = n
			t.checkStore(n, d)
		}
		if d.own.t != t {
			t.problem(CodeForeignStream, n.label(), "declare one for each topology", "read %s: the store %q is that of another topology", n.label(), d.spec.Name)
		}
		if d.own == n && d.spec.Name == "" && len(stores) > 1 {
			t.problem(CodeNameInvalid, n.label(), "give it a name", "read %s: one of its stores has no name", n.label())
		}
	}
}

// checkStore reports what is wrong with how a store of a processor was declared.
func (t *Topology) checkStore(n *node, d *storeDecl) {
	for _, kind := range d.unwanted {
		t.problem(CodeOptionUnused, n.label(), "remove it", "read store %q: it has no use for the option %s", d.spec.Name, kind)
	}
	if !d.coded {
		t.problem(CodeCodecMissing, n.label(), "give NewStore two codecs", "read store %q: it has no codec for its keys or its values", d.spec.Name)
	}
	if d.spec.Name != "" && !goodName(d.spec.Name) {
		t.problem(CodeNameInvalid, n.label(), nameHint, "read store name %q: it cannot be a name", d.spec.Name)
	}
	if d.spec.Retention < 0 || d.spec.Kind == store.KindWindow && d.spec.Retention == 0 {
		t.problem(CodeValueInvalid, n.label(), "", "read store %q: it cannot keep entries for %s", d.spec.Name, d.spec.Retention)
	}
}

// usesShape adds a node's stores to its shape.
func (n *node) usesShape(shape component.Shape, uses []Store) component.Shape {
	for _, s := range uses {
		switch d := s.declaration(); {
		case d.own == n:
			shape.Stores = append(shape.Stores, d.spec)
		case !slices.Contains(shape.Reads, d.full()):
			shape.Reads = append(shape.Reads, d.full())
		}
	}
	return shape
}

// Context is what a processor may use. It stays the same for the life of its task.
type Context[K, V any] struct {
	c       processor.Context
	current *record.Record // at work; nil in scheduled functions
	now     time.Time      // of a scheduled function
	emit    func(r Record[K, V]) error
	failed  error // of an emit
}

// Opened is for stores: their In wants it.
func (c *Context[K, V]) Opened() processor.Context { return c.c }

// Emit gives a record to what follows, with the headers, event time and origin of the record at work; in scheduled
// functions with the time they are called with.
func (c *Context[K, V]) Emit(key K, value V) {
	r := Record[K, V]{Key: key, Value: value}
	if w := c.current; w != nil {
		r.Headers = headersIn(w.Headers)
	}
	c.EmitRecord(r)
}

// EmitRecord gives a record to what follows, as it is; without a time or origin it gets them as Emit gives them.
func (c *Context[K, V]) EmitRecord(r Record[K, V]) {
	at, origin := c.now, Origin{}
	if w := c.current; w != nil {
		at, origin = w.Time, Origin(w.Origin)
	}
	c.failed = errors.Join(c.failed, c.emit(r.after(at, origin)))
}

// StreamTime is the greatest event time of the task so far, the record at work included.
func (c *Context[K, V]) StreamTime() time.Time { return c.c.StreamTime() }

// Now is the wall clock, or the virtual one of a test.
func (c *Context[K, V]) Now() time.Time { return c.c.Now() }

// EveryStreamTime calls f whenever records move stream time past a multiple of the interval, once however far it moved.
func (c *Context[K, V]) EveryStreamTime(every time.Duration, f func(now time.Time) error) (stop func()) {
	return c.c.Schedule(processor.StreamTime, every, c.scheduled(every, f))
}

// Every calls f by the wall clock, between records.
func (c *Context[K, V]) Every(every time.Duration, f func(now time.Time) error) (stop func()) {
	return c.c.Schedule(processor.WallClock, every, c.scheduled(every, f))
}

func (c *Context[K, V]) scheduled(every time.Duration, f func(time.Time) error) func(time.Time) error {
	if f == nil {
		panic(fmt.Sprintf("call nothing every %s: the function is nil", every))
	}
	return func(now time.Time) error {
		c.current, c.now, c.failed = nil, now, nil
		err := guard(c.c.Bolt(), func() error { return f(now) })
		return errors.Join(err, c.failed)
	}
}

// Partition is the number of the task's partition.
func (c *Context[K, V]) Partition() int { return int(c.c.Partition()) }

// Log writes to the log of the process, with topology, operator and partition.
func (c *Context[K, V]) Log() *slog.Logger { return c.c.Log() }

// process is Process at work.
type process[K, V, K2, V2 any] struct {
	n        *node
	open     func(c *Context[K2, V2]) func(r Record[K, V]) error
	keeps    bool
	in, out  *shape
	key      Codec[K]
	value    Codec[V]
	outKey   Codec[K2]
	outValue Codec[V2]

	c    *Context[K2, V2]
	work func(r Record[K, V]) error
}

// Open implements processor.Processor.
func (p *process[K, V, K2, V2]) Open(c processor.Context) error {
	p.c = &Context[K2, V2]{c: c, emit: p.emit}
	return guard(p.n.name, func() error {
		if p.work = p.open(p.c); p.work == nil {
			return fmt.Errorf("open %s: it returned no function to work on records with", p.n.label())
		}
		return nil
	})
}

// Process implements processor.Processor.
func (p *process[K, V, K2, V2]) Process(_ int, r *record.Record) error {
	it, err := readItem(p.in, p.key, p.value, r)
	if err != nil {
		return component.Permanent(err)
	}
	p.c.current, p.c.failed = r, nil
	err = guard(p.n.name, func() error {
		if err := p.work(it.Record); err != nil {
			return p.n.failed(err)
		}
		return nil
	})
	return cmp.Or(err, p.c.failed)
}

func (p *process[K, V, K2, V2]) emit(r Record[K2, V2]) error {
	out, err := writeItem(p.out, p.outKey, p.outValue, &item[K2, V2]{Record: r})
	if err != nil {
		return component.Permanent(err)
	}
	if w := p.c.current; p.keeps && w != nil && string(w.Key) != string(out.Key) {
		return p.n.failed(errors.New("it emitted a record under another key and promised KeepsKeys"))
	}
	p.c.c.Emit(0, out)
	return nil
}

// guard calls a user's function; a panic becomes an error.
func guard(name string, f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case codecFailure:
			err = component.Permanent(p.err)
		default:
			err = component.Permanent(&PanicError{Node: name, Value: p, stack: debug.Stack()})
		}
	}()
	return f()
}
