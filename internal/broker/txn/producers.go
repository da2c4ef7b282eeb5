package txn

import (
	"container/list"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
)

const (
	// rememberedBatches is how many batches of a producer are known again when they are sent twice. A client has at most
	// five requests under way.
	rememberedBatches = 5
	// idleProducersMax bounds the producers without an open transaction that a partition remembers. Beyond it the one that
	// was silent for longest is forgotten, as if it had expired.
	idleProducersMax = 100_000
)

// Producers is the state of all producers of one partition: what each wrote last and which transactions are open. It
// implements commitlog.Tracker.
//
// Memory is bounded: five batches per producer, and 100,000 producers without an open transaction. Open transactions
// are bounded by the coordinator, without which nobody opens one.
type Producers struct {
	known map[int64]*producer
	idle  *list.List // of *producer without an open transaction, the longest silent first
	open  *list.List // of *producer with an open transaction, by its first offset
	limit int        // of idle
	clock int64      // latest time that Check or Expire was told, Unix milliseconds; 0: none yet
}

var _ commitlog.Tracker = (*Producers)(nil)

// producer is what is known of one producer.
type producer struct {
	id               int64
	epoch            int16
	coordinatorEpoch int32 // of the last marker; -1: none
	seen             int64 // Unix milliseconds by the clock of the broker; 0: the clock had not been told
	timestamp        int64 // of the last batch, as its writer put it; -1: none
	batches          []written
	first            int64      // offset of the open transaction, -1: none is open
	since            int64      // Unix milliseconds of its first batch
	in               *list.List // idle or open
	place            *list.Element
}

// written is a batch that is in the log.
type written struct {
	firstSequence, lastSequence int32
	first, last                 int64 // offsets
	appendTime                  int64 // Unix milliseconds, -1: the topic keeps the time of the writer
}

// Verdict is what Check says about a batch that may be written or was written before.
type Verdict struct {
	Duplicate bool // the batch is in the log already: answer with the rest, write nothing
	First     int64
	Last      int64
	// AppendTime is when the earlier batch was written, Unix milliseconds; -1: the topic keeps the time of the writer.
	AppendTime int64
}

// OpenTransaction is a transaction that has records in a partition and no marker yet.
type OpenTransaction struct {
	ProducerID int64
	Epoch      int16
	First      int64 // offset of its first record
	Since      time.Time
}

// ProducerState is one line of DescribeProducers.
type ProducerState struct {
	ProducerID       int64
	Epoch            int16
	LastSequence     int32 // -1: nothing written in this epoch
	LastTimestamp    int64 // Unix milliseconds, -1: none
	CoordinatorEpoch int32 // -1: no marker yet
	First            int64 // offset of the open transaction; -1: none
}

// NewProducers returns the state of a partition that nobody wrote to.
func NewProducers() *Producers {
	return &Producers{known: map[int64]*producer{}, idle: list.New(), open: list.New(), limit: idleProducersMax}
}

// Check says whether a batch may be written next. It changes nothing but the clock: Observe follows once the batch is in the log.
//
// A producer that is not known may begin at any sequence, since its state may have expired.
func (p *Producers) Check(h batch.Header, now time.Time) (Verdict, error) {
	return p.check(h, now, false)
}

// CheckBumped is Check for transactional batches of clients whose epoch grows with every transaction (Produce 12 and
// later): the sequence of a producer that is not known must begin at 0, because every transaction begins there.
func (p *Producers) CheckBumped(h batch.Header, now time.Time) (Verdict, error) {
	return p.check(h, now, true)
}

func (p *Producers) check(h batch.Header, now time.Time, bumped bool) (Verdict, error) {
	p.tell(now)
	if h.ProducerID < 0 {
		return Verdict{}, nil
	}
	if h.ProducerEpoch < 0 || h.BaseSequence < 0 {
		return Verdict{}, kerr.InvalidRecord
	}
	k, ok := p.known[h.ProducerID]
	if !ok {
		return Verdict{}, checkFirst(h, bumped)
	}
	if w, ok := k.duplicate(h); ok {
		return Verdict{Duplicate: true, First: w.first, Last: w.last, AppendTime: w.appendTime}, nil
	}
	return Verdict{}, k.check(h)
}

// checkFirst checks the first batch of a producer that is not known.
func checkFirst(h batch.Header, bumped bool) error {
	if bumped && h.Transactional() && h.BaseSequence != 0 {
		return kerr.OutOfOrderSequenceNumber
	}
	return nil
}

// duplicate finds the batch among those last written.
func (k *producer) duplicate(h batch.Header) (written, bool) {
	if h.ProducerEpoch != k.epoch {
		return written{}, false
	}
	for _, w := range k.batches {
		if w.firstSequence == h.BaseSequence && w.lastSequence == h.LastSequence() {
			return w, true
		}
	}
	return written{}, false
}

// check says whether h is what the producer has to write next.
func (k *producer) check(h batch.Header) error {
	switch {
	case h.ProducerEpoch < k.epoch:
		return kerr.InvalidProducerEpoch
	case h.BaseSequence != k.nextSequence(h.ProducerEpoch):
		return kerr.OutOfOrderSequenceNumber
	case k.first >= 0 && !h.Transactional():
		return kerr.InvalidTxnState
	case k.first >= 0 && h.ProducerEpoch != k.epoch:
		// The transaction of the older epoch has no marker yet. Without this the two would become one.
		return kerr.ConcurrentTransactions
	}
	return nil
}

// nextSequence is the sequence that a batch of this epoch must begin with.
func (k *producer) nextSequence(epoch int16) int32 {
	last := k.lastSequence()
	if epoch != k.epoch || last == math.MaxInt32 {
		return 0
	}
	return last + 1
}

// lastSequence is the last sequence of the current epoch, -1 before the first.
func (k *producer) lastSequence() int32 {
	if len(k.batches) == 0 {
		return -1
	}
	return k.batches[len(k.batches)-1].lastSequence
}

// Observe follows a batch that is in the log. It implements commitlog.Tracker.
func (p *Producers) Observe(h batch.Header, raw []byte) *commitlog.Aborted {
	if h.ProducerID < 0 {
		return nil
	}
	k := p.get(h.ProducerID)
	k.timestamp = h.MaxTimestamp
	k.seen = p.clock
	defer p.arrange(k)
	if h.Control() {
		return p.observeMarker(k, h, raw)
	}
	k.observeData(h, p.clock)
	return nil
}

// get finds or makes the state of a producer. The caller arranges it.
func (p *Producers) get(id int64) *producer {
	k, ok := p.known[id]
	if !ok {
		k = &producer{id: id, epoch: -1, coordinatorEpoch: -1, timestamp: -1, first: -1}
		p.known[id] = k
	}
	return k
}

// observeData follows a batch of records.
func (k *producer) observeData(h batch.Header, clock int64) {
	k.raise(h.ProducerEpoch)
	k.remember(h)
	if h.Transactional() && k.first < 0 {
		k.first, k.since = h.BaseOffset, clock
		if clock == 0 {
			k.since = max(h.MaxTimestamp, 0)
		}
	}
}

// raise begins a newer epoch, whose sequences begin anew.
func (k *producer) raise(epoch int16) {
	if epoch > k.epoch {
		k.epoch, k.batches = epoch, nil
	}
}

// remember keeps the batch to know it again.
func (k *producer) remember(h batch.Header) {
	if h.BaseSequence < 0 {
		return
	}
	w := written{firstSequence: h.BaseSequence, lastSequence: h.LastSequence(), first: h.BaseOffset, last: h.Next() - 1, appendTime: -1}
	if h.AppendTime() {
		w.appendTime = h.MaxTimestamp
	}
	if len(k.batches) == rememberedBatches {
		copy(k.batches, k.batches[1:])
		k.batches = k.batches[:rememberedBatches-1]
	}
	k.batches = append(k.batches, w)
}

// observeMarker ends the transaction of the producer. A control batch whose record was compacted away, or of a kind
// that is not known, ends it too: nothing can follow it in that transaction.
func (p *Producers) observeMarker(k *producer, h batch.Header, raw []byte) *commitlog.Aborted {
	first := k.first
	k.raise(h.ProducerEpoch)
	k.first, k.since = -1, 0
	m, err := batch.ParseMarker(raw)
	if err != nil {
		return nil
	}
	k.coordinatorEpoch = m.CoordinatorEpoch
	if first < 0 || m.Commit {
		return nil
	}
	p.arrange(k)
	return &commitlog.Aborted{ProducerID: k.id, First: first, Last: h.BaseOffset, Stable: p.stable(h.Next())}
}

// stable is the last stable offset of a log that ends at end.
func (p *Producers) stable(end int64) int64 {
	if first, ok := p.FirstOpen(); ok {
		return first
	}
	return end
}

// arrange puts the producer where it belongs now: last among the idle, or where its open transaction has its place. A
// transaction that begins has a larger first offset than all that are open, so its place is the end.
func (p *Producers) arrange(k *producer) {
	if k.first >= 0 {
		p.put(k, p.open)
		return
	}
	p.put(k, p.idle)
	p.idle.MoveToBack(k.place)
	for p.idle.Len() > p.limit {
		p.forget(p.idle.Front())
	}
}

// put moves the producer to the end of a list, unless it is in that list.
func (p *Producers) put(k *producer, l *list.List) {
	if k.in == l {
		return
	}
	if k.in != nil {
		k.in.Remove(k.place)
	}
	k.in, k.place = l, l.PushBack(k)
}

// forget drops an idle producer.
func (p *Producers) forget(e *list.Element) {
	k := p.idle.Remove(e).(*producer)
	delete(p.known, k.id)
}

// FirstOpen is the first offset of the oldest open transaction. It takes constant time.
func (p *Producers) FirstOpen() (int64, bool) {
	e := p.open.Front()
	if e == nil {
		return 0, false
	}
	return e.Value.(*producer).first, true
}

// Open lists the open transactions by their first offset.
func (p *Producers) Open() []OpenTransaction {
	all := make([]OpenTransaction, 0, p.open.Len())
	for e := p.open.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*producer).transaction())
	}
	return all
}

// OpenOf is the open transaction of a producer.
func (p *Producers) OpenOf(producerID int64) (OpenTransaction, bool) {
	k, ok := p.known[producerID]
	if !ok || k.first < 0 {
		return OpenTransaction{}, false
	}
	return k.transaction(), true
}

func (k *producer) transaction() OpenTransaction {
	return OpenTransaction{ProducerID: k.id, Epoch: k.epoch, First: k.first, Since: time.UnixMilli(k.since)}
}

// Describe lists all producers by their id.
func (p *Producers) Describe() []ProducerState {
	all := make([]ProducerState, 0, len(p.known))
	for _, id := range slices.Sorted(maps.Keys(p.known)) {
		all = append(all, p.known[id].describe())
	}
	return all
}

func (k *producer) describe() ProducerState {
	return ProducerState{
		ProducerID: k.id, Epoch: k.epoch, LastSequence: k.lastSequence(), LastTimestamp: k.timestamp,
		CoordinatorEpoch: k.coordinatorEpoch, First: k.first,
	}
}

// Expire forgets producers without an open transaction that were silent for longer than after, by the clock of the
// broker: timestamps of records may lie years back or ahead. A producer of which only a start has told counts from the
// first call.
func (p *Producers) Expire(now time.Time, after time.Duration) {
	p.tell(now)
	for e := p.idle.Front(); e != nil; {
		next := e.Next()
		k := e.Value.(*producer)
		if k.seen == 0 {
			k.seen = p.clock
		}
		if p.clock-k.seen > after.Milliseconds() {
			p.forget(e)
		}
		e = next
	}
}

// tell moves the clock, never back.
func (p *Producers) tell(now time.Time) {
	p.clock = max(p.clock, now.UnixMilli())
}
