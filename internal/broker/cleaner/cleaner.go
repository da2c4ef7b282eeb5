// Package cleaner takes away what a topic does not keep: segments past their retention, and records that a newer one of the same
// key replaces. What stays keeps its offset, and a reader of committed records sees the same last value of every key at
// every moment, whatever is cut off or killed in between.
//
// Expired, ShouldRoll, and the decisions of compaction (plan.go, filter.go, keys.go) are pure. A Cleaner runs them: Run is for one
// goroutine; Retain and Compact may be called from any, Compact not twice at a time for one partition.
//
// It must not be assumed that a pass changes nothing in between: segments are replaced one group after the other, by
// commitlog.Log.Replace, each at once. A fetch that tells a client which transactions were aborted has to read the batches
// first and ask Log.Aborted afterwards.
package cleaner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/config"
	"ravenswood.dev/internal/broker/disk"
)

// ErrGone is what Partition.Change returns for a partition that was deleted or fenced. The cleaner then leaves it alone without a word.
var ErrGone = errors.New("the partition is gone")

// A Partition is what the cleaner needs of one.
type Partition struct {
	Topic    string
	Index    int32
	Settings config.Topic
	Log      *commitlog.Log
	// Files and Dir say where the partition's files are; the cleaner keeps one of its own beside them.
	Files disk.FS
	Dir   string
	// Stable is the lower of high watermark and last stable offset, now.
	Stable func() int64
	// LastBatch is the offset of the last record that a producer wrote here, as far as the partition remembers producers.
	LastBatch func(producer int64) (last int64, known bool)
	// Change runs f as the only writer of the log, or returns ErrGone.
	Change func(f func() error) error
	// SetStart notes durably that the log begins at an offset and then calls Log.SetStart, as the only writer; or returns
	// ErrGone. Nil: Log.SetStart under Change. Then segments may be back after a loss of power, until the next round.
	SetStart func(offset int64) error
}

// Settings of the broker for its cleaner. They are asked for again before every round.
type Settings struct {
	RetentionEvery time.Duration // log.retention.check.interval.ms
	CompactEvery   time.Duration // log.cleaner.backoff.ms
	Compact        bool          // log.cleaner.enable
	MapBytes       int64         // log.cleaner.dedupe.buffer.size
	BytesPerSecond float64       // log.cleaner.io.max.bytes.per.second; 0: no limit
}

// SettingsOf takes them from those of the broker.
func SettingsOf(b config.Broker) Settings {
	return Settings{
		RetentionEvery: b.RetentionCheckInterval, CompactEvery: b.CleanerBackoff, Compact: b.Compact,
		MapBytes: b.CleanerMapBytes, BytesPerSecond: b.CleanerBytesPerSecond,
	}
}

// Options of a Cleaner; all but Now are needed.
type Options struct {
	Partitions func() []Partition // those that are served now
	Settings   func() Settings
	Log        *slog.Logger
	Now        func() time.Time // time.Now
}

// Numbers are what a cleaner has done since it was made.
type Numbers struct {
	SegmentsRemoved int64 // past their retention
	BytesRemoved    int64 // with them
	Passes          int64 // of compaction
	RecordsRemoved  int64 // by compaction
	BytesCompacted  int64 // read by it
	BytesKept       int64 // and written again
	Failures        int64
}

// A Cleaner keeps partitions as small as their topics want them.
type Cleaner struct {
	o Options

	mu      sync.Mutex
	numbers Numbers        // GUARDED_BY(mu)
	begun   map[place]seen // GUARDED_BY(mu)
}

// place is a partition.
type place struct {
	topic string
	index int32
}

// seen is an active segment with the time of its first batch.
type seen struct {
	base  int64
	begun time.Time
}

// New makes a cleaner that does nothing until Run.
func New(o Options) *Cleaner {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Cleaner{o: o, begun: map[place]seen{}}
}

// Numbers says what was done so far.
func (c *Cleaner) Numbers() Numbers {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.numbers
}

// Run looks at all partitions again and again until ctx ends, which it waits for in the middle of a pass too. Retention does not
// wait for compaction.
func (c *Cleaner) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { c.every(ctx, func(s Settings) time.Duration { return s.RetentionEvery }, c.retainAll) })
	wg.Go(func() { c.every(ctx, func(s Settings) time.Duration { return s.CompactEvery }, c.compactAll) })
	wg.Wait()
}

// every begins a round when the interval has gone by since the one before. It looks at the interval again meanwhile, since a
// request may have made it shorter.
func (c *Cleaner) every(ctx context.Context, interval func(Settings) time.Duration, round func(context.Context)) {
	const shortest, look = 10 * time.Millisecond, time.Second
	for last := time.Now(); ; {
		rest := max(shortest, interval(c.o.Settings())) - time.Since(last)
		timer := time.NewTimer(max(0, min(rest, look)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if rest <= look {
			round(ctx)
			last = time.Now()
		}
	}
}

func (c *Cleaner) retainAll(ctx context.Context) {
	partitions := c.o.Partitions()
	c.forget(partitions)
	for _, p := range partitions {
		if ctx.Err() != nil {
			return
		}
		if _, err := c.Retain(p); err != nil {
			c.failed(err)
		}
	}
}

func (c *Cleaner) compactAll(ctx context.Context) {
	for _, p := range c.o.Partitions() {
		if !p.Settings.Compact || !c.o.Settings().Compact {
			continue
		}
		done, err := c.Compact(ctx, p)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.failed(err)
		}
		c.compacted(p, done)
	}
}

func (c *Cleaner) failed(err error) {
	c.o.Log.Warn("old records could not be removed", "err", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.numbers.Failures++
}

func (c *Cleaner) compacted(p Partition, done Compacted) {
	if done.Why == NotDue {
		return
	}
	c.o.Log.Debug("compacted", "topic", p.Topic, "partition", p.Index, "why", string(done.Why), "before", done.Before, "after", done.After, "removed", done.Removed)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.numbers.Passes++
	c.numbers.RecordsRemoved += done.Removed
	c.numbers.BytesCompacted += done.Before
	c.numbers.BytesKept += done.After
}

// Retained says what Retain did to a partition.
type Retained struct {
	Rolled   bool
	Segments int   // removed
	Bytes    int64 // in them
}

// Retain ends the active segment if it is time, and removes segments that are past their retention.
func (c *Cleaner) Retain(p Partition) (Retained, error) {
	var done Retained
	rolled, err := c.roll(p)
	done.Rolled = rolled
	if err == nil {
		err = c.expire(p, &done)
	}
	if err != nil && !errors.Is(err, ErrGone) {
		return done, fmt.Errorf("remove old records of %s/%d: %w", p.Topic, p.Index, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.numbers.SegmentsRemoved += int64(done.Segments)
	c.numbers.BytesRemoved += done.Bytes
	return done, nil
}

func (c *Cleaner) roll(p Partition) (bool, error) {
	active, ok := activeOf(p.Log.Segments())
	if !ok || active.Bytes == 0 || active.Base >= p.Stable() {
		return false, nil
	}
	begun, err := c.begunAt(p, active)
	if err != nil || !ShouldRoll(active, p.Settings, begun, c.o.Now()) {
		return false, err
	}
	return true, p.Change(p.Log.Roll)
}

func (c *Cleaner) expire(p Partition, done *Retained) error {
	segments, start := p.Log.Segments(), p.Log.Start()
	to := Expired(segments, p.Settings, start, p.Stable(), c.o.Now())
	if to <= start {
		return nil
	}
	if err := p.setStart(to); err != nil {
		return err
	}
	for _, s := range segments {
		if !s.Active && s.Next <= to {
			done.Segments++
			done.Bytes += s.Bytes
		}
	}
	return nil
}

func (p Partition) setStart(offset int64) error {
	if p.SetStart != nil {
		return p.SetStart(offset)
	}
	return p.Change(func() error { return p.Log.SetStart(offset) })
}

func activeOf(segments []commitlog.Segment) (commitlog.Segment, bool) {
	if len(segments) == 0 {
		return commitlog.Segment{}, false
	}
	last := segments[len(segments)-1]
	return last, last.Active
}

// begunAt is when the active segment began. It is read once.
func (c *Cleaner) begunAt(p Partition, active commitlog.Segment) (time.Time, error) {
	at := place{p.Topic, p.Index}
	c.mu.Lock()
	known, ok := c.begun[at]
	c.mu.Unlock()
	if ok && known.base == active.Base {
		return known.begun, nil
	}
	begun, err := firstTime(p.Log, max(active.Base, p.Log.Start()), min(active.Next, p.Stable()))
	if err != nil {
		return time.Time{}, err
	}
	if begun.IsZero() {
		begun = c.o.Now()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun[at] = seen{active.Base, begun}
	return begun, nil
}

// forget drops what is known of partitions that are gone.
func (c *Cleaner) forget(now []Partition) {
	here := make(map[place]bool, len(now))
	for _, p := range now {
		here[place{p.Topic, p.Index}] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := range c.begun {
		if !here[at] {
			delete(c.begun, at)
		}
	}
}

func (c *Cleaner) pace() *pace { return &pace{perSecond: c.o.Settings().BytesPerSecond} }

// firstTime is the timestamp of the first batch from an offset on, zero if there is none or it has none.
func firstTime(log *commitlog.Log, from, upTo int64) (time.Time, error) {
	if from >= upTo {
		return time.Time{}, nil
	}
	raw, err := log.Read(nil, from, 1, upTo)
	if err != nil || len(raw) == 0 {
		return time.Time{}, err
	}
	h, err := batch.Parse(raw)
	if err != nil || h.FirstTimestamp < 0 {
		return time.Time{}, err
	}
	return time.UnixMilli(h.FirstTimestamp), nil
}
