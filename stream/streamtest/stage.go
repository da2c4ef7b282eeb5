package streamtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ravenswood.dev/internal/component"
	late "ravenswood.dev/internal/engine/stage"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// stage is a stage of the plan with its tasks.
type stage struct {
	d     *Driver
	at    int
	plan  *topology.Stage
	tasks []*task
}

// task is one partition number of a stage: what it has read, and its late step.
type task struct {
	stage *stage
	n     int
	read  []int // offsets by position in the stage's inputs
	state *store.State
	late  *late.Task // nil in a stage without state
	logs  map[string][]store.Change

	steps []late.Work // scratch: of the record at work
	outs  []output
}

// output is a record for a sink.
type output struct {
	sink int
	r    *record.Record
}

func (d *Driver) newStage(i int) (*stage, error) {
	s := &stage{d: d, at: i, plan: &d.plan.Stages[i]}
	for n := range d.partitions {
		t := &task{stage: s, n: n, read: make([]int, len(s.plan.Inputs)), logs: map[string][]store.Change{}}
		if err := t.open(time.Time{}); err != nil {
			return nil, err
		}
		s.tasks = append(s.tasks, t)
	}
	return s, nil
}

// open opens the stores, restores them from what was logged, and opens the processors.
func (t *task) open(streamed time.Time) error {
	s := t.stage
	if !s.plan.Stateful {
		return nil
	}
	var specs []store.Spec
	for _, st := range s.plan.Stores {
		specs = append(specs, st.Spec)
	}
	var err error
	if t.state, err = store.Open(store.Options{Specs: specs, Log: s.d.log}); err != nil {
		return err
	}
	if !streamed.IsZero() {
		t.state.Resume(streamed)
	}
	for _, st := range s.plan.Stores {
		changes := t.logged(st)
		if err := t.state.Load(st.Name, changes, int64(len(changes))); err != nil {
			return err
		}
	}
	t.late, err = late.New(late.Config{
		Plan: s.d.plan, Stage: s.at, Partition: int32(t.n), State: t.state, Streamed: streamed,
		Now:    func() time.Time { return s.d.now },
		Global: s.d.global,
		Bolt:   func(i int) component.Bolt { return s.d.bolts[i] },
		Env:    s.d.env,
		Check:  func(int, *record.Record) error { return nil },
		Counts: func(i int) *late.Counts { return s.d.counts[i] },
		Log:    s.d.log,
	})
	return err
}

// logged is what is on the log of a store: its changelog, or its source as far as it was read.
func (t *task) logged(st topology.Store) (all []store.Change) {
	if !st.Source {
		return t.logs[st.Name]
	}
	for i, in := range t.stage.plan.Inputs {
		if t.stage.d.plan.Inputs[in].Topic != st.Changelog {
			continue
		}
		for _, r := range t.stage.d.topic(st.Changelog).parts[t.n][:t.read[i]] {
			if r.Key != nil {
				all = append(all, store.Change{Store: st.Name, Key: r.Key, Value: r.Value, Time: r.Time})
			}
		}
	}
	return all
}

// work lets every task work on what there is; worked says whether there was anything.
func (s *stage) work() (worked bool, err error) {
	for _, t := range s.tasks {
		for {
			i, r := t.next()
			if r == nil {
				break
			}
			t.read[i]++
			worked = true
			if err := t.process(&s.d.plan.Inputs[s.plan.Inputs[i]], r); err != nil {
				return worked, err
			}
			s.d.open++
		}
	}
	return worked, nil
}

// next is the record with the smallest time among the fronts of a task's inputs, as in the engine.
func (t *task) next() (input int, front *record.Record) {
	d := t.stage.d
	for i, in := range t.stage.plan.Inputs {
		topic := d.topics[d.plan.Inputs[in].Topic]
		if topic == nil || len(topic.parts[t.n]) == t.read[i] {
			continue
		}
		if r := topic.parts[t.n][t.read[i]]; front == nil || r.Time.Before(front.Time) {
			input, front = i, r
		}
	}
	return input, front
}

// process takes one record through the early bolts and then through the late step, all or nothing.
func (t *task) process(in *topology.Input, written *record.Record) error {
	r := written.Clone()
	r.Format = in.Format
	t.steps, t.outs = t.steps[:0], t.outs[:0]
	if node, err := t.walk(in.Next, r); err != nil {
		t.stage.d.bury(written, node, err)
		return nil
	}
	if len(t.steps) > 0 {
		out, err := t.late.Process(t.stage.d.ctx, t.steps)
		if failed, ok := errors.AsType[*late.Error](err); ok {
			t.stage.d.bury(written, failed.Bolt, failed.Err)
			return nil
		}
		if err != nil {
			return err
		}
		t.take(out)
	}
	if node, err := t.timely(); err != nil {
		t.stage.d.bury(written, node, err)
		return nil
	}
	t.flush()
	return nil
}

// timely refuses outputs with a time that no record on a log can have. One without a time would get that of its writing.
func (t *task) timely() (node string, err error) {
	for _, o := range t.outs {
		if err := record.CheckTime(o.r.Time); err != nil && !o.r.Time.IsZero() {
			return t.stage.d.plan.Sinks[o.sink].Name, err
		}
	}
	return "", nil
}

func (t *task) take(out []late.Output) {
	for _, o := range out {
		t.outs = append(t.outs, output{o.Sink, o.Record})
	}
}

// walk takes a record through the bolts that run early; what is for a late one waits in steps.
func (t *task) walk(targets []topology.Target, r *record.Record) (node string, err error) {
	for i, to := range targets {
		next := r
		if i < len(targets)-1 {
			next = r.Clone()
		}
		switch {
		case to.Sink:
			t.outs = append(t.outs, output{to.Index, next})
		case t.stage.d.plan.Bolts[to.Index].Late:
			t.steps = append(t.steps, late.Work{Target: to, Record: next})
		default:
			if node, err = t.early(to.Index, next); err != nil {
				return node, err
			}
		}
	}
	return "", nil
}

func (t *task) early(i int, r *record.Record) (node string, err error) {
	b := &t.stage.d.plan.Bolts[i]
	if t.stage.d.bolts[i] == nil {
		return "", nil // a global table: the driver fills it
	}
	type emitted struct {
		port int
		r    *record.Record
	}
	var all []emitted
	if err := t.stage.d.bolts[i].Process(t.stage.d.ctx, r, func(port int, r *record.Record) { all = append(all, emitted{port, r}) }); err != nil {
		return b.Name, err
	}
	for _, e := range all {
		if e.port < len(b.Next) {
			if node, err := t.walk(b.Next[e.port], e.r); err != nil {
				return node, err
			}
		}
	}
	return "", nil
}

// flush writes the outputs of a record.
func (t *task) flush() {
	for _, o := range t.outs {
		sink := &t.stage.d.plan.Sinks[o.sink]
		t.stage.d.write(sink.Topic, o.r, sink.Internal)
	}
	t.outs = t.outs[:0]
}

// tally brings the counts of records that were left out up to date.
func (s *stage) tally() {
	for _, t := range s.tasks {
		if t.late != nil {
			t.late.Tally()
		}
	}
}

func (s *stage) punctuate() error {
	if !s.plan.Stateful {
		return nil
	}
	for _, t := range s.tasks {
		out, err := t.late.Punctuate(context.Background())
		if err != nil {
			return err
		}
		t.take(out)
		t.flush()
	}
	return nil
}

// commit puts what the stores changed on the log, as the engine does around a transaction.
func (s *stage) commit() error {
	if !s.plan.Stateful {
		return nil
	}
	for _, t := range s.tasks {
		err := t.state.Changes(func(c store.Change) error {
			t.logs[c.Store] = append(t.logs[c.Store], c)
			return nil
		})
		if err != nil {
			return err
		}
		t.state.Seal()
		if err := t.state.Commit(nil); err != nil {
			return fmt.Errorf("commit partition %d: %w", t.n, err)
		}
	}
	return nil
}

func (s *stage) restart() error {
	if !s.plan.Stateful {
		return nil
	}
	for _, t := range s.tasks {
		streamed := t.late.StreamTime()
		if err := errors.Join(t.late.Close(), t.state.Close(), t.open(streamed)); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) close() error {
	var errs []error
	for _, t := range s.tasks {
		if t.late != nil {
			errs = append(errs, t.late.Close(), t.state.Close())
		}
	}
	return errors.Join(errs...)
}
