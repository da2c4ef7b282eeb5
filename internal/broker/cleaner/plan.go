package cleaner

import (
	"math"
	"slices"
	"time"

	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/config"
)

// A Reason says why a partition is compacted now.
type Reason string

// The reasons.
const (
	NotDue  Reason = ""
	Dirty   Reason = "enough of it is new"              // min.cleanable.dirty.ratio
	Late    Reason = "a record has waited long enough"  // max.compaction.lag.ms
	Waiting Reason = "a tombstone has been kept enough" // delete.retention.ms
)

// cleanable returns the segments at the beginning that compaction may touch: full ones that lie below stable, none with
// a record that is younger than min.compaction.lag.ms, and none of which nothing can be read since the log begins behind it.
func cleanable(segments []commitlog.Segment, t config.Topic, start, stable int64, now time.Time) []commitlog.Segment {
	for len(segments) > 0 && segments[0].Next <= start {
		segments = segments[1:]
	}
	for i, s := range segments {
		young := t.CompactionLagMin > 0 && s.MaxTime >= 0 && !past(s.MaxTime, t.CompactionLagMin, now)
		if s.Active || s.Next > stable || young {
			return segments[:i]
		}
	}
	return segments
}

// due says whether the cleanable segments should be compacted. firstDirty is the first timestamp that was not compacted yet.
func due(segments []commitlog.Segment, c checkpoint, t config.Topic, firstDirty, now time.Time) Reason {
	if len(segments) == 0 {
		return NotDue
	}
	var all, dirty int64
	for _, s := range segments {
		all += s.Bytes
		if s.Next > c.Clean {
			dirty += s.Bytes
		}
	}
	switch {
	case dirty > 0 && float64(dirty) >= t.DirtyRatio*float64(all):
		return Dirty
	case dirty > 0 && t.CompactionLagMax < math.MaxInt64 && !firstDirty.IsZero() && past(firstDirty.UnixMilli(), t.CompactionLagMax, now):
		return Late
	case c.Waiting >= 0 && c.horizon(t.DeleteRetention, now) > c.Waiting:
		return Waiting
	}
	return NotDue
}

// groups puts neighbours together that fit into one segment.
func groups(segments []commitlog.Segment, limit int64) [][]commitlog.Segment {
	var all [][]commitlog.Segment
	var size int64
	for i, s := range segments {
		if i == 0 || size+s.Bytes > limit {
			all, size = append(all, nil), 0
		}
		all[len(all)-1] = append(all[len(all)-1], s)
		size += s.Bytes
	}
	return all
}

// A checkpoint is how far a partition was compacted.
type checkpoint struct {
	Clean int64 // below it every key has one record, once a pass is through
	// Met says when passes ended that had met everything below an offset. From then on nobody can read, from the beginning,
	// an older record of a key than its tombstone there, and delete.retention.ms runs for those who were on their way.
	Met     []met
	Waiting int64 // the first tombstone or marker that waits for its time; -1: none
}

type met struct {
	Below int64
	At    time.Time
}

// horizon is the offset below which tombstones and markers have been kept for long enough.
func (c checkpoint) horizon(keep time.Duration, now time.Time) int64 {
	var below int64
	for _, m := range c.Met {
		if !now.Before(m.At) && now.Sub(m.At) >= keep {
			below = max(below, m.Below)
		}
	}
	return below
}

// after is the checkpoint when a pass has ended that covered everything below an offset. Times are rounded up to a sixteenth of
// the retention, so that few are kept however often a partition is compacted.
func (c checkpoint) after(below, waiting int64, keep time.Duration, now time.Time) checkpoint {
	const parts, most = 16, 64
	at := now
	if step := keep / parts; step > 0 && step < 365*24*time.Hour {
		at = now.Add(step - 1).Truncate(step)
	}
	next := checkpoint{Clean: max(c.Clean, below), Waiting: waiting}
	old := c.horizon(keep, now)
	for _, m := range c.Met {
		if m.Below > old || m.Below == old && !slices.ContainsFunc(next.Met, func(x met) bool { return x.Below == old }) {
			next.Met = append(next.Met, m)
		}
	}
	if n := len(next.Met); n > 0 && (next.Met[n-1].At.Equal(at) || n >= most) && next.Met[n-1].Below > old {
		next.Met = next.Met[:n-1]
	}
	next.Met = append(next.Met, met{Below: next.Clean, At: at})
	return next
}
