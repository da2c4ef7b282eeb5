package cleaner

import (
	"time"

	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/config"
)

// Expired returns the offset below which whole segments may go: past retention.ms or beyond retention.bytes, under the policy
// delete. It is start if none may. Only full segments go, and none that reaches beyond stable, the lower of high watermark and
// last stable offset: an open transaction keeps what it wrote.
func Expired(segments []commitlog.Segment, t config.Topic, start, stable int64, now time.Time) int64 {
	if !t.Delete {
		return start
	}
	n := max(byAge(segments, t.Retention, now), bySize(segments, t.RetentionBytes))
	for ; n > 0; n-- {
		if last := segments[n-1]; !last.Active && last.Next <= stable {
			return max(start, following(segments, n))
		}
	}
	return start
}

// following is where the log begins without its first n segments. Compaction leaves gaps between segments.
func following(segments []commitlog.Segment, n int) int64 {
	if n < len(segments) {
		return segments[n].Base
	}
	return segments[n-1].Next
}

// byAge counts the segments at the beginning of which every record is too old. A segment without timestamps is as old as the
// next one that has some.
func byAge(segments []commitlog.Segment, keep time.Duration, now time.Time) int {
	n := 0
	for i, s := range segments {
		if s.Active || s.MaxTime >= 0 && !past(s.MaxTime, keep, now) {
			break
		}
		if s.MaxTime >= 0 {
			n = i + 1
		}
	}
	return n
}

// bySize counts the segments at the beginning without which the others are still as large as may be kept.
func bySize(segments []commitlog.Segment, keep int64) int {
	if keep < 0 {
		return 0
	}
	var all int64
	for _, s := range segments {
		all += s.Bytes
	}
	n := 0
	for n < len(segments) && !segments[n].Active && all-segments[n].Bytes >= keep {
		all -= segments[n].Bytes
		n++
	}
	return n
}

// ShouldRoll says whether the active segment has to end: its first record is older than segment.ms, or older than compaction
// may wait, or all of it is past its retention. begun is when it began: the first timestamp in it.
func ShouldRoll(active commitlog.Segment, t config.Topic, begun, now time.Time) bool {
	if active.Bytes == 0 {
		return false
	}
	longest := t.SegmentAge
	if t.Compact {
		longest = min(longest, t.CompactionLagMax)
	}
	return past(begun.UnixMilli(), longest, now) || t.Delete && active.MaxTime >= 0 && past(active.MaxTime, t.Retention, now)
}

// past says whether more than keep has gone by since a time in Unix milliseconds. Below zero, keep is for ever.
func past(millis int64, keep time.Duration, now time.Time) bool {
	return keep >= 0 && now.UnixMilli()-millis > keep.Milliseconds()
}
