package cleaner

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"ravenswood.dev/internal/broker/commitlog"
	"ravenswood.dev/internal/broker/config"
)

func TestExpired(t *testing.T) {
	now := time.UnixMilli(100_000)
	// Four full segments of 10 bytes with ten offsets each, and the active one. Times are ages in milliseconds; -1: none.
	segments := func(ages ...int64) []commitlog.Segment {
		var all []commitlog.Segment
		for i, age := range ages {
			s := commitlog.Segment{Base: int64(10 * i), Next: int64(10*i + 10), Bytes: 10, MaxTime: now.UnixMilli() - age}
			if age < 0 {
				s.MaxTime = -1
			}
			s.Active = i == len(ages)-1
			all = append(all, s)
		}
		return all
	}
	topic := func(policy, ms, bytes string) config.Topic {
		return config.Sources{}.Topic(map[string]string{"cleanup.policy": policy, "retention.ms": ms, "retention.bytes": bytes})
	}
	cases := []struct {
		name          string
		ages          []int64
		topic         config.Topic
		start, stable int64
		want          int64
	}{
		{"nothing is old", []int64{40, 30, 20, 10}, topic("delete", "1000", "-1"), 0, 40, 0},
		{"two are old", []int64{4000, 3000, 200, 10}, topic("delete", "1000", "-1"), 0, 40, 20},
		{"exactly as old as may be", []int64{1000, 900, 800}, topic("delete", "1000", "-1"), 0, 30, 0},
		{"an old one behind a young one stays", []int64{4000, 30, 3000, 10}, topic("delete", "1000", "-1"), 0, 40, 10},
		{"the active one stays", []int64{4000, 3000}, topic("delete", "1000", "-1"), 0, 20, 10},
		{"for ever", []int64{4000, 3000}, topic("delete", "-1", "-1"), 0, 20, 0},
		{"at once", []int64{1, 0}, topic("delete", "0", "-1"), 0, 20, 10},
		{"only compacted", []int64{4000, 3000}, topic("compact", "1000", "0"), 0, 20, 0},
		{"compacted and deleted", []int64{4000, 3000}, topic("compact,delete", "1000", "-1"), 0, 20, 10},
		{"without timestamps before an old one", []int64{-1, 3000, 10}, topic("delete", "1000", "-1"), 0, 30, 20},
		{"without timestamps before a young one", []int64{-1, 30, 10}, topic("delete", "1000", "-1"), 0, 30, 0},
		{"timestamps in the future", []int64{-5000, 30, 10}, topic("delete", "1000", "-1"), 0, 30, 0},
		{"too large", []int64{40, 30, 20, 10}, topic("delete", "-1", "25"), 0, 40, 10},
		{"exactly as large as may be", []int64{40, 30, 20, 10}, topic("delete", "-1", "40"), 0, 40, 0},
		{"nothing may stay, the active one does", []int64{40, 30, 20}, topic("delete", "-1", "0"), 0, 30, 20},
		{"an open transaction keeps its segment", []int64{4000, 3000, 2000, 10}, topic("delete", "1000", "0"), 0, 15, 10},
		{"an open transaction in the first", []int64{4000, 3000, 2000, 10}, topic("delete", "1000", "0"), 0, 5, 0},
		{"never back", []int64{4000, 3000, 10}, topic("delete", "1000", "-1"), 25, 30, 25},
		{"an empty log", nil, topic("delete", "0", "0"), 0, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := Expired(segments(c.ages...), c.topic, c.start, c.stable, now); got != c.want {
				t.Errorf("the log begins at %d, want %d", got, c.want)
			}
		})
	}
}

func TestShouldRoll(t *testing.T) {
	now := time.UnixMilli(100_000)
	at := func(age int64) time.Time { return now.Add(-time.Duration(age) * time.Millisecond) }
	cases := []struct {
		name   string
		bytes  int64
		newest int64 // age
		begun  int64 // age
		set    map[string]string
		want   bool
	}{
		{"young", 10, 5, 10, map[string]string{"segment.ms": "100"}, false},
		{"old", 10, 5, 101, map[string]string{"segment.ms": "100"}, true},
		{"old and empty", 0, 5, 101, map[string]string{"segment.ms": "100"}, false},
		{"all of it past its retention", 10, 51, 60, map[string]string{"retention.ms": "50"}, true},
		{"a part of it past its retention", 10, 49, 60, map[string]string{"retention.ms": "50"}, false},
		{"past a retention that does not count", 10, 51, 60, map[string]string{"retention.ms": "50", "cleanup.policy": "compact"}, false},
		{"compaction waits too long", 10, 5, 60, map[string]string{"max.compaction.lag.ms": "50", "cleanup.policy": "compact"}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			active := commitlog.Segment{Bytes: c.bytes, MaxTime: at(c.newest).UnixMilli(), Active: true}
			if got := ShouldRoll(active, config.Sources{}.Topic(c.set), at(c.begun), now); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestRetainEndsAndRemovesWhatIsPast(t *testing.T) {
	h := newHistory(t, map[string]string{"retention.ms": "1000"})
	for range 3 {
		h.write(-1, false, pair{"a", "1"})
		h.check(h.log.Roll())
	}
	h.write(-1, false, pair{"a", "1"})
	c := h.cleaner()
	if done, err := c.Retain(h.partition()); err != nil || done != (Retained{}) {
		t.Errorf("too early: %+v, %v", done, err)
	}
	h.now = h.now.Add(1001 * time.Millisecond)
	done, err := c.Retain(h.partition())
	if err != nil || !done.Rolled || done.Segments != 4 || h.log.Start() != 4 || h.log.End() != 4 {
		t.Errorf("got %+v, %v; the log has %d to %d", done, err, h.log.Start(), h.log.End())
	}
	if n := c.Numbers(); n.SegmentsRemoved != 4 || n.BytesRemoved != done.Bytes || n.BytesRemoved == 0 {
		t.Errorf("numbers %+v", n)
	}
}

func TestRetainKeepsOpenTransactions(t *testing.T) {
	h := newHistory(t, map[string]string{"retention.ms": "1000"})
	h.write(1, true, pair{"a", "1"})
	h.check(h.log.Roll())
	h.write(-1, false, pair{"a", "1"})
	h.now = h.now.Add(time.Hour)
	if _, err := h.cleaner().Retain(h.partition()); err != nil || h.log.Start() != 0 {
		t.Errorf("the log begins at %d (%v), in the middle of a transaction", h.log.Start(), err)
	}
	h.end(1, true)
	if _, err := h.cleaner().Retain(h.partition()); err != nil || h.log.Start() == 0 {
		t.Errorf("the log begins at %d (%v) after the transaction has ended", h.log.Start(), err)
	}
}

func TestPartitionsThatAreGoneAreNoFailure(t *testing.T) {
	h := newHistory(t, map[string]string{"retention.ms": "0", "cleanup.policy": "compact,delete", "min.cleanable.dirty.ratio": "0"})
	h.write(-1, false, pair{"a", "1"}, pair{"a", "2"})
	h.check(h.log.Roll())
	h.now = h.now.Add(time.Hour)
	p := h.partition()
	p.Change = func(func() error) error { return ErrGone }
	p.SetStart = func(int64) error { return ErrGone }
	if _, err := h.cleaner().Retain(p); err != nil {
		t.Errorf("retain: %v", err)
	}
	if _, err := h.cleaner().Compact(t.Context(), p); err != nil {
		t.Errorf("compact: %v", err)
	}
}

func TestRunDoesBothUntilItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t, map[string]string{"cleanup.policy": "compact,delete", "min.cleanable.dirty.ratio": "0", "retention.ms": "3600000", "segment.ms": "60000"})
		h.now = time.Now()
		h.write(-1, false, pair{"a", "1"}, pair{"a", "2"})
		c := New(Options{
			Partitions: func() []Partition { return []Partition{h.partition()} },
			Settings: func() Settings {
				return Settings{RetentionEvery: time.Minute, CompactEvery: time.Minute + time.Second, Compact: true, MapBytes: 1 << 20, BytesPerSecond: 100}
			},
			Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		var stopped bool
		go func() {
			c.Run(ctx)
			stopped = true
		}()
		time.Sleep(10 * time.Minute) // sleep: the clock of the bubble
		synctest.Wait()
		if n := c.Numbers(); n.Passes != 1 || n.RecordsRemoved != 1 || n.Failures != 0 {
			t.Errorf("after ten minutes: %+v", n)
		}
		time.Sleep(2 * time.Hour) // sleep: the clock of the bubble
		synctest.Wait()
		if n := c.Numbers(); n.SegmentsRemoved != 1 {
			t.Errorf("after two hours: %+v", n)
		}
		cancel()
		synctest.Wait()
		if !stopped {
			t.Error("Run goes on")
		}
	})
}

func TestPaceTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, p := time.Now(), pace{perSecond: 1000}
		for range 100 {
			if err := p.wait(t.Context(), 50); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 4990*time.Millisecond || took > 5100*time.Millisecond {
			t.Errorf("5000 bytes at 1000 per second took %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if p.wait(ctx, 1<<20) == nil {
			t.Error("a cancelled wait waits")
		}
	})
}
