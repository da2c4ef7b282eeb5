package engine

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/stage"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// session is the life of one worker between two failures: one member of the group, its tasks, its transactions. One
// goroutine, run, owns all of its state; lanes and the commit run beside it and report to it.
//
//	       ┌────────────── poll ◀── room in hand ──────────────┐
//	       ▼                                                   │
//	read ─▶ add to task ─▶ lane ─▶ graph.run ─▶ completions ─▶ release ─▶ outbox
//	                                                           │
//	                    idle ── commit due, outbox written ──▶ committing ──▶ idle
//
// While a commit is under way records go on being read and worked on; their results wait in the outbox, because the
// transaction that is being ended can take no more.
//
// Any failure of the member ends the session. Its successor takes the id over, which ends the open transaction, reads
// the committed offsets and begins there: there is one way to recover, the same as after kill -9.
type session struct {
	w     *worker
	plan  *topology.Plan
	graph *graph
	tx    *kafka.Transactor

	tasks      map[partition]*task
	units      map[unitID]*unit // of stages with state
	restored   chan restored
	partial    map[unitID]*partial // units that wait for the rest of their partitions
	work       []stage.Work        // of lateStep, kept for its memory
	outbox     []*entry            // released, in order; to be written when no commit is under way
	inHand     int                 // entries in rings
	inBytes    int64               // of them
	outBytes   int64               // of the outbox
	runningNow int                 // lanes in work
	ready      []*entry            // may run, but maxRunning is reached
	written    bool                // something was written or a mark moved since the last commit

	committing chan error // non-nil while a commit is under way
	marks      kafka.Offsets
	inCommit   totals // what the commit under way makes final

	polling    context.CancelFunc // non-nil while a poll is under way
	polled     chan poll
	rebalances chan rebalance

	completions struct {
		sync.Mutex
		list []*entry // GUARDED_BY(Mutex)
	}
	completed chan struct{} // capacity 1: the list is not empty

	maxRunning int
	pending    totals              // since the last commit
	feeds      map[string]*feedRun // by topic, while its partition 0 is ours
	published  time.Time
	pressed    bool // see press
	leaving    bool // the stop is wanted: give the partitions to others at once
	lost       bool // the group has taken everything away

	joined atomic.Bool // the group has told what is ours
}

type totals struct{ in, out, dead, parked int64 }

type poll struct {
	fetches kgo.Fetches
	err     error
}

// rebalance is one callback of the group, to be answered when it has been dealt with.
type rebalance struct {
	kind       rebalanceKind
	partitions map[string][]int32
	ctx        context.Context
	answer     chan error
}

type rebalanceKind uint8

const (
	assigned rebalanceKind = iota
	revoked
	lost
)

const maxPoll = 8192

func newSession(w *worker) *session {
	s := &session{
		w: w, plan: w.plan, graph: w.graph,
		tasks:      make(map[partition]*task),
		units:      make(map[unitID]*unit),
		partial:    make(map[unitID]*partial),
		restored:   make(chan restored),
		polled:     make(chan poll, 1),
		rebalances: make(chan rebalance),
		completed:  make(chan struct{}, 1),
		maxRunning: w.maxRunning,
		feeds:      make(map[string]*feedRun),
	}
	return s
}

// run works until ctx is done and everything in hand is drained, or the drain bound passes, or the member fails.
func (s *session) run(ctx context.Context) error {
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if err := s.join(live); err != nil {
		return err
	}
	defer s.close(cancel)
	err := s.loop(ctx, live)
	if err != nil && !s.lost && s.replaced(live) {
		return fmt.Errorf("%w: %w", kafka.ErrReplaced, err)
	}
	return err
}

// replaced asks the group, for a moment, whether somebody else has our id now.
func (s *session) replaced(live context.Context) bool {
	ctx, cancel := context.WithTimeout(live, 5*time.Second)
	defer cancel()
	return s.tx.Replaced(ctx)
}

// loop deals with one thing after the other, and writes what is released after each.
func (s *session) loop(ctx, live context.Context) error {
	tick := time.NewTicker(s.plan.Commit)
	defer tick.Stop()
	stop := ctx.Done()
	var drained <-chan time.Time
	for {
		if drained == nil {
			s.startPoll(live)
		} else if s.settled(time.Now()) {
			s.leaving = true
			return nil
		}
		var err error
		select {
		case <-stop:
			stop = nil
			s.stopAllFeeds()
			err = s.endPoll()
			drained = time.After(s.plan.Drain)
		case <-drained:
			s.w.log.Warn("stopped with records in hand; they are read again at the next start", "records", s.inHand)
			s.leaving = true
			return nil
		case p := <-s.polled:
			s.polling = nil
			err = s.take(p)
		case <-s.completed:
			s.completeAll()
		case <-s.w.looked:
			s.releaseStarved()
		case r := <-s.restored:
			err = s.openUnit(r)
		case <-tick.C:
			err = s.tick(live)
		case ended := <-s.committing:
			err = s.endCommit(ended)
		case r := <-s.rebalances:
			err = s.rebalance(live, r)
		}
		if err == nil {
			err = s.writeReleased(live)
		}
		if err != nil {
			return err
		}
	}
}

// tick is what is done once every commit interval.
func (s *session) tick(live context.Context) error {
	s.retryParked()
	if err := s.punctuate(live); err != nil {
		return err
	}
	s.releaseStarved()
	s.notePartial(time.Now())
	if err := s.startCommit(live); err != nil {
		return err
	}
	s.publish(false)
	return nil
}

// writeReleased writes the outbox, and commits early if the open transaction has grown large.
func (s *session) writeReleased(live context.Context) error {
	if err := s.flush(live); err != nil {
		return err
	}
	if s.pendingBytes() > maxPendingBytes {
		return s.startCommit(live)
	}
	return nil
}

func (s *session) join(live context.Context) error {
	cfg := kafka.TransactorConfig{
		Config: s.w.env.Kafka, Group: s.plan.Group, ID: s.id(),
		Transactional: s.w.transactional,
		Unfenced:      s.w.env.Unsafe.NoFence,
		MaxRecord:     s.w.engine.maxRecord,
		Manual:        map[string]bool{s.plan.Parked: true, s.plan.DeadLetters: true},
		Tracked:       make(map[string]bool),
		Tasks:         s.shares(),
		Latest:        make(map[string]bool),
		Assigned: func(ctx context.Context, p map[string][]int32) error {
			return s.ask(live, rebalance{kind: assigned, partitions: p, ctx: ctx})
		},
		Revoked: func(p map[string][]int32) { _ = s.ask(live, rebalance{kind: revoked, partitions: p}) },
		Lost:    func(p map[string][]int32) { _ = s.ask(live, rebalance{kind: lost, partitions: p}) },
	}
	for _, in := range s.plan.Inputs {
		cfg.Topics = append(cfg.Topics, in.Topic)
		cfg.Latest[in.Topic] = in.Start == "latest"
	}
	for _, topic := range s.w.changelogs {
		cfg.Manual[topic], cfg.Tracked[topic] = true, true
	}
	tx, err := kafka.NewTransactor(cfg)
	s.tx = tx
	return err
}

// id names the member. Being the same in all lives of the worker is what ends a predecessor.
func (s *session) id() string {
	if s.w.env.Unsafe.NoFence {
		return s.w.id + "." + strconv.FormatInt(time.Now().UnixNano(), 36)
	}
	return s.w.id
}

// close ends the lanes' work and the member. The order matters: lanes first, so that nothing of this session is still
// at work when a successor begins.
func (s *session) close(cancel context.CancelFunc) {
	cancel()
	s.endPollQuietly()
	if s.committing != nil {
		<-s.committing //nolint:errcheck // whatever it says: the successor believes the broker only
	}
	s.w.lanes.Wait()
	for _, u := range s.units {
		s.closeUnit(u)
	}
	abort, done := context.WithTimeout(context.Background(), 2*time.Second)
	defer done()
	s.tx.Abort(abort)
	if !s.leaving {
		s.tx.Close()
	} else if err := s.tx.CloseAndLeave(abort); err != nil {
		s.w.log.Warn("the group waits for this worker until its session times out", "err", err)
	}
	s.w.snapshot.Store(nil)
}

// ask hands a callback of the group to run and waits for its answer.
func (s *session) ask(live context.Context, r rebalance) error {
	r.answer = make(chan error, 1)
	select {
	case s.rebalances <- r:
	case <-live.Done():
		return live.Err()
	}
	select {
	case err := <-r.answer:
		return err
	case <-live.Done():
		return live.Err()
	}
}

// startPoll asks for more records if there is room for them.
func (s *session) startPoll(live context.Context) {
	if s.pressed && (s.roomy() || !s.press()) {
		s.unpress() // also while a poll is under way: it may be waiting for nothing but what is paused
	}
	if s.polling != nil || s.outboxFull() {
		return
	}
	room := s.room()
	if room <= 0 {
		if !s.press() {
			return
		}
		room = min(pressedPoll, s.plan.Limits.PartitionRecords)
	}
	ctx, cancel := context.WithCancel(live)
	s.polling = cancel
	go func() {
		fetches, err := s.tx.Poll(ctx, room)
		cancel()
		s.polled <- poll{fetches, err}
	}()
}

// room is how many records may be read.
func (s *session) room() int {
	if s.inBytes >= int64(s.plan.Limits.Bytes) {
		return 0
	}
	return min(maxPoll, s.plan.Limits.Records-s.inHand)
}

// roomy says whether a quarter of what a worker may have in hand is free, so that what is resumed is not paused at once.
func (s *session) roomy() bool {
	records, size := s.plan.Limits.Records, int64(s.plan.Limits.Bytes)
	return records-s.inHand > records/4 && size-s.inBytes > size/4
}

// outboxFull says whether reading waits for the commit under way: only then is there anything in the outbox.
func (s *session) outboxFull() bool {
	return len(s.outbox) > maxPoll || s.outBytes > 0 && s.inBytes+s.outBytes >= int64(s.plan.Limits.Bytes)
}

// endPoll cuts a poll short and takes what it had. After it no batch is on its way, so whatever is read later belongs
// to the assignment of then.
func (s *session) endPoll() error {
	if s.polling == nil {
		return nil
	}
	s.polling()
	p := <-s.polled
	s.polling = nil
	return s.take(p)
}

func (s *session) endPollQuietly() {
	if s.polling != nil {
		s.polling()
		<-s.polled
		s.polling = nil
	}
}

// take adds a batch to its tasks. Records of partitions that are not ours any more are dropped: their new owner reads
// them.
func (s *session) take(p poll) error {
	var failed error
	now := time.Now()
	p.fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
		if len(fp.Records) == 0 || failed != nil {
			return
		}
		t := s.tasks[partition{fp.Topic, fp.Partition}]
		if t == nil {
			return
		}
		failed = s.takePartition(t, fp, now)
	})
	if p.err != nil {
		return p.err
	}
	return failed
}

func (s *session) takePartition(t *task, fp kgo.FetchTopicPartition, now time.Time) error {
	if t.next < 0 {
		t.begin(s.tx.Committed(fp.Topic, fp.Partition), fp.Records[0].Offset)
	}
	if fp.Records[0].Offset < t.next {
		return fmt.Errorf("read topic %q partition %d: offset %d again after %d: %w", fp.Topic, fp.Partition, fp.Records[0].Offset, t.next, kafka.ErrAborted)
	}
	if start := min(fp.LogStartOffset, fp.Records[0].Offset); start > t.next {
		s.w.noteLoss(t, start)
	}
	t.silent = false
	entries := make([]entry, len(fp.Records))
	for i, raw := range fp.Records {
		e := &entries[i]
		s.fill(e, t, raw, now)
		s.inHand++
		s.inBytes += e.size
		switch {
		case raw.Attrs.IsControl() || !s.admit(e):
			t.addDone(e)
		case s.w.blocking[t.input.Stage] || t.parkedCount > 0:
			if t.add(e) {
				s.start(e)
			}
		default: // nothing waits: run it here
			s.graph.run(t.ctx, e, e.targets)
			t.addDone(e)
		}
	}
	s.release(t)
	s.pauseIfFull(t)
	return nil
}

// fill makes an entry of a record as read.
func (s *session) fill(e *entry, t *task, raw *kgo.Record, now time.Time) {
	e.task, e.raw, e.started, e.targets = t, raw, now, t.input.Next
	r := &e.rec
	r.Key, r.Value, r.Time, r.Format = raw.Key, raw.Value, raw.Timestamp, t.input.Format
	r.Origin = record.Origin{Topic: raw.Topic, Partition: raw.Partition, Offset: raw.Offset}
	if len(raw.Headers) > 0 {
		r.Time = kafka.Unstamp(raw)
		r.Headers = make([]record.Header, len(raw.Headers))
		for i, h := range raw.Headers {
			r.Headers[i] = record.Header{Key: h.Key, Value: h.Value}
		}
		raw.Timestamp = r.Time // as it is parked, or becomes a dead letter
	}
	if t.input.Repartition {
		r.Origin = originOf(r)
	}
	e.size = int64(r.Size()) + entryOverhead
	if raw.Key != nil {
		e.lane = xxhash.Sum64(raw.Key)
	} else {
		e.lane = uint64(raw.Offset)*0x9E3779B97F4A7C15 ^ uint64(raw.Partition) // no key, no order to keep
	}
}

// entryOverhead is what an entry costs beside its bytes.
const entryOverhead = 512

// start runs an entry in a goroutine of its own, or queues it until a lane is free.
func (s *session) start(e *entry) {
	if s.runningNow >= s.maxRunning {
		s.ready = append(s.ready, e)
		return
	}
	s.runningNow++
	s.w.lanes.Go(func() {
		s.graph.run(e.task.ctx, e, e.targets)
		s.completions.Lock()
		s.completions.list = append(s.completions.list, e)
		s.completions.Unlock()
		select {
		case s.completed <- struct{}{}:
		default:
		}
	})
}

// completeAll takes the outcomes of all lanes that have finished and lets the next entries run.
func (s *session) completeAll() {
	s.completions.Lock()
	list := s.completions.list
	s.completions.list = nil
	s.completions.Unlock()
	now := time.Now()
	touched := make(map[*task]bool, len(s.tasks))
	for _, e := range list {
		s.runningNow--
		if s.tasks[e.task.id] != e.task || e.outcome == abandoned {
			continue
		}
		s.complete(e, now)
		touched[e.task] = true
	}
	for len(s.ready) > 0 && s.runningNow < s.maxRunning {
		e := s.ready[0]
		s.ready = s.ready[1:]
		if s.tasks[e.task.id] == e.task {
			s.start(e)
		}
	}
	for t := range touched {
		s.release(t)
		s.resumeIfRoom(t)
	}
}

func (s *session) complete(e *entry, now time.Time) {
	if e.retried && e.outcome == parked && now.Sub(e.task.parked[e.lane].since) > time.Duration(s.plan.Retry.Park) {
		e.outcome = dead // its time in the parking is over
	}
	retried := e.retried
	next := e.task.complete(e, now, time.Duration(s.plan.Retry.ParkEvery))
	if retried && e.outcome != parked {
		s.outbox, s.outBytes = append(s.outbox, e), s.outBytes+e.size
	}
	if next != nil {
		s.start(next)
	}
}

func (s *session) releaseTask(t *task) []*entry {
	before, bytes := len(t.ring), t.bytes
	out := t.release(s.outbox)
	s.inHand -= before - len(t.ring)
	s.inBytes -= bytes - t.bytes
	s.outBytes += bytes - t.bytes
	return out
}

// retryParked tries parked keys again whose time has come.
func (s *session) retryParked() {
	now := time.Now()
	for _, t := range s.tasks {
		if t.parkedCount == 0 {
			continue
		}
		for _, e := range t.due(now) {
			s.start(e)
		}
	}
}

// pauseIfFull stops reading a partition that has run as far ahead of its oldest unfinished record as it may, or has
// parked as much as it may. One that waits for nothing but a look at the log goes on, within the limits of the worker: the
// client would ask for records of the others alone, and if these have none the broker holds that question, and with it
// everything that is resumed meanwhile, for as long as a fetch may take.
func (s *session) pauseIfFull(t *task) {
	full := len(t.ring) >= s.plan.Limits.PartitionRecords && (t.unit == nil || !t.unit.unsure)
	if !t.paused && (full || t.parkedCount >= s.plan.Limits.Parked) {
		t.paused = true
		s.tx.Pause(t.id.asMap())
	}
}

func (s *session) resumeIfRoom(t *task) {
	if t.paused && t.ready() && !s.pressed && len(t.ring) < max(s.plan.Limits.PartitionRecords*3/4, 1) && t.parkedCount < s.plan.Limits.Parked {
		t.paused = false
		s.tx.Resume(t.id.asMap())
	}
	s.pauseIfFull(t)
}

// flush writes the outbox to the open transaction, in order.
func (s *session) flush(live context.Context) error {
	if s.committing != nil || len(s.outbox) == 0 {
		return nil
	}
	for i, e := range s.outbox {
		if err := s.write(live, e); err != nil {
			return err
		}
		s.outbox[i] = nil
	}
	s.outbox, s.outBytes = s.outbox[:0], 0
	s.written = true
	return s.tx.Failed()
}

// startCommit ends the open transaction in the background, with the marks of now. What is released is written first: a
// mark must never get ahead of the results below it.
func (s *session) startCommit(live context.Context) error {
	if s.committing != nil {
		return nil
	}
	if err := s.flush(live); err != nil {
		return err
	}
	if !s.written {
		return nil
	}
	if err := s.writeChangelogs(live); err != nil {
		return err
	}
	s.marks = make(kafka.Offsets)
	meta := make(kafka.Metadata)
	for id, t := range s.tasks {
		if t.mark > t.committed {
			put(s.marks, id, t.mark)
			if text := t.meta(); text != "" {
				put(meta, id, text)
			}
		}
	}
	s.written = false
	s.inCommit, s.pending = s.pending, totals{}
	s.committing = make(chan error, 1)
	go func(done chan<- error, marks kafka.Offsets) {
		start := time.Now()
		err := s.tx.CommitWith(live, marks, meta, s.w.at)
		s.w.engine.commitLatency.observe(time.Since(start))
		done <- err
	}(s.committing, s.marks)
	return nil
}

// endCommit believes the outcome of the commit under way, and only now counts what it made final.
func (s *session) endCommit(err error) error {
	s.committing = nil
	if err != nil {
		return err
	}
	for topic, partitions := range s.marks {
		for n, at := range partitions {
			if t := s.tasks[partition{topic, n}]; t != nil {
				t.committed = at
			}
		}
	}
	s.applyChangelogs()
	c := &s.w.engine.counters
	c.in.Add(s.inCommit.in)
	c.out.Add(s.inCommit.out)
	c.dead.Add(s.inCommit.dead)
	c.parked.Add(s.inCommit.parked)
	s.publish(true)
	return nil
}

// commitNow commits and waits: before partitions are given up.
func (s *session) commitNow(live context.Context) error {
	if s.committing != nil {
		if err := s.endCommit(<-s.committing); err != nil {
			return err
		}
	}
	if err := s.startCommit(live); err != nil || s.committing == nil {
		return err
	}
	return s.endCommit(<-s.committing)
}

// rebalance deals with one callback while the group waits. What is finished of the partitions given up is committed;
// what is in hand is left to the next owner.
func (s *session) rebalance(live context.Context, r rebalance) error {
	err := s.endPoll()
	switch {
	case err != nil:
	case r.kind == assigned:
		err = s.assign(live, r)
	case r.kind == revoked, s.w.env.Unsafe.NoFence:
		err = s.commitNow(live)
		s.drop(r.partitions)
	default:
		s.drop(r.partitions)
		err = s.lose(live)
	}
	r.answer <- err
	return err
}

// lose ends the session. Whether somebody else has the id can be told only here, while the client waits for the answer:
// then it joins again by itself, and the group has the id with a member of which the client does not know yet.
func (s *session) lose(live context.Context) error {
	s.lost = true
	err := fmt.Errorf("partitions lost: %w", kafka.ErrAborted)
	if s.replaced(live) {
		return fmt.Errorf("%w: %w", kafka.ErrReplaced, err)
	}
	return err
}

// assign makes tasks of new partitions and brings their parked records back. What the group had committed is known
// only after this callback, when the first record arrives.
func (s *session) assign(live context.Context, r rebalance) error {
	for topic, partitions := range r.partitions {
		for _, n := range partitions {
			id := partition{topic, n}
			t := newTask(id, s.w.inputs[topic])
			t.ctx, t.cancel = context.WithCancel(live)
			if at := s.tx.Committed(topic, n); at >= 0 {
				t.begin(at, at) // now, and not with the first record: an input that was read to its end has none, see moreOn
			}
			s.tasks[id] = t
			if u := s.unitOf(t.input, n); u != nil {
				u.join(s.plan, t)
				s.tx.Pause(id.asMap())
			} else {
				s.tx.Resume(id.asMap()) // it may have been paused when it was given up
			}
		}
	}
	s.publish(true)
	s.w.log.Debug("partitions assigned", "partitions", r.partitions)
	if err := s.restoreParked(r.ctx, r.partitions); err != nil {
		return err
	}
	s.startFeeds(live, r.partitions)
	s.startUnits(live)
	return nil
}

// drop forgets partitions that belong to somebody else now and stops the work on them.
func (s *session) drop(partitions map[string][]int32) {
	s.stopFeeds(partitions)
	for topic, ns := range partitions {
		for _, n := range ns {
			id := partition{topic, n}
			if t := s.tasks[id]; t != nil {
				s.inHand -= len(t.ring)
				s.inBytes -= t.bytes
				t.cancel()
				delete(s.tasks, id)
				s.w.engine.board.drop(id)
				if t.unit != nil && t.unit.phase != closed {
					s.closeUnit(t.unit)
				}
			}
		}
	}
	s.publish(true)
	s.w.log.Debug("partitions given up", "partitions", partitions)
}

// put sets what belongs to a partition in a map by topic and number.
func put[V any](all map[string]map[int32]V, p partition, v V) {
	if all[p.topic] == nil {
		all[p.topic] = make(map[int32]V)
	}
	all[p.topic][p.n] = v
}

func (p partition) asMap() map[string][]int32 { return map[string][]int32{p.topic: {p.n}} }

// laneLimit is how many lanes may run at once: as many as the services they call allow together.
func laneLimit(plan *topology.Plan, services component.Services) int {
	sum := 0
	for _, b := range plan.Bolts {
		if b.Component.Uses == nil || services == nil {
			continue
		}
		for _, name := range b.Component.Uses(b.Config) {
			sum += services.InFlight(name)
		}
	}
	if sum == 0 {
		sum = 1024
	}
	return min(sum, plan.Limits.Records)
}
