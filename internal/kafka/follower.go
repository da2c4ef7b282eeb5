package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// FollowerConfig says what to do with what a Follower reads.
type FollowerConfig struct {
	Config
	// Batch is given the committed records of one partition after the other, from one goroutine: those at once that one
	// answer held. It is also told how far a partition is when there is nothing but that to tell. An error ends the
	// following of that partition. The bytes of records share memory with the whole answer.
	//
	// Batch and Lost may call Add and Positions; Remove and Close would wait for them.
	Batch func(Batch) error
	// Lost says that the log does not go on at the position: its start has moved past it, or it ends before it, as if it
	// were another one. The partition is followed no more. What was built from it must be built anew, from start.
	Lost func(tp TopicPartition, start int64)
}

// Follower reads many partitions for ever, read_committed: what standbys and global tables are kept up to date with.
//
// It is one goroutine and one client however many partitions there are; it holds one answer of each broker at a time, at
// most 16 MB each as it was sent. All methods may be called by any goroutine.
type Follower struct {
	cfg    FollowerConfig
	client *kgo.Client
	stop   context.CancelFunc
	done   chan struct{}

	applying sync.Mutex // held while Batch or Lost runs; before mu
	mu       sync.Mutex
	followed map[TopicPartition]*followed // GUARDED_BY(mu)
	changed  chan struct{}                // capacity 1: followed has changed
}

// followed is one partition; the pointer tells one Add from the next.
type followed struct {
	from int64
	Position
}

// Position is how far a Follower is with a partition.
type Position struct {
	Next   int64 // the offset to go on at; -1 before the first answer of a partition that begins at its start
	Stable int64 // the last stable offset; -1 before the first answer
	Start  int64 // the first offset that the log still has; -1 before the first answer
}

// Lag is how many offsets there are to read, markers included; ok is false while that is not known.
func (p Position) Lag() (lag int64, ok bool) {
	if p.Stable < 0 || p.Next < 0 {
		return 0, false
	}
	return max(p.Stable-p.Next, 0), true
}

// NewFollower begins with nothing to follow.
func NewFollower(cfg FollowerConfig) (*Follower, error) {
	client, err := cfg.client()
	if err != nil {
		return nil, fmt.Errorf("prepare to follow topics: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	f := &Follower{cfg: cfg, client: client, stop: stop, done: make(chan struct{}), followed: map[TopicPartition]*followed{}, changed: make(chan struct{}, 1)}
	go f.run(ctx)
	return f, nil
}

// Add follows a partition from an offset on; -1 is the first that the log has. A partition that is followed already begins
// again there.
func (f *Follower) Add(topic string, partition int32, from int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followed[TopicPartition{topic, partition}] = &followed{from: from, Position: Position{Next: max(from, -1), Stable: -1, Start: -1}}
	f.wake()
}

// Remove follows a partition no more. When it returns, Batch has returned for the last time for that partition.
func (f *Follower) Remove(topic string, partition int32) {
	f.applying.Lock()
	defer f.applying.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followed, TopicPartition{topic, partition})
	f.wake()
}

func (f *Follower) wake() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// Positions returns how far every followed partition is. It does not wait for Batch.
func (f *Follower) Positions() map[TopicPartition]Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	positions := make(map[TopicPartition]Position, len(f.followed))
	for tp, p := range f.followed {
		positions[tp] = p.Position
	}
	return positions
}

// Close ends the following; Batch does not run any more when it returns. It must not be called from Batch.
func (f *Follower) Close() {
	f.stop()
	<-f.done
	f.client.Close()
}

// run is the one goroutine that reads. The cursor is its own; what is followed is taken over between two answers.
func (f *Follower) run(ctx context.Context) {
	defer close(f.done)
	trouble := newPatience(f.cfg.Log, "following waits for the cluster")
	trouble.limit = 0
	c := newCursor(f.client, f.cfg.Log)
	at := map[TopicPartition]*followed{}
	for turn := 0; ; turn++ {
		f.adopt(c, at)
		err := f.round(ctx, c, at, turn)
		if trouble.judge(ctx, err) != nil { // only the end of ctx: nothing else is given up on
			return
		}
	}
}

// adopt makes the cursor stand where it should. Positions of partitions that were added anew are set back.
func (f *Follower) adopt(c *cursor, at map[TopicPartition]*followed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for tp := range at {
		if f.followed[tp] != at[tp] {
			delete(at, tp)
			delete(c.next, tp)
		}
	}
	for tp, p := range f.followed {
		if at[tp] == nil {
			at[tp] = p
			if p.from >= 0 {
				c.next[tp] = p.from
			}
		}
	}
}

// round asks once for everything that can be asked for. One topic that is not there does not keep the others waiting.
func (f *Follower) round(ctx context.Context, c *cursor, at map[TopicPartition]*followed, turn int) error {
	if len(at) == 0 {
		select {
		case <-f.changed:
		case <-ctx.Done():
		}
		return nil
	}
	trouble := f.prepare(ctx, c, at)
	var ready []TopicPartition
	leaders := map[int32]bool{}
	for tp := range at {
		if _, placed := c.next[tp]; placed && c.led(tp) {
			ready = append(ready, tp)
			leaders[c.leaders[tp]] = true
		}
	}
	slices.SortFunc(ready, TopicPartition.compare)
	if n := len(ready); n > 0 { // a full answer leaves out the last ones: not always the same
		ready = append(ready[turn%n:], ready[:turn%n]...)
	}
	wait := followWait
	if len(leaders) > 1 { // the one that has nothing must not keep the others waiting for long
		wait /= 5
	}
	return errors.Join(trouble, c.fetch(ctx, ready, nil, wait, func(b Batch) error { f.apply(at, b); return nil }))
}

const followWait = 500 * time.Millisecond

// prepare finds the leaders of topics not yet known, and the start of those that begin there.
func (f *Follower) prepare(ctx context.Context, c *cursor, at map[TopicPartition]*followed) error {
	var unknown, unplaced []TopicPartition
	for tp := range at {
		if !c.led(tp) {
			unknown = append(unknown, tp)
		}
		if _, placed := c.next[tp]; !placed {
			unplaced = append(unplaced, tp)
		}
	}
	problem := c.locate(ctx, topicsOf(unknown)...)
	unknown = slices.DeleteFunc(unknown, c.led)
	if problem == nil && len(unknown) > 0 {
		problem = fmt.Errorf("read topic %q partition %d: nobody leads it", unknown[0].Topic, unknown[0].Partition)
	}
	unplaced = slices.DeleteFunc(unplaced, func(tp TopicPartition) bool { return !c.led(tp) })
	for _, topic := range topicsOf(unplaced) {
		starts, err := c.offsets(ctx, c.admin.ListStartOffsets, topic)
		problem = errors.Join(problem, err)
		for _, tp := range unplaced {
			if start, ok := starts[tp.Partition]; ok && tp.Topic == topic {
				c.next[tp] = start
			}
		}
	}
	return problem
}

// apply gives a batch to the owner, unless the partition was removed while it was on its way.
func (f *Follower) apply(at map[TopicPartition]*followed, b Batch) {
	tp := TopicPartition{b.Topic, b.Partition}
	f.applying.Lock()
	defer f.applying.Unlock()
	p := at[tp]
	if !f.current(tp, p) {
		return
	}
	if b.Lost {
		f.drop(tp)
		f.cfg.Lost(tp, b.Start)
		return
	}
	if len(b.Records) == 0 && p.is(b) {
		return
	}
	if err := f.cfg.Batch(b); err != nil {
		f.drop(tp)
		return
	}
	f.mu.Lock()
	p.Position = positionOf(b)
	f.mu.Unlock()
}

func positionOf(b Batch) Position { return Position{Next: b.Next, Stable: b.Stable, Start: b.Start} }

// is may be called without mu by the goroutine that writes it.
func (p *followed) is(b Batch) bool { return p.Position == positionOf(b) }

func (f *Follower) current(tp TopicPartition, p *followed) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return p != nil && f.followed[tp] == p
}

func (f *Follower) drop(tp TopicPartition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.followed, tp)
}
