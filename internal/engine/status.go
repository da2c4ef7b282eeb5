package engine

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ravenswood.dev/internal/kafka"
)

// snapshot is what a session tells of itself; it is made by the session and never changed.
type snapshot struct {
	joined     *atomic.Bool // the group has told what is the session's; always up to date
	tasks      []TaskStatus
	units      []unitSnapshot
	parkedKeys []ParkedKey
	parked     int64
	inHand     int64
	oldest     *oldestEntry
}

type oldestEntry struct {
	Oldest
	started time.Time
}

const (
	publishEvery  = 250 * time.Millisecond
	maxParkedKeys = 100
)

// publish makes the session's state visible to Status, now or if the last time is long enough ago.
func (s *session) publish(now bool) {
	if !now && time.Since(s.published) < publishEvery {
		return
	}
	s.published = time.Now()
	snap := &snapshot{joined: &s.joined, inHand: int64(s.inHand)}
	for id, t := range s.tasks {
		snap.tasks = append(snap.tasks, s.taskStatus(id, t))
		snap.parked += int64(t.parkedCount)
		snap.addParked(t)
		if e := t.oldest(); e != nil && (snap.oldest == nil || e.started.Before(snap.oldest.started)) {
			snap.oldest = s.describe(e)
		}
	}
	snap.units = s.unitSnapshots()
	slices.SortFunc(snap.parkedKeys, func(a, b ParkedKey) int { return a.Since.Compare(b.Since) })
	s.w.snapshot.Store(snap)
}

func (s *session) taskStatus(id partition, t *task) TaskStatus {
	st := TaskStatus{
		Topic: id.topic, Partition: id.n, Worker: s.w.number, State: "running",
		Committed: t.committed, InFlight: len(t.ring),
	}
	if t.next < 0 {
		st.Committed = s.tx.Committed(id.topic, id.n)
	}
	if t.paused {
		st.State = "paused"
	}
	return st
}

func (snap *snapshot) addParked(t *task) {
	for _, p := range t.parked {
		if len(snap.parkedKeys) == maxParkedKeys {
			return
		}
		snap.parkedKeys = append(snap.parkedKeys, ParkedKey{
			Key: clip(string(p.entries[0].raw.Key), 200), Records: len(p.entries), Since: p.since,
			Bolt: p.cause.bolt, Cause: clip(p.cause.Error(), 300),
		})
	}
}

func (s *session) describe(e *entry) *oldestEntry {
	o := &oldestEntry{started: e.started}
	o.Topic, o.Partition, o.Offset = e.raw.Topic, e.raw.Partition, e.raw.Offset
	o.Key = clip(string(e.raw.Key), 200)
	if at := e.place.at.Load(); at > 0 {
		o.Bolt = s.plan.Bolts[at-1].Name
	}
	return o
}

// Status is the numbers of now.
func (e *Engine) Status() Status {
	now := time.Now()
	st := Status{
		Topology: e.plan.Name, Delivery: string(e.plan.Delivery), State: e.state.Load().(string),
		In: e.counters.in.Load(), Out: e.counters.out.Load(), Dead: e.counters.dead.Load(), Lost: e.counters.lost.Load(),
		InPerSecond: e.rate.perSecond(), Restarts: e.restarts.Load(),
		CommitP50: millisOf(e.commitLatency.quantile(0.5)), CommitP99: millisOf(e.commitLatency.quantile(0.99)),
	}
	var oldest *oldestEntry
	for _, w := range e.workers {
		if f, ok := w.failing.look(now); ok {
			st.Failing = append(st.Failing, f)
		}
		snap := w.snapshot.Load()
		if snap == nil {
			continue
		}
		st.Tasks = append(st.Tasks, snap.tasks...)
		st.ParkedKeys = append(st.ParkedKeys, snap.parkedKeys...)
		st.Parked += snap.parked
		st.InFlight += snap.inHand
		if o := snap.oldest; o != nil && (oldest == nil || o.started.Before(oldest.started)) {
			oldest = o
		}
	}
	if oldest != nil {
		o := oldest.Oldest
		o.Age = now.Sub(oldest.started)
		st.Oldest = &o
	}
	e.addLag(&st)
	st.Undecided = e.undecided.oldest(now)
	slices.SortFunc(st.Tasks, func(a, b TaskStatus) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	e.addParts(&st)
	st.Stages = e.stageStatus(now)
	st.Waiting = e.waiting(&st)
	return st
}

// addLag compares what is committed with the last stable offsets.
func (e *Engine) addLag(st *Status) {
	stable := e.stable.Load()
	if stable == nil {
		return
	}
	for i := range st.Tasks {
		t := &st.Tasks[i]
		t.Stable = (*stable)[kafka.TopicPartition{Topic: t.Topic, Partition: t.Partition}]
		st.Lag += max(t.Stable-max(t.Committed, 0), 0)
	}
}

func (e *Engine) addParts(st *Status) {
	for _, b := range e.bolts {
		one := BoltStatus{
			Bolt: b.name, Records: b.records.Load(), Errors: b.errors.Load(), Retries: b.retries.Load(),
			P50: millisOf(b.latency.quantile(0.5)), P99: millisOf(b.latency.quantile(0.99)),
		}
		one.addLate(&b.late)
		st.Bolts = append(st.Bolts, one)
	}
	for _, d := range e.deliveries {
		ds := DeliveryStatus{Sink: d.plan.Name, Records: d.records.Load(), Lag: d.lag()}
		if p := d.problem.Load(); p != nil {
			ds.Error = *p
		}
		st.Deliveries = append(st.Deliveries, ds)
	}
	for _, f := range e.feeds {
		fs := FeedStatus{Spout: f.plan.Name, Records: f.records.Load(), Ended: f.ended.Load()}
		if p := f.problem.Load(); p != nil {
			fs.Error = *p
		}
		st.Feeds = append(st.Feeds, fs)
	}
}

func millisOf(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// rate is a count per second over the last ten seconds.
type rate struct {
	mu    sync.Mutex
	notes []note // GUARDED_BY(mu)
}

type note struct {
	at    time.Time
	count int64
}

const rateWindow = 10 * time.Second

func (r *rate) note(at time.Time, count int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, note{at, count})
	for len(r.notes) > 2 && at.Sub(r.notes[1].at) > rateWindow {
		r.notes = r.notes[1:]
	}
}

func (r *rate) perSecond() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.notes) < 2 {
		return 0
	}
	first, last := r.notes[0], r.notes[len(r.notes)-1]
	return float64(last.count-first.count) / last.at.Sub(first.at).Seconds()
}

// Status is what one process knows of a topology.
type Status struct {
	Topology    string           `json:"topology"`
	Delivery    string           `json:"delivery"`
	State       string           `json:"state"`             // starting, running, stopping, stopped, failed
	In          int64            `json:"in"`                // records read and committed since the process started
	Out         int64            `json:"out"`               // records written to topic sinks and committed
	Dead        int64            `json:"dead"`              // records that became dead letters
	Lost        int64            `json:"lost"`              // records the log deleted before they were read
	Waiting     string           `json:"waiting,omitempty"` // what it waits for before all tasks of this process work; see NotReady
	InPerSecond float64          `json:"inPerSecond"`
	InFlight    int64            `json:"inFlight"` // records read and not yet released for commit
	Lag         int64            `json:"lag"`      // records below the last stable offset that are not committed yet
	Parked      int64            `json:"parked"`   // records waiting for their key
	ParkedKeys  []ParkedKey      `json:"parkedKeys,omitempty"`
	Oldest      *Oldest          `json:"oldest,omitempty"`
	Undecided   *OpenTransaction `json:"undecided,omitempty"`
	Restarts    int64            `json:"restarts"` // times a worker began again from the last commit
	Failing     []Failing        `json:"failing,omitempty"`
	CommitP50   float64          `json:"commitP50Millis"`
	CommitP99   float64          `json:"commitP99Millis"`
	Tasks       []TaskStatus     `json:"tasks"`
	Bolts       []BoltStatus     `json:"bolts"`
	Stages      []StageStatus    `json:"stages,omitempty"` // those with state
	Deliveries  []DeliveryStatus `json:"deliveries,omitempty"`
	Feeds       []FeedStatus     `json:"feeds,omitempty"`
}

// ParkedKey is a key whose records wait.
type ParkedKey struct {
	Key     string    `json:"key"`
	Records int       `json:"records"`
	Since   time.Time `json:"since"`
	Bolt    string    `json:"bolt"`
	Cause   string    `json:"cause"`
}

// Oldest is the record that holds back a commit the longest.
type Oldest struct {
	Topic     string        `json:"topic"`
	Partition int32         `json:"partition"`
	Offset    int64         `json:"offset"`
	Key       string        `json:"key"`
	Bolt      string        `json:"bolt"`
	Age       time.Duration `json:"ageNanos"`
}

// OpenTransaction is the transaction that has kept records of an input, or of a topic that an outside sink is filled from, from
// being read for longest. It may be anybody's.
type OpenTransaction struct {
	Topic     string        `json:"topic"`
	Partition int32         `json:"partition"`
	Offset    int64         `json:"offset"`   // its first: nothing from here on is read before it is decided
	Age       time.Duration `json:"ageNanos"` // since this process has seen it first
}

// TaskStatus is one partition in work.
type TaskStatus struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Worker    int    `json:"worker"`
	State     string `json:"state"`     // running, paused
	Committed int64  `json:"committed"` // next offset to read after a restart, -1 before the first commit
	Stable    int64  `json:"stable"`    // last stable offset
	InFlight  int    `json:"inFlight"`
}

// BoltStatus is the work of one bolt; the latencies are those of its attempts, if it waits for the outside world.
type BoltStatus struct {
	Bolt    string  `json:"bolt"`
	Records int64   `json:"records"`
	Errors  int64   `json:"errors"`
	Retries int64   `json:"retries"`
	P50     float64 `json:"p50Millis"`
	P99     float64 `json:"p99Millis"`

	Late           int64            `json:"late,omitempty"`           // records that came too late
	Dropped        int64            `json:"dropped,omitempty"`        // records not passed on for any other reason
	DroppedBy      map[string]int64 `json:"droppedBy,omitempty"`      // both, by reason
	ScheduleErrors int64            `json:"scheduleErrors,omitempty"` // calls of scheduled functions that failed
}

// DeliveryStatus is the work of one outside sink.
type DeliveryStatus struct {
	Sink    string `json:"sink"`
	Records int64  `json:"records"` // delivered by this process since its start
	Lag     int64  `json:"lag"`
	Error   string `json:"error,omitempty"` // why it waits, if it does
}

// FeedStatus is the work of one outside spout.
type FeedStatus struct {
	Spout   string `json:"spout"`
	Records int64  `json:"records"`
	Ended   bool   `json:"ended"`
	Error   string `json:"error,omitempty"`
}
