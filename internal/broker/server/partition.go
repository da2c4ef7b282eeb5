package server

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/txn"
)

// A partition is one log with what is known of its producers, and the readers that wait for more.
type partition struct {
	topic *topic
	index int32

	mu        sync.Mutex     // one writer; guards the log against a second one, and producers
	log       *commitlog.Log // nil: it could not be opened, and the partition is fenced for as long as the server runs
	begins    int64          // where a log that could not be opened begins, as far as the journal says
	producers *txn.Producers // GUARDED_BY(mu)
	deleted   bool           // GUARDED_BY(mu)
	begun     segmentStart   // GUARDED_BY(mu)

	durable atomic.Int64          // high watermark: readers see what lies below
	stable  atomic.Int64          // last stable offset: readers of committed records see what lies below
	fence   atomic.Pointer[error] // why the partition serves nobody

	waiting waiting
}

// fenced returns what clients are told when the partition's files cannot be trusted.
func (p *partition) fenced() error {
	if p.fence.Load() != nil {
		return kerr.KafkaStorageError
	}
	return nil
}

// fail fences the partition when err says that its files cannot be trusted any more, and returns what clients are told.
// A full disk is not such a case: nothing was written, and the next attempt may succeed.
func (p *partition) fail(err error) error {
	if errors.Is(err, commitlog.ErrClosed) {
		return kerr.UnknownTopicOrPartition // deleted meanwhile, or everything is being closed
	}
	if damaged(err) || errors.Is(err, commitlog.ErrBroken) {
		if p.fence.CompareAndSwap(nil, &err) {
			p.topic.s.damaged(p, err)
		}
	} else {
		p.topic.s.refusedWrite(p, err)
	}
	return kerr.KafkaStorageError
}

// sync makes what was appended durable and shows it to readers. It implements durable.
func (p *partition) sync() error {
	if p.allDurable() {
		return nil
	}
	end, err := p.syncLog()
	if err != nil {
		return p.fail(err)
	}
	p.advance(end)
	return nil
}

// allDurable says that the round before covered everything: what was written while it began is enlisted for the next one
// as well, which would sync a file that has nothing new.
func (p *partition) allDurable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle()
	return p.durable.Load() >= p.log.End()
}

func (p *partition) syncLog() (int64, error) {
	if p.topic.s.sync.off {
		return p.log.End(), nil
	}
	return p.log.Sync()
}

// advance moves the high watermark and with it the last stable offset, and wakes readers.
func (p *partition) advance(end int64) {
	for was := p.durable.Load(); end > was; was = p.durable.Load() {
		if p.durable.CompareAndSwap(was, end) {
			break
		}
	}
	p.mu.Lock()
	p.settle()
	p.mu.Unlock()
	p.waiting.wake()
}

// settle works out the last stable offset: the first record of the oldest open transaction, or the high watermark.
func (p *partition) settle() {
	stable := p.durable.Load()
	if first, open := p.producers.FirstOpen(); open && first < stable {
		stable = first
	}
	p.stable.Store(stable)
}

// appended is where a batch came to lie.
type appended struct {
	base      int64
	millis    int64 // log append time, or -1
	duplicate bool
}

// append writes one batch of a producer, after asking whether its sequence is the next. h is the header of raw.
func (p *partition) append(h batch.Header, raw []byte, appendTime bool, now time.Time) (appended, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.writable(); err != nil {
		return appended{}, err
	}
	verdict, err := p.producers.Check(h, now)
	if err != nil {
		return appended{}, err
	}
	if verdict.Duplicate {
		return appended{base: verdict.First, millis: verdict.AppendTime, duplicate: true}, nil
	}
	return p.write(raw, appendTime, now)
}

func (p *partition) writable() error {
	if p.deleted {
		return kerr.UnknownTopicOrPartition
	}
	return p.fenced()
}

// write puts a batch at the end. The caller holds mu.
func (p *partition) write(raw []byte, appendTime bool, now time.Time) (appended, error) {
	at := appended{base: p.log.End(), millis: -1}
	batch.SetBase(raw, at.base, p.topic.s.epoch)
	if appendTime {
		at.millis = now.UnixMilli()
		batch.SetAppendTime(raw, at.millis)
	}
	h, err := batch.Parse(raw)
	if err != nil {
		return appended{}, kerr.CorruptMessage
	}
	if err := p.rollIfDue(h); err != nil {
		return appended{}, p.fail(fmt.Errorf("append to %s: %w", p, err))
	}
	if err := p.log.Append(h, raw); err != nil {
		return appended{}, p.fail(fmt.Errorf("append to %s: %w", p, err))
	}
	return at, nil
}

// segmentStart is what is known of the active segment.
type segmentStart struct {
	base   int64
	millis int64 // of its first batch
	known  bool
}

// rollIfDue ends the active segment when it is full, as the topic says now, or when what is to come is younger than its
// first batch by segment.ms or more, so that old records do not share a file, and with it a fate, with new ones.
func (p *partition) rollIfDue(h batch.Header) error {
	rules := p.topic.effective.Load()
	if bytes := p.log.ActiveBytes(); bytes > 0 && bytes+int64(h.Bytes) > rules.SegmentBytes {
		return p.log.Roll()
	}
	age := rules.SegmentAge
	if base := p.log.ActiveBase(); !p.begun.known || p.begun.base != base {
		millis, ok, err := p.log.ActiveSince()
		if err != nil || !ok {
			return err
		}
		p.begun = segmentStart{base: base, millis: millis, known: true}
	}
	if h.MaxTimestamp < 0 || p.begun.millis < 0 || h.MaxTimestamp-p.begun.millis < age.Milliseconds() {
		return nil
	}
	return p.log.Roll()
}

// mark ends a transaction in this partition. A partition that does not have it open, or that is gone, needs no marker. The
// coordinator remembers it for one that is fenced: after its repair the transaction must end as it was decided.
func (p *partition) mark(m batch.Marker, first int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	open, ok := p.producers.OpenOf(m.ProducerID)
	if p.deleted || !ok || open.First != first {
		return nil
	}
	if p.fenced() != nil {
		return nil // it stays owed, and nobody else waits for it
	}
	_, err := p.write(batch.EncodeMarker(m), false, m.Time)
	return err
}

// openOf is the first offset of a producer's open transaction here.
func (p *partition) openOf(producer int64) (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	open, ok := p.producers.OpenOf(producer)
	return open.First, ok
}

// limit is the offset that a reader sees up to.
func (p *partition) limit(committed bool) int64 {
	if committed {
		return p.stable.Load()
	}
	return p.durable.Load()
}

// close gives the files back, with sidecars, so that the next start reads nothing.
func (p *partition) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.log == nil {
		return nil
	}
	return p.log.Close()
}

func (p *partition) String() string { return fmt.Sprintf("%s/%d", p.topic.name, p.index) }
