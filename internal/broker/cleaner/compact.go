package cleaner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/commitlog"
)

// readBytes is what is read of a segment at a time.
const readBytes = 1 << 20

// Compacted says what one pass over a partition did.
type Compacted struct {
	Why      Reason // NotDue: there was nothing to do
	Below    int64  // every key has one record below this offset now
	Whole    bool   // false: the keys did not fit into the memory, and another pass is due
	Before   int64  // bytes of the segments that were rewritten
	After    int64  // bytes of what took their place
	Removed  int64  // records
	Segments int    // how many fewer there are
}

// errMoved says that the segments changed while they were compacted. Nothing was done; the next pass begins anew.
var errMoved = errors.New("its segments changed meanwhile")

// Compact makes one pass over a partition if it is due. What it does becomes true segment by segment, each at once; it can be
// stopped at any time, and what was done until then stays.
func (c *Cleaner) Compact(ctx context.Context, p Partition) (Compacted, error) {
	done, err := c.compact(ctx, p)
	if _, moved := errors.AsType[*commitlog.RangeError](err); moved || errors.Is(err, errMoved) || errors.Is(err, ErrGone) {
		return done, nil
	}
	if err != nil {
		return done, fmt.Errorf("compact %s/%d: %w", p.Topic, p.Index, err)
	}
	return done, nil
}

func (c *Cleaner) compact(ctx context.Context, p Partition) (Compacted, error) {
	was, err := loadCheckpoint(p.Files, p.Dir)
	if err != nil {
		return Compacted{}, err
	}
	t, now := p.Settings, c.o.Now()
	segments := cleanable(p.Log.Segments(), t, p.Log.Start(), p.Stable(), now)
	first, err := firstDirty(p, segments, was)
	if err != nil {
		return Compacted{}, err
	}
	why := due(segments, was, t, first, now)
	if why == NotDue {
		return Compacted{}, nil
	}
	pass := pass{p: p, pace: c.pace()}
	table, covered, err := pass.keys(ctx, segments, was.Clean, c.o.Settings().MapBytes)
	if err != nil {
		return Compacted{}, err
	}
	end := segments[len(segments)-1].Next
	pass.filter = &filter{
		latest: table.latest, lastBatch: p.LastBatch, covered: covered, horizon: was.horizon(t.DeleteRetention, now),
		open: map[int64]transaction{}, waiting: -1,
	}
	touched := slices.DeleteFunc(slices.Clone(segments), func(s commitlog.Segment) bool { return s.Base >= covered })
	for _, g := range groups(touched, t.SegmentBytes) {
		if err := pass.rewrite(ctx, g); err != nil {
			return pass.done, err
		}
	}
	pass.done.Why, pass.done.Below, pass.done.Whole, pass.done.Removed = why, covered, covered >= end, pass.filter.removed
	return pass.done, was.after(covered, pass.filter.waiting, t.DeleteRetention, c.o.Now()).save(p.Files, p.Dir)
}

// firstDirty is the time of the first batch that was not compacted yet.
func firstDirty(p Partition, segments []commitlog.Segment, was checkpoint) (time.Time, error) {
	for _, s := range segments {
		if s.Next > was.Clean {
			return firstTime(p.Log, max(s.Base, was.Clean, p.Log.Start()), s.Next)
		}
	}
	return time.Time{}, nil
}

// A pass is one way through a partition.
type pass struct {
	p      Partition
	pace   *pace
	filter *filter
	buffer []byte
	done   Compacted
}

// keys learns the last offset of each key from offset from on. covered is the offset up to which it came: the end of the
// segments, or less if the memory is full.
func (s *pass) keys(ctx context.Context, segments []commitlog.Segment, from, budget int64) (table *keys, covered int64, err error) {
	end := segments[len(segments)-1].Next
	table = newKeys(budget, max(0, end-max(from, segments[0].Base)))
	covered = max(from, segments[0].Base)
	full := false
	for _, g := range segments {
		if g.Next <= from || full {
			continue
		}
		aborted, err := s.p.Log.Aborted(g.Base, g.Next)
		if err != nil {
			return nil, 0, err
		}
		given := indexAborted(aborted)
		err = s.each(ctx, g, max(g.Base, from), func(h batch.Header, raw []byte) (bool, error) {
			if h.Next() <= from {
				return true, nil
			}
			upTo, err := learn(table, h, raw, given.has(h))
			covered = max(covered, upTo)
			full = upTo < h.Next()
			return !full, err
		})
		if err != nil {
			return nil, 0, err
		}
	}
	if !full {
		covered = max(covered, end)
	}
	return table, covered, nil
}

// learn puts the keys of a batch into the table. upTo is the offset after it, or its own if not all of its keys have room:
// what a pass covers are whole batches.
func learn(table *keys, h batch.Header, raw []byte, aborted bool) (upTo int64, err error) {
	if h.Control() || aborted {
		return h.Next(), nil
	}
	if table.used+int(h.Records) > table.most && table.used > 0 {
		return h.BaseOffset, nil
	}
	for r, err := range batch.Records(raw, batch.InflatedBytesMax) {
		if err != nil {
			return 0, err
		}
		if r.Key != nil && !table.put(r.Key, r.Offset) {
			return 0, fmt.Errorf("one batch has %d keys and there is memory for %d (log.cleaner.dedupe.buffer.size)", h.Records, table.most)
		}
	}
	return h.Next(), nil
}

// each calls f with the batches of a segment from an offset on, until it says false.
func (s *pass) each(ctx context.Context, g commitlog.Segment, from int64, f func(h batch.Header, raw []byte) (bool, error)) error {
	from = max(from, s.p.Log.Start())
	for more := true; more && from < g.Next; {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		raw, err := s.p.Log.Read(s.buffer[:0], from, readBytes, g.Next)
		if err != nil || len(raw) == 0 {
			return err
		}
		s.buffer = raw
		var bad error
		err = batch.Walk(raw, func(h batch.Header, raw []byte) bool {
			from = h.Next()
			more, bad = f(h, raw)
			return more && bad == nil
		})
		if err := errors.Join(err, bad); err != nil {
			return err
		}
		if err := s.pace.wait(ctx, len(raw)); err != nil {
			return err
		}
	}
	return nil
}

// rewrite writes what is left of neighbouring segments as one and puts it in their place.
func (s *pass) rewrite(ctx context.Context, group []commitlog.Segment) error {
	if len(group) == 1 {
		if same, err := s.same(ctx, group[0]); err != nil || same {
			return err
		}
	}
	b, err := s.p.Log.NewSegment(group[0].Base)
	if err != nil {
		return err
	}
	after, err := s.fill(ctx, b, group)
	if err == nil {
		err = b.Finish()
	}
	if err != nil {
		return errors.Join(err, b.Discard())
	}
	if err := s.replace(group, b); err != nil {
		return err
	}
	s.done.Segments += len(group) - 1
	s.done.After += after
	for _, g := range group {
		s.done.Before += g.Bytes
	}
	return nil
}

// same says whether everything in a segment stays. If so, the filter has moved past it; if not, it is as before.
func (s *pass) same(ctx context.Context, g commitlog.Segment) (bool, error) {
	before := s.filter
	s.filter = before.clone()
	same := s.p.Log.Start() <= g.Base
	err := s.filtered(ctx, g, g.Next, func(_ batch.Header, raw, left []byte) (bool, error) {
		same = same && len(left) == len(raw)
		return same, nil
	})
	if err != nil || !same {
		s.filter = before
	}
	return same, err
}

// filtered calls f with every batch of a segment and what is left of it. end is where the group ends.
func (s *pass) filtered(ctx context.Context, g commitlog.Segment, end int64, f func(h batch.Header, raw, left []byte) (bool, error)) error {
	aborted, err := s.p.Log.Aborted(g.Base, g.Next)
	if err != nil {
		return err
	}
	s.filter.aborted = indexAborted(aborted)
	return s.each(ctx, g, g.Base, func(h batch.Header, raw []byte) (bool, error) {
		left, err := s.filter.decide(h, raw, h.Next() == end)
		if err != nil {
			return false, fmt.Errorf("read batch at offset %d: %w", h.BaseOffset, err)
		}
		return f(h, raw, left)
	})
}

func (s *pass) fill(ctx context.Context, b *commitlog.Builder, group []commitlog.Segment) (bytes int64, err error) {
	end := group[len(group)-1].Next
	for _, g := range group {
		err := s.filtered(ctx, g, end, func(h batch.Header, raw, left []byte) (bool, error) {
			if left == nil {
				return true, nil
			}
			if len(left) != len(raw) {
				if h, err = batch.Parse(left); err != nil {
					return false, err
				}
			}
			bytes += int64(len(left))
			return true, errors.Join(b.Append(h, left), s.pace.wait(ctx, len(left)))
		})
		if err != nil {
			return 0, err
		}
	}
	return bytes, nil
}

// replace swaps the segments, if they are still what they were. What failed in Replace is the log's to clear away: the swap may
// have been decided, and the new segment be all that there is.
func (s *pass) replace(group []commitlog.Segment, b *commitlog.Builder) error {
	var remove []int64
	for _, g := range group {
		remove = append(remove, g.Base)
	}
	tried := false
	err := s.p.Change(func() error {
		now := s.p.Log.Segments()
		for _, g := range group {
			if !slices.Contains(now, g) {
				return errMoved
			}
		}
		tried = true
		return s.p.Log.Replace(remove, []*commitlog.Builder{b})
	})
	if err != nil && !tried {
		return errors.Join(err, b.Discard())
	}
	return err
}
