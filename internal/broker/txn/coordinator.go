package txn

import (
	"container/heap"
	"container/list"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// producersAtOnce is how many producer ids one journal entry reserves. A start skips the rest of the last lot.
	producersAtOnce = 1000
	// idBytesMax bounds a transactional id. Kafka has no bound but that of its strings, 32 KiB.
	idBytesMax = 4096
	// groupsMax bounds the groups of one transaction, whose names a stranger chooses.
	groupsMax = 1000
)

// Options of a coordinator. The zero value of a field means its default.
type Options struct {
	MaxTimeout time.Duration // the longest that a client may ask for; default 15 minutes
	Expiration time.Duration // an id that rests for longer is forgotten; default 7 days
	// MaxIDs bounds the transactional ids. Beyond it the one that rested for longest is forgotten, as if it had expired;
	// if all have open transactions, a new one is refused. Default 100,000.
	MaxIDs int
	// CoordinatorEpoch is in the markers; it must not go back from one start to the next.
	CoordinatorEpoch int32
}

func (o Options) filled() Options {
	if o.MaxTimeout == 0 {
		o.MaxTimeout = 15 * time.Minute
	}
	if o.Expiration == 0 {
		o.Expiration = 7 * 24 * time.Hour
	}
	if o.MaxIDs == 0 {
		o.MaxIDs = 100_000
	}
	return o
}

// Coordinator keeps all transactional ids of a broker and gives out producer ids.
//
// Every answer is due only after the Effects of its call. Entries of one id are appended to the journal in the order in
// which they were handed out. A failed Save or Reserve needs no taking back: what is in memory is then ahead of the
// journal, nobody was told, and the next call asks for it again. A Decide that is not carried out does need it, whatever
// failed before it; see there.
type Coordinator struct {
	o         Options
	ids       map[string]*transaction
	producers map[int64]*transaction  // by current producer id
	deadlines deadlines               // of the ongoing ones
	resting   *list.List              // of *transaction, the longest unchanged first
	next      int64                   // producer id to give out
	reserved  int64                   // ids below it are reserved in the journal
	offered   int64                   // the largest reservation asked for
	decided   map[decidedAt][]*Decide // while starting: replayed, by where they are looked for
	replayed  []*Decide               // while starting: decisions in the order of the journal
	missing   []Missing               // while starting
	closed    map[TopicPartition]bool // while starting: partitions that cannot be read
	owed      []owed                  // decisions whose markers partitions may lack
}

// NewCoordinator returns a coordinator without any ids. After a start it is told what was saved, see Restore.
func NewCoordinator(o Options) *Coordinator {
	return &Coordinator{
		o: o.filled(), ids: map[string]*transaction{}, producers: map[int64]*transaction{}, resting: list.New(),
		decided: map[decidedAt][]*Decide{}, closed: map[TopicPartition]bool{},
	}
}

// allocate gives out a producer id.
func (c *Coordinator) allocate(fx *Effects) int64 {
	id := c.next
	c.next++
	if c.next > c.reserved {
		fx.Reserve = c.next + producersAtOnce - 1
		c.offered = max(c.offered, fx.Reserve)
	}
	return id
}

// Reserved says that what Effects.Reserve asked for is durable. Until then every call that gives out a producer id asks
// again, so that none is given out on a reservation that failed.
func (c *Coordinator) Reserved(below int64) { c.reserved = max(c.reserved, below) }

// NewProducer gives a producer without a transactional id its producer id.
func (c *Coordinator) NewProducer() (Producer, Effects) {
	var fx Effects
	return Producer{ID: c.allocate(&fx)}, fx
}

// find returns the transaction of an id that must exist.
func (c *Coordinator) find(id string) (*transaction, error) {
	if id == "" {
		return nil, kerr.InvalidRequest
	}
	t, ok := c.ids[id]
	if !ok {
		return nil, kerr.InvalidProducerIDMapping
	}
	return t, nil
}

// place puts t where its state belongs, after every move.
func (c *Coordinator) place(t *transaction) {
	c.unplace(t)
	switch {
	case t.state == Ongoing:
		heap.Push(&c.deadlines, t)
	case t.state.resting():
		t.rest = c.resting.PushBack(t)
	}
	if t.state != Dead {
		c.ids[t.id], c.producers[t.producer.ID] = t, t
	}
}

// unplace takes t out of the queues.
func (c *Coordinator) unplace(t *transaction) {
	if t.deadline >= 0 {
		heap.Remove(&c.deadlines, t.deadline)
	}
	if t.rest != nil {
		c.resting.Remove(t.rest)
		t.rest = nil
	}
}

// kill forgets a resting id.
func (c *Coordinator) kill(t *transaction, now time.Time) Entry {
	t.becomeDead(now)
	c.place(t)
	delete(c.ids, t.id)
	delete(c.producers, t.producer.ID)
	return t.entry()
}

// due is when an ongoing transaction is given up.
func (t *transaction) due() time.Time { return t.start.Add(t.timeout) }

// deadlines is a heap of ongoing transactions, the first to be given up first.
type deadlines []*transaction

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].due().Before(d[j].due()) }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].deadline, d[j].deadline = i, j
}

// Push is for package heap.
func (d *deadlines) Push(x any) {
	t := x.(*transaction)
	t.deadline = len(*d)
	*d = append(*d, t)
}

// Pop is for package heap.
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	t := (*d)[last]
	*d, t.deadline = (*d)[:last], -1
	return t
}
