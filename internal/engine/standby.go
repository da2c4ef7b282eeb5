package engine

import (
	"context"
	"sync"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/tables"
)

// standbys keep copies of other processes' stores warm, by reading their changelogs as they are committed.
//
// A copy is never ahead of what is committed, so whoever takes the task over goes on from it with the rest of the
// changelog only. It borrows its State from states, like a worker.
type standbys struct {
	engine   *Engine
	live     context.Context // ends with close
	cancel   context.CancelFunc
	starting sync.WaitGroup // who opens the State of a copy
	pause    time.Duration  // retryCopy

	emptying sync.Mutex // held while a store of a copy is emptied; before mu
	mu       sync.Mutex
	closed   bool                              // nothing may start any more; GUARDED_BY(mu)
	wanted   map[int]map[unitID]bool           // by worker; GUARDED_BY(mu)
	copies   map[unitID]*standbyCopy           // GUARDED_BY(mu)
	follows  map[kafka.TopicPartition]followed // GUARDED_BY(mu)
	follower *kafka.Follower                   // made with the first copy; GUARDED_BY(mu)
}

// standbyCopy is a copy of one task's stores.
type standbyCopy struct {
	state  *store.State
	newest time.Time // event time of the newest record it holds; GUARDED_BY(standbys.mu)
}

// followed is what a changelog partition fills.
type followed struct {
	id    unitID
	store string
	state *store.State
}

func newStandbys(e *Engine) *standbys {
	live, cancel := context.WithCancel(context.Background())
	return &standbys{
		engine: e, live: live, cancel: cancel, pause: retryCopy, wanted: make(map[int]map[unitID]bool),
		copies: make(map[unitID]*standbyCopy), follows: make(map[kafka.TopicPartition]followed),
	}
}

// set is told what a worker of this process keeps copies of; what none of them does any more is given back.
func (s *standbys) set(worker int, copies map[unitID]bool) {
	s.mu.Lock()
	s.wanted[worker] = copies
	var begin, end []unitID
	for id := range copies {
		if s.copies[id] == nil {
			begin = append(begin, id)
		}
	}
	for id := range s.copies {
		if !s.wants(id) {
			end = append(end, id)
		}
	}
	s.mu.Unlock()
	for _, id := range end {
		s.stop(id) // its State stays for a while: the task may have come to work here
	}
	for _, id := range begin {
		s.begin(func() { s.start(id) })
	}
}

// begin has something done beside, unless everything ends.
func (s *standbys) begin(work func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.starting.Go(work)
	}
}

// wants is called with mu held.
func (s *standbys) wants(id unitID) bool {
	for _, ids := range s.wanted {
		if ids[id] {
			return true
		}
	}
	return false
}

// start borrows the State of a task and follows its changelogs from where it stands.
func (s *standbys) start(id unitID) {
	state, err := s.engine.states.take(s.live, id)
	if s.live.Err() != nil { // the engine stops
		if err == nil {
			s.engine.states.give(id)
		}
		return
	}
	if err != nil {
		s.engine.log.Warn("no copy of a task's stores can be kept now", "stage", s.engine.plan.Stages[id.stage].Name, "partition", id.n, "again in", s.pause, "err", err)
		s.begin(func() { s.retry(id) })
		return
	}
	if err := s.fit(id, state); err != nil {
		s.engine.log.Warn("the changelogs of a copy can't be asked now; whether it is of use is asked when it is taken over", "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.wants(id) || s.copies[id] != nil {
		s.engine.states.give(id)
		return
	}
	if err := s.open(); err != nil { // only settings can be the reason, and those have served others already
		s.engine.states.give(id)
		s.engine.log.Error("no copies of stores can be kept", "err", err)
		return
	}
	s.copies[id] = &standbyCopy{state: state}
	for _, st := range s.engine.plan.Stages[id.stage].Stores {
		if st.Changelog == "" || st.Source { // an input is read when the task is taken over, as far as is committed
			continue
		}
		tp := kafka.TopicPartition{Topic: st.Changelog, Partition: id.n}
		s.follows[tp] = followed{id, st.Name, state}
		s.follower.Add(tp.Topic, tp.Partition, state.Checkpoint(st.Name))
	}
}

// fit empties the stores that can't go on where they stand, so that they are copied whole.
func (s *standbys) fit(id unitID, state *store.State) error {
	e := s.engine
	st := &e.plan.Stages[id.stage]
	if len(changelogs(st)) == 0 {
		return nil
	}
	ends, err := e.askEnds(s.live, st)
	if err != nil {
		return err
	}
	for i := range st.Stores {
		one := &st.Stores[i]
		if one.Changelog == "" || one.Source {
			continue
		}
		j := restoreJob{store: one, n: id.n, standing: ends.of(one, id.n, state.Checkpoint(one.Name), state.Current(one.Name), 0)}
		why := j.unfit(ends.asked)
		switch {
		case why != "":
			e.log.Warn("a copy of a store does not fit its changelog and is made anew", append(j.attrs(), "why", why)...)
			err = anew(state, one.Name, ends.asked)
		case j.at < 0: // nothing to empty
			err = state.Confirm(one.Name, ends.asked)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// anew empties a store that is read from the beginning of its changelog from a time on: every deletion of what it will hold
// is there for as long after it as the log keeps deletions.
func anew(state *store.State, name string, at time.Time) error {
	if err := state.Reset(name); err != nil {
		return err
	}
	return state.Confirm(name, at)
}

// open makes the follower; it is called with mu held.
func (s *standbys) open() error {
	if s.follower != nil {
		return nil
	}
	f, err := kafka.NewFollower(kafka.FollowerConfig{Config: s.engine.env.Kafka, Batch: s.apply, Lost: s.lost})
	s.follower = f
	return err
}

func (s *standbys) apply(b kafka.Batch) error {
	s.mu.Lock()
	f, ok := s.follows[kafka.TopicPartition{Topic: b.Topic, Partition: b.Partition}]
	if ok && len(b.Records) > 0 { // copies and follows go together
		s.copies[f.id].newest = kafka.EventTime(b.Records[len(b.Records)-1])
	}
	s.mu.Unlock()
	if !ok {
		return nil
	}
	changes := make([]store.Change, 0, len(b.Records))
	for _, r := range b.Records {
		if r.Key != nil {
			changes = append(changes, store.Change{Store: f.store, Key: r.Key, Value: r.Value, Time: kafka.EventTime(r)})
		}
	}
	err := f.state.Load(f.store, changes, b.Next)
	if err != nil {
		s.failed(f, err)
	}
	return err
}

// retryCopy is how long a copy that failed is left alone: what has filled the disk takes its time to go.
const retryCopy = 10 * time.Second

// failed begins a copy again after a while whose store can't be written to.
func (s *standbys) failed(f followed, err error) {
	s.engine.log.Warn("a copy of a task's stores has failed and is begun again", "stage", s.engine.plan.Stages[f.id.stage].Name, "partition", f.id.n, "store", f.store, "in", s.pause, "err", err)
	s.begin(func() {
		s.end(f.id, f.state)
		s.retry(f.id)
	})
}

// retry starts a copy after a while, if it is wanted then.
func (s *standbys) retry(id unitID) {
	if !sleep(s.live, s.pause) {
		return
	}
	s.mu.Lock()
	due := s.wants(id) && s.copies[id] == nil
	s.mu.Unlock()
	if due {
		s.start(id)
	}
}

// lost begins a copy anew whose changelog has lost what it would need. Whoever takes the task over gets the State before that
// or after it.
func (s *standbys) lost(tp kafka.TopicPartition, start int64) {
	s.emptying.Lock()
	defer s.emptying.Unlock()
	s.mu.Lock()
	f, ok := s.follows[tp]
	s.mu.Unlock()
	if !ok {
		return
	}
	s.engine.log.Warn("a copy of a store does not fit its changelog and is made anew", "store", f.store, "partition", tp.Partition)
	if err := anew(f.state, f.store, time.Now()); err != nil {
		s.failed(f, err)
		return
	}
	s.follower.Add(tp.Topic, tp.Partition, start)
}

// renew begins a copy anew that has been behind for longer than its changelog keeps deletions.
func (s *standbys) renew(tp kafka.TopicPartition, state *store.State) {
	s.mu.Lock()
	f, ok := s.follows[tp]
	s.mu.Unlock()
	if ok && f.state == state {
		s.follower.Remove(tp.Topic, tp.Partition) // nothing of before must come into it
		s.lost(tp, -1)
	}
}

// stop ends the copying of a task's stores and gives its State back, for whoever takes the task over.
func (s *standbys) stop(id unitID) { s.end(id, nil) }

// end is stop for one State only, if it is not nil: another copy may have begun.
func (s *standbys) end(id unitID, only *store.State) {
	ended, ok := s.forget(id, only)
	if !ok {
		return
	}
	for _, tp := range ended {
		s.follower.Remove(tp.Topic, tp.Partition) // waits for the batch that is being written
	}
	s.engine.states.give(id)
}

// forget takes a copy and what it follows off the lists. Nobody empties a store of it then, or will.
func (s *standbys) forget(id unitID, only *store.State) (ended []kafka.TopicPartition, ok bool) {
	s.emptying.Lock()
	defer s.emptying.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.copies[id]
	if c == nil || only != nil && c.state != only {
		return nil, false
	}
	delete(s.copies, id)
	for tp, f := range s.follows {
		if f.id == id {
			ended = append(ended, tp)
			delete(s.follows, tp)
		}
	}
	return ended, true
}

// close ends all copying.
func (s *standbys) close() {
	s.cancel()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.starting.Wait()
	s.mu.Lock()
	clear(s.wanted)
	ids := make([]unitID, 0, len(s.copies))
	for id := range s.copies {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for _, id := range ids {
		s.stop(id)
	}
	if s.follower != nil {
		s.follower.Close()
	}
}

// look gives the copy of a task's stores, nil if there is none here.
func (s *standbys) look(id unitID) (*store.State, *tables.Staleness) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.copies[id]
	if c == nil {
		return nil, nil
	}
	stale := &tables.Staleness{Records: s.lag(id)}
	if stale.Records != 0 && !c.newest.IsZero() {
		stale.Behind = time.Since(c.newest)
	}
	return c.state, stale
}

// lags says how far behind the copies are; those of which that is not known yet are left out.
func (s *standbys) lags() map[kafka.Task]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	lags := make(map[kafka.Task]int64)
	for id := range s.copies {
		if lag := s.lag(id); lag >= 0 {
			lags[s.engine.taskOf(id)] = lag
		}
	}
	return lags
}

// lag is -1 while it is not known. It is called with mu held.
func (s *standbys) lag(id unitID) (sum int64) {
	positions := s.follower.Positions()
	for _, st := range s.engine.plan.Stages[id.stage].Stores {
		tp := kafka.TopicPartition{Topic: st.Changelog, Partition: id.n}
		if _, ok := s.follows[tp]; !ok {
			continue
		}
		p, followed := positions[tp] // not while it is made anew
		lag, known := p.Lag()
		if !followed || !known {
			return -1
		}
		sum += lag
	}
	return sum
}
