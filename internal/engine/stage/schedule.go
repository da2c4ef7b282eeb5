package stage

import (
	"fmt"
	"slices"
	"time"

	"ravenswood.dev/internal/engine/processor"
)

// schedule is a function a processor wants called from time to time.
type schedule struct {
	node  *node
	clock processor.Clock
	every time.Duration
	f     func(now time.Time) error
	next  time.Time // zero: not known before the clock is
}

func (t *Task) schedule(n *node, clock processor.Clock, every time.Duration, f func(time.Time) error) (stop func()) {
	if every <= 0 {
		panic(fmt.Sprintf("schedule of bolt %q: the interval %s is not positive", n.bolt.Name, every))
	}
	s := &schedule{node: n, clock: clock, every: every, f: f}
	if clock == processor.WallClock {
		s.next = t.cfg.Now().Add(every)
	} else if !t.streamTime.IsZero() {
		s.next = after(t.streamTime, every)
	}
	t.schedules = append(t.schedules, s)
	return func() {
		t.schedules = slices.DeleteFunc(slices.Clone(t.schedules), func(o *schedule) bool { return o == s })
	}
}

// after is the first multiple of an interval that is later than a time, so that a restart does not move it.
func after(now time.Time, every time.Duration) time.Time {
	return time.UnixMilli(0).Add(now.Sub(time.UnixMilli(0)).Truncate(every) + every)
}

// runSchedules calls what is due, each by itself: one that fails is undone, logged, and called again at its next time. The
// record that moved stream time is not to blame and stays.
func (t *Task) runSchedules(clock processor.Clock, now time.Time) {
	for _, s := range t.schedules {
		if s.clock != clock || !s.due(now) {
			continue
		}
		kept := len(t.outputs)
		t.cfg.State.Mark()
		err := guard(func() error { return s.f(now) })
		if t.tooLarge(); err == nil && t.failed != nil {
			err = t.failed
		}
		if err != nil {
			t.cfg.State.Rollback()
			t.outputs, t.failed = t.outputs[:kept], nil
			s.node.counts.ScheduleErrors.Add(1)
			t.cfg.Log.Error("a scheduled function failed; its effects are undone", "bolt", s.node.bolt.Name, "err", err)
		}
	}
}

func (s *schedule) due(now time.Time) bool {
	if now.IsZero() {
		return false
	}
	if s.next.IsZero() {
		s.next = after(now, s.every)
		return false
	}
	if now.Before(s.next) {
		return false
	}
	if s.clock == processor.StreamTime {
		s.next = after(now, s.every)
	} else {
		s.next = now.Add(s.every)
	}
	return true
}
