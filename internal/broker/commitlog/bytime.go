package commitlog

import (
	"errors"
	"math"

	"ravenswood.dev/internal/broker/batch"
)

// ByTime finds the first record from Start on with a timestamp of at least millis, Unix milliseconds, in batches that end
// at or below upTo.
func (l *Log) ByTime(millis, upTo int64) (offset, timestamp int64, epoch int32, found bool, err error) {
	t := timeSearch{millis: millis, upTo: upTo}
	err = l.searchTime(&t)
	return t.offset, t.timestamp, t.epoch, t.found, err
}

// A timeSearch looks for the first record that is not older than millis.
type timeSearch struct {
	millis, upTo, start int64

	offset, timestamp int64
	epoch             int32
	found             bool
	over              bool // upTo was reached
}

func (l *Log) searchTime(t *timeSearch) error {
	from := l.Start()
	for !t.found && !t.over {
		t.start = max(from, l.Start())
		v, err := l.viewTime(t.start, t.millis)
		var behind *RangeError
		switch {
		case errors.Is(err, errGone):
			continue
		case errors.As(err, &behind) && t.start < behind.Start:
			continue // removed meanwhile
		case err != nil || v.next == 0:
			return err
		}
		if v.h != nil {
			err = l.searchSegment(v, t)
			l.cache.release(v.h)
		}
		if err != nil || v.active {
			return err
		}
		from = v.next
	}
	return nil
}

// viewTime is view for a time. Without a handle there is nothing young enough in the segment; without a next offset there
// is none at all.
func (l *Log) viewTime(from, millis int64) (view, error) {
	l.mu.RLock()
	i := l.at(from)
	seg, next := l.segments[i], int64(0)
	sealed := i < len(l.segments)-1
	if sealed {
		next = l.segments[i+1].base
	}
	l.mu.RUnlock()
	if !sealed {
		return l.view(from, (*contents).seekTime, millis)
	}
	b, err := l.look(seg)
	if err != nil {
		return view{}, err
	}
	if b.maxTime < millis {
		return view{next: next}, nil
	}
	return l.view(from, (*contents).seekTime, millis)
}

// searchSegment looks through one segment.
func (l *Log) searchSegment(v view, t *timeSearch) error {
	s := scanner{f: v.h.file, at: v.begin.at, limit: v.limit, next: v.begin.offset, chunk: windowBytes}
	for !t.found {
		more, err := s.more()
		if err != nil {
			return l.found(v, s.next, err)
		}
		if !more {
			return nil
		}
		if t.over = s.h.Next() > t.upTo; t.over {
			return nil
		}
		if s.h.MaxTimestamp >= t.millis && s.h.Next() > t.start && s.h.Records > 0 {
			if err := t.searchBatch(&s); err != nil {
				return l.found(v, s.next, err)
			}
		}
		s.skip()
	}
	return nil
}

func (t *timeSearch) searchBatch(s *scanner) error {
	raw, err := s.raw()
	if err != nil {
		return err
	}
	for r, err := range batch.Records(raw, batch.InflatedBytesMax) {
		if err != nil {
			// Undamaged, so it is what a client sent; that it cannot be read is for its consumers to find. Its header
			// stands for it.
			t.settle(s.h.BaseOffset, s.h.MaxTimestamp, s.h.LeaderEpoch)
			return nil
		}
		if r.Timestamp >= t.millis && r.Offset >= t.start {
			t.settle(r.Offset, r.Timestamp, s.h.LeaderEpoch)
			return nil
		}
	}
	return nil
}

func (t *timeSearch) settle(offset, timestamp int64, epoch int32) {
	t.offset, t.timestamp, t.epoch, t.found = max(offset, t.start), timestamp, epoch, true
}

// MaxTime is the largest timestamp from Start on, Unix milliseconds, with the first offset that has it; both are -1 when
// no record has one.
func (l *Log) MaxTime() (timestamp, offset int64) {
	start := l.Start()
	timestamp, offset = noTime, -1
	for _, s := range l.overview() {
		if s.Base < start {
			s.MaxTime, s.maxAt = l.maxTimeFrom(start) // the youngest record of the segment may be deleted
		}
		if s.MaxTime > timestamp && s.MaxTime != unknownTime {
			timestamp, offset = s.MaxTime, s.maxAt
		}
	}
	if timestamp == noTime {
		return noTime, -1
	}
	if at, exact, _, found, err := l.ByTime(timestamp, math.MaxInt64); err == nil && found {
		return exact, at
	}
	return timestamp, offset // a client's header promised more than there is
}

// maxTimeFrom reads what is left of the segment that holds start.
func (l *Log) maxTimeFrom(start int64) (timestamp, offset int64) {
	timestamp, offset = noTime, -1
	v, err := l.view(start, (*contents).seek, start)
	if err != nil || v.h == nil {
		return timestamp, offset
	}
	defer l.cache.release(v.h)
	s := scanner{f: v.h.file, at: v.begin.at, limit: v.limit, next: v.begin.offset, chunk: windowBytes}
	for {
		more, err := s.more()
		if err != nil || !more {
			return timestamp, offset
		}
		if s.h.MaxTimestamp > timestamp && s.h.Next() > start {
			// Only the first batch can have records on both sides of start.
			t := timeSearch{millis: timestamp + 1, start: start}
			for t.searchBatch(&s) == nil && t.found {
				timestamp, offset = t.timestamp, t.offset
				t.millis, t.found = timestamp+1, false
			}
		}
		s.skip()
	}
}
