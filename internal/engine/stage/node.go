package stage

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// node is one late bolt of a task, and the Context of its processor.
type node struct {
	task      *Task
	bolt      *topology.Bolt
	index     int
	processor processor.Processor // with state
	plain     component.Bolt      // or without
	counts    *Counts
	tally     tally
}

var _ processor.Context = (*node)(nil)

func (n *node) run(input int, r *record.Record) {
	n.counts.Records.Add(1)
	if n.processor == nil {
		n.runPlain(r)
		return
	}
	if err := guard(func() error { return n.processor.Process(input, r) }); err != nil {
		n.task.fail(n, err)
	}
}

// runPlain calls a bolt without state; what it emits before an error is dropped with the record.
func (n *node) runPlain(r *record.Record) {
	err := guard(func() error { return n.plain.Process(n.task.ctx, r, n.Emit) })
	if err != nil {
		n.task.fail(n, err)
	}
}

// Emit hands the record to each follower of the port; all but the last get a copy.
func (n *node) Emit(port int, r *record.Record) {
	if port >= len(n.bolt.Next) {
		return
	}
	next := n.bolt.Next[port]
	r.Time = logged(r.Time)
	for i, to := range next {
		give := r
		if i < len(next)-1 {
			give = r.Clone()
		}
		n.task.walk(to, give)
	}
}

func (n *node) KeyValue(name string) store.KeyValue {
	if n.task.cfg.Global != nil {
		if g := n.task.cfg.Global(name); g != nil {
			return g
		}
	}
	return n.task.cfg.State.KeyValue(name)
}

func (n *node) Windows(name string) store.Windows   { return n.task.cfg.State.Windows(name) }
func (n *node) Sessions(name string) store.Sessions { return n.task.cfg.State.Sessions(name) }
func (n *node) Versions(name string) store.Versions { return n.task.cfg.State.Versions(name) }

func (n *node) StreamTime() time.Time { return n.task.streamTime }
func (n *node) Now() time.Time        { return n.task.cfg.Now() }
func (n *node) Topology() string      { return n.task.cfg.Plan.Name }
func (n *node) Bolt() string          { return n.bolt.Name }
func (n *node) Partition() int32      { return n.task.cfg.Partition }
func (n *node) Log() *slog.Logger     { return n.task.cfg.Log.With("bolt", n.bolt.Name) }

func (n *node) Schedule(clock processor.Clock, every time.Duration, f func(now time.Time) error) (stop func()) {
	return n.task.schedule(n, clock, every, f)
}

// guard turns a panic of a bolt into an error of its record: one bad record, or one bad bolt, must not end everybody's
// work.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = component.Permanent(&panicError{value: p, stack: debug.Stack()})
		}
	}()
	return f()
}

// panicError is a panic of a bolt. Its text names the value only; who logs it can ask for the stack.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// Stack is where it happened.
func (e *panicError) Stack() string { return string(e.stack) }
