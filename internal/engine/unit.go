package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/stage"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// unit is one task of a stage with state: a partition number of all of the stage's inputs, and its stores. It belongs to
// the session's goroutine, except while it is being restored.
//
//	created ── all inputs assigned ──▶ restoring ── stores are as committed ──▶ running
//	   │                                   │                                       │
//	   └──────────── given up, or the session ends ────────▶ closed ◀──────────────┘
//
// The rings of its inputs are read into while it is running only: until then its partitions are paused.
type unit struct {
	id     unitID
	stage  *topology.Stage
	inputs []*task // by position in stage.Inputs; nil while not assigned
	phase  phase
	cancel context.CancelFunc // ends the restoring
	ended  chan struct{}      // closed when the restoring has ended; nil before it began

	streamed time.Time // stream time as it was committed
	state    *store.State
	late     *stage.Task
	progress *restoreProgress
	sealed   bool       // its writes are part of the commit under way
	sealedAt time.Time  // when the commit under way began
	applied  chan error // the State.Commit in the background; nil if there is none
	starved  time.Time  // since when an input has been waited for; zero if none is
	unsure   bool       // it waits only for somebody to look at the log
}

// unitID names a unit in its topology.
type unitID struct {
	stage int
	n     int32
}

type phase uint8

// The phases of a unit. Only the become functions change them.
const (
	created   phase = iota // not all inputs are assigned yet
	restoring              // a goroutine brings its stores up to what is committed
	operating              // works on records
	closed                 // final
)

func (u *unit) becomeRestoring(cancel context.CancelFunc) {
	u.assert(created)
	u.phase, u.cancel, u.ended = restoring, cancel, make(chan struct{})
}

func (u *unit) becomeRunning(late *stage.Task) {
	u.assert(restoring)
	u.phase, u.late = operating, late
}

func (u *unit) becomeClosed() { u.phase = closed }

func (u *unit) assert(from phase) {
	if u.phase != from {
		panic(fmt.Sprintf("unit %v: is in phase %d, want %d", u.id, u.phase, from))
	}
}

func (u *unit) complete() bool {
	for _, t := range u.inputs {
		if t == nil {
			return false
		}
	}
	return true
}

// unitOf returns the unit a partition belongs to, made if need be; nil for stages without state.
func (s *session) unitOf(in *topology.Input, n int32) *unit {
	st := &s.plan.Stages[in.Stage]
	if !st.Stateful {
		return nil
	}
	id := unitID{in.Stage, n}
	u := s.units[id]
	if u == nil {
		u = &unit{id: id, stage: st, inputs: make([]*task, len(st.Inputs))}
		s.units[id] = u
	}
	return u
}

// join adds a newly assigned partition to its unit.
func (u *unit) join(plan *topology.Plan, t *task) {
	t.unit = u
	for i, at := range u.stage.Inputs {
		if plan.Inputs[at].Topic == t.id.topic {
			u.inputs[i] = t
		}
	}
}

// startUnits begins to restore the units whose inputs are all here now. Nothing of them is read before.
func (s *session) startUnits(live context.Context) {
	for _, u := range s.units {
		if u.phase == created && u.complete() {
			ctx, cancel := context.WithCancel(live)
			u.becomeRestoring(cancel)
			target := s.sourceTargets(u)
			u.streamed = s.streamed(u)
			u.progress = &restoreProgress{began: time.Now()}
			s.w.engine.board.tell(func() { s.w.engine.board.restores[u.id] = u.progress })
			go s.restore(ctx, u, target)
		}
	}
}

// restored is the end of a restoring, told to the session.
type restored struct {
	unit *unit
	err  error
}

func (s *session) restore(ctx context.Context, u *unit, sources kafka.Offsets) {
	err := s.w.engine.restore(ctx, u, sources)
	close(u.ended)
	select {
	case s.restored <- restored{u, err}:
	case <-ctx.Done():
	}
}

// sourceTargets is how far stores whose changelog is an input are restored: what is read later belongs to the future.
func (s *session) sourceTargets(u *unit) kafka.Offsets {
	targets := make(kafka.Offsets)
	for _, t := range u.inputs {
		put(targets, t.id, max(s.tx.Committed(t.id.topic, t.id.n), 0))
	}
	return targets
}

// openUnit lets a restored unit work.
func (s *session) openUnit(r restored) error {
	u := r.unit
	if u.phase == closed {
		return nil
	}
	if r.err != nil {
		return fmt.Errorf("restore stage %q partition %d: %w", u.stage.Name, u.id.n, r.err)
	}
	late, err := stage.New(stage.Config{
		Plan: s.plan, Stage: u.id.stage, Partition: u.id.n, State: u.state,
		Streamed: u.streamed, Now: time.Now, Global: s.w.engine.globals.keyValue,
		Bolt:  func(i int) component.Bolt { return s.graph.bolts[i] },
		Env:   func(bolt string) component.Env { return s.w.env.component(s.plan, bolt) },
		Check: s.checkOutput, MaxChange: s.w.engine.maxChange,
		Counts: func(i int) *stage.Counts { return &s.w.engine.bolts[i].late },
		Log:    s.w.log.With("stage", u.stage.Name, "partition", u.id.n),
	})
	if err != nil {
		return s.openFailed(u, err)
	}
	u.becomeRunning(late)
	s.w.engine.board.tell(func() { s.postUnit(u) })
	for _, t := range u.inputs {
		if !t.paused {
			s.tx.Resume(t.id.asMap())
		}
	}
	s.publish(true)
	return nil
}

// postUnit puts a task that works now on the board.
func (s *session) postUnit(u *unit) {
	b := s.w.engine.board
	b.running[u.id] = u.state
	delete(b.restores, u.id)
	for _, t := range u.inputs {
		b.next[kafka.TopicPartition{Topic: t.id.topic, Partition: t.id.n}] = max(s.tx.Committed(t.id.topic, t.id.n), 0)
	}
}

// streamed is the stream time that was committed with the offsets of a unit's inputs.
func (s *session) streamed(u *unit) time.Time {
	var newest time.Time
	for _, t := range u.inputs {
		if at, ok := parseStreamTime(s.tx.CommittedMeta(t.id.topic, t.id.n)); ok && at.After(newest) {
			newest = at
		}
	}
	return newest
}

// The metadata of committed offsets: the stream time of the task.
const streamTimePrefix = "stream-time="

func streamTimeMeta(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return streamTimePrefix + strconv.FormatInt(at.UnixMilli(), 10)
}

func parseStreamTime(meta string) (time.Time, bool) {
	if len(meta) <= len(streamTimePrefix) || meta[:len(streamTimePrefix)] != streamTimePrefix {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(meta[len(streamTimePrefix):], 10, 64)
	return time.UnixMilli(n), err == nil
}

// lateStep works an entry through the late bolts; afterwards its outputs are for sinks only. An error is one of the
// stores and ends the session; a failed record becomes a dead letter.
func (s *session) lateStep(e *entry) error {
	u := e.task.unit
	s.work = s.work[:0]
	sinks := e.outputs[:0]
	for _, o := range e.outputs {
		if o.to.Sink {
			sinks = append(sinks, o)
		} else {
			s.work = append(s.work, stage.Work{Target: o.to, Record: o.rec})
		}
	}
	e.outputs = sinks
	if len(s.work) == 0 {
		return nil
	}
	out, err := u.late.Process(e.task.ctx, s.work)
	var failed *stage.Error
	switch {
	case errors.As(err, &failed):
		e.outputs, e.outcome = nil, dead
		e.err = &boltError{bolt: failed.Bolt, class: component.Never, attempts: 1, first: e.started, err: failed.Err}
		return nil
	case err != nil:
		return fmt.Errorf("work on stage %q partition %d: %w", u.stage.Name, u.id.n, err)
	}
	for _, o := range out {
		e.outputs = append(e.outputs, output{to: topology.Target{Sink: true, Index: o.Sink}, rec: o.Record})
	}
	return nil
}

// punctuate runs the wall-clock schedules that are due.
func (s *session) punctuate(live context.Context) error {
	if s.committing != nil {
		return nil // at the next tick
	}
	for _, u := range s.units {
		if u.phase != operating {
			continue
		}
		out, err := u.late.Punctuate(live)
		if err != nil {
			return fmt.Errorf("run schedules of stage %q partition %d: %w", u.stage.Name, u.id.n, err)
		}
		for _, o := range out {
			s.produce(live, o.Sink, o.Record, "")
			s.written = true
		}
		if entries, _ := u.state.Pending(); entries > 0 {
			s.written = true
		}
	}
	return nil
}

// writeChangelogs puts what the open transaction changed in the stores on the log, and fixes it.
func (s *session) writeChangelogs(live context.Context) error {
	for _, u := range s.units {
		if u.phase != operating {
			continue
		}
		if err := u.awaitApplied(); err != nil {
			return err
		}
		if err := u.state.Changes(func(c store.Change) error { return s.writeChange(live, u, c) }); err != nil {
			return fmt.Errorf("write changelogs of stage %q partition %d: %w", u.stage.Name, u.id.n, err)
		}
		u.state.Seal()
		u.sealed, u.sealedAt = true, time.Now()
		if s.w.env.Unsafe.NoBuffer {
			if err := u.state.Commit(nil); err != nil {
				return err
			}
			u.state.Seal()
		}
	}
	return nil
}

func (s *session) writeChange(live context.Context, u *unit, c store.Change) error {
	topic := s.w.changelogs[c.Store]
	if topic == "" {
		return nil
	}
	r := &kgo.Record{Topic: topic, Partition: u.id.n, Key: c.Key, Value: c.Value}
	if now := time.Now(); s.w.aging[c.Store] {
		kafka.Stamp(r, c.Time, now)
	} else {
		kafka.SetTime(r, c.Time, now)
	}
	s.tx.Produce(live, r)
	return nil
}

// maxPendingBytes is how much the open transaction may write to stores before it is committed early.
const maxPendingBytes = 64 << 20

func (s *session) pendingBytes() (sum int64) {
	for _, u := range s.units {
		if u.phase == operating {
			_, bytes := u.state.Pending()
			sum += bytes
		}
	}
	return sum
}

// applyChangelogs makes what was committed the base of the stores, in the background.
func (s *session) applyChangelogs() {
	written := s.tx.Written()
	for _, u := range s.units {
		if !u.sealed { // it began to work after the transaction was closed
			continue
		}
		u.sealed = false
		next := make(map[string]int64)
		for _, st := range u.stage.Stores {
			tp := kafka.TopicPartition{Topic: st.Changelog, Partition: u.id.n}
			switch at, ok := written[tp]; {
			case st.Source:
				next[st.Name] = s.committedOf(tp)
			case ok:
				next[st.Name] = at
			}
		}
		u.applied = make(chan error, 1)
		go s.apply(u, next, s.marksOf(u))
	}
	s.w.engine.board.note(s.marksOf(nil))
}

// apply makes a committed transaction the base of a task's stores, then tells how far the task has come: whoever waits
// for an offset must find its effect.
func (s *session) apply(u *unit, next map[string]int64, marks kafka.Offsets) {
	err := u.state.Commit(next)
	if err == nil {
		s.w.engine.board.note(marks)
		err = u.confirm(u.sealedAt)
	}
	u.applied <- err
}

// confirmEvery is how exactly is noted when a store was current.
const confirmEvery = time.Minute

// confirm notes that the stores have everything: a transaction that has committed says that nobody else had written until
// it began. A store that is made from an input has what is committed of that, and not all that there is.
func (u *unit) confirm(at time.Time) error {
	for i := range u.stage.Stores {
		st := &u.stage.Stores[i]
		if st.Changelog == "" || st.Source || at.Sub(u.state.Current(st.Name)) < confirmEvery {
			continue
		}
		if err := u.state.Confirm(st.Name, at); err != nil {
			return err
		}
	}
	return nil
}

// marksOf are the offsets of the last commit that belong to a unit; of stages without state for nil.
func (s *session) marksOf(u *unit) kafka.Offsets {
	own := make(kafka.Offsets)
	for topic, partitions := range s.marks {
		for n, at := range partitions {
			id := partition{topic, n}
			if t := s.tasks[id]; t != nil && t.unit == u {
				put(own, id, at)
			}
		}
	}
	return own
}

func (s *session) committedOf(tp kafka.TopicPartition) int64 {
	if t := s.tasks[partition{tp.Topic, tp.Partition}]; t != nil {
		return max(t.committed, 0)
	}
	return 0
}

// awaitApplied waits until what was committed last is in the base.
func (u *unit) awaitApplied() error {
	if u.applied == nil {
		return nil
	}
	err := <-u.applied
	u.applied = nil
	if err != nil {
		return fmt.Errorf("store what was committed of stage %q partition %d: %w", u.stage.Name, u.id.n, err)
	}
	return nil
}

// closeUnit ends a unit. What its open transaction wrote has not happened.
func (s *session) closeUnit(u *unit) {
	if u.ended != nil {
		u.cancel()
		<-u.ended
	}
	s.w.engine.board.tell(func() { delete(s.w.engine.board.running, u.id) }) // before its open writes are dropped
	if u.late != nil {
		if err := u.late.Close(); err != nil {
			s.w.log.Warn("close bolts with state", "err", err)
		}
	}
	if err := u.awaitApplied(); err != nil {
		s.w.log.Warn("the store is restored from its changelog at the next start", "err", err)
	}
	if u.state != nil {
		u.state.Abort()
		s.w.engine.states.give(u.id)
	}
	s.w.engine.board.tell(func() {
		delete(s.w.engine.board.running, u.id)
		delete(s.w.engine.board.restores, u.id)
	})
	u.becomeClosed()
	delete(s.units, u.id)
}
