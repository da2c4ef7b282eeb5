package cleaner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/broker/disk"
)

func (h *history) context() context.Context { return context.Background() }

var compacted = map[string]string{"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "delete.retention.ms": "3600000"}

func TestCompactionKeepsTheNewestRecordOfEachKey(t *testing.T) {
	h := newHistory(t, compacted)
	for i := range 10 {
		h.write(-1, false, pair{"a", fmt.Sprint("a", i)}, pair{"b", fmt.Sprint("b", i)}, pair{"", "no key"})
	}
	h.check(h.log.Roll())
	done := h.compact()
	if done.Why != Dirty || !done.Whole || done.Removed != 18 || done.Below != 30 {
		t.Errorf("got %+v", done)
	}
	h.check(h.verify(h.log, h.stable()))
	r, err := readAll(h.log, h.stable())
	h.check(err)
	if len(r.seen) != 12 {
		t.Errorf("left are %v, want the last a and b and 10 without a key", r.seen)
	}
	if h.log.Start() != 0 || h.log.End() != 30 {
		t.Errorf("the log has %d to %d", h.log.Start(), h.log.End())
	}
	if again := h.compact(); again.Why != NotDue {
		t.Errorf("and again: %+v", again)
	}
}

func TestCompactionLeavesOpenTransactionsAlone(t *testing.T) {
	h := newHistory(t, compacted)
	h.write(-1, false, pair{"a", "committed"})
	h.check(h.log.Roll())
	h.write(7, true, pair{"a", "undecided"})
	h.check(h.log.Roll())
	h.compact()
	h.end(7, false)
	h.check(h.log.Roll())
	h.check(h.verify(h.log, h.stable()))
	h.compact()
	h.check(h.verify(h.log, h.stable()))
}

func TestMarkersAndTombstonesStayForDeleteRetention(t *testing.T) {
	h := newHistory(t, compacted)
	h.write(-1, false, pair{"a", "1"}, pair{"b", "1"})
	h.write(-1, false, pair{"a", ""})
	h.write(7, true, pair{"b", "lost"})
	h.end(7, false)
	h.write(7, false, pair{"c", "1"})
	h.check(h.log.Roll())
	held := func() string {
		r, err := readAll(h.log, h.stable())
		h.check(err)
		var all []string
		for _, l := range r.seen {
			all = append(all, l.key+"="+l.value)
		}
		aborted, err := h.log.Aborted(0, h.log.End())
		h.check(err)
		return fmt.Sprint(strings.Join(all, " "), " aborted ", len(aborted))
	}
	h.compact()
	if got := held(); got != "b=1 a= c=1 aborted 1" {
		t.Errorf("after the first pass: %s", got)
	}
	h.now = h.now.Add(59 * time.Minute)
	if done := h.compact(); done.Why != NotDue {
		t.Errorf("too early: %+v", done)
	}
	h.now = h.now.Add(10 * time.Minute)
	if done := h.compact(); done.Why != Waiting {
		t.Errorf("in time: %+v", done)
	}
	if got := held(); got != "b=1 c=1 aborted 0" {
		t.Errorf("after the second pass: %s", got)
	}
	if done := h.compact(); done.Why != NotDue {
		t.Errorf("nothing waits any more: %+v", done)
	}
	h.check(h.verify(h.log, h.stable()))
}

func TestSmallMemoryTakesSeveralPasses(t *testing.T) {
	h := newHistory(t, compacted)
	h.mapBytes = 1
	for i := range 50 {
		h.write(-1, false, pair{fmt.Sprint("k", i%25), fmt.Sprint(i)})
	}
	h.check(h.log.Roll())
	passes := 0
	for ; passes < 20; passes++ {
		if done := h.compact(); done.Why == NotDue {
			break
		}
		h.check(h.verify(h.log, h.stable()))
	}
	r, err := readAll(h.log, h.stable())
	h.check(err)
	if passes < 2 || passes == 20 || len(r.seen) != 25 {
		t.Errorf("%d passes, %d records left, want 25", passes, len(r.seen))
	}
}

func TestOneBatchThatDoesNotFitIntoTheMemoryIsSaid(t *testing.T) {
	h := newHistory(t, compacted)
	h.mapBytes = 1
	var pairs []pair
	for i := range 100 {
		pairs = append(pairs, pair{fmt.Sprint(i), "v"})
	}
	h.write(-1, false, pairs...)
	h.check(h.log.Roll())
	_, err := h.cleaner().Compact(t.Context(), h.partition())
	if err == nil || !strings.Contains(err.Error(), "log.cleaner.dedupe.buffer.size") {
		t.Errorf("got %v", err)
	}
}

func TestNeighboursBecomeOneSegment(t *testing.T) {
	h := newHistory(t, compacted)
	for i := range 20 {
		h.write(-1, false, pair{fmt.Sprint(i), "v"})
		h.check(h.log.Roll())
	}
	h.compact()
	if n := len(h.log.Segments()); n != 2 {
		t.Errorf("%d segments are left, want one and the active one", n)
	}
	h.check(h.verify(h.log, h.stable()))
}

func TestSequencesStayKnownWithoutSidecars(t *testing.T) {
	h := newHistory(t, compacted)
	for id := range int64(3) {
		h.write(id, false, pair{"same", fmt.Sprint(id)})
	}
	h.write(9, true, pair{"same", "lost"})
	h.end(9, false)
	h.write(-1, false, pair{"same", "last"})
	h.check(h.log.Roll())
	want := fmt.Sprint(h.producers.Describe())
	h.compact()
	h.now = h.now.Add(2 * time.Hour)
	h.compact()
	h.check(h.log.Close())
	h.removeSidecars()
	h.open()
	if got := fmt.Sprint(h.producers.Describe()); got != want {
		t.Errorf("known are\n%v, want\n%v", got, want)
	}
}

func (h *history) removeSidecars() {
	entries, err := h.files.List(dir)
	h.check(err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name, ".seal") {
			h.check(h.files.Remove(dir + "/" + e.Name))
		}
	}
}

func TestCompactionStops(t *testing.T) {
	h := newHistory(t, compacted)
	h.write(-1, false, pair{"a", "1"}, pair{"a", "2"})
	h.check(h.log.Roll())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.cleaner().Compact(ctx, h.partition()); err == nil {
		t.Error("a cancelled pass says that it is through")
	}
	h.check(h.verify(h.log, h.stable()))
}

func TestSegmentsThatChangeMeanwhileAreLeftAlone(t *testing.T) {
	h := newHistory(t, compacted)
	h.write(-1, false, pair{"a", "1"}, pair{"a", "2"})
	h.check(h.log.Roll())
	h.write(-1, false, pair{"a", "3"})
	p := h.partition()
	p.Change = func(f func() error) error {
		h.check(h.log.SetStart(2))
		return f()
	}
	if _, err := h.cleaner().Compact(t.Context(), p); err != nil {
		t.Errorf("got %v", err)
	}
	entries, err := h.files.List(dir)
	h.check(err)
	for _, e := range entries {
		if strings.Contains(e.Name, "clean") || e.Name == "swap" {
			t.Errorf("%s is left behind", e.Name)
		}
	}
}

// The readers see the same whatever was compacted when, and those in the middle of the log do too as long as they are not
// slower than delete.retention.ms.
func TestCompactionNeverChangesWhatReadersSee(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(t, compacted)
		h.t = rt
		slow := newReader()
		h.settings.DeleteRetention = rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(rt, "delete.retention")
		h.mapBytes = rapid.SampledFrom([]int64{1, 1 << 20}).Draw(rt, "memory")
		h.settings.SegmentBytes = rapid.SampledFrom([]int64{300, 1 << 20}).Draw(rt, "segment.bytes")
		started := h.now
		rt.Repeat(map[string]func(*rapid.T){
			"write":             func(rt *rapid.T) { h.write(-1, false, drawPairs(rt)...) },
			"write idempotent":  func(rt *rapid.T) { h.idempotent(rt, false) },
			"write transaction": func(rt *rapid.T) { h.idempotent(rt, true) },
			"end": func(rt *rapid.T) {
				h.end(rapid.Int64Range(0, 3).Draw(rt, "producer"), rapid.Bool().Draw(rt, "commit"))
			},
			"roll":    func(*rapid.T) { h.check(h.log.Roll()) },
			"compact": func(*rapid.T) { h.compact() },
			"wait": func(*rapid.T) {
				h.now = h.now.Add(20 * time.Minute)
			},
			"read": func(rt *rapid.T) {
				_, err := slow.fetch(h.log, h.stable())
				h.check(err)
			},
			"delete records": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "seldom") == 0 && h.stable() > h.log.Start() {
					h.deleteBelow(rapid.Int64Range(h.log.Start(), h.stable()).Draw(rt, "start"))
					slow, started = newReader(), h.now
				}
			},
			"restart": func(rt *rapid.T) {
				open := fmt.Sprint(h.producers.Open())
				h.check(h.log.Close())
				if rapid.Bool().Draw(rt, "without sidecars") && h.log.Start() == 0 {
					h.removeSidecars()
				}
				start := h.log.Start()
				h.open()
				h.check(h.log.SetStart(start))
				if got := fmt.Sprint(h.producers.Open()); len(got) != len(open) {
					rt.Fatalf("open transactions are %s, want %s", got, open)
				}
			},
			"": func(rt *rapid.T) {
				h.check(h.verify(h.log, h.stable()))
				if h.settings.DeleteRetention == 0 || h.now.Sub(started) >= h.settings.DeleteRetention {
					slow, started = newReader(), h.now
				}
			},
			"read to the end": func(*rapid.T) {
				for more := true; more; {
					var err error
					more, err = slow.fetch(h.log, h.stable())
					h.check(err)
				}
				if want := h.wanted(); fmt.Sprint(slow.view) != fmt.Sprint(want) {
					rt.Fatalf("the slow reader sees %v, want %v", slow.view, want)
				}
				slow, started = newReader(), h.now
			},
		})
	})
}

func (h *history) idempotent(rt *rapid.T, transactional bool) {
	id := rapid.Int64Range(0, 3).Draw(rt, "producer")
	if _, open := h.producers.OpenOf(id); open && !transactional {
		return
	}
	h.write(id, transactional, drawPairs(rt)...)
}

func drawPairs(rt *rapid.T) []pair {
	return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) pair {
		return pair{
			key:   rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(rt, "key"),
			value: rapid.SampledFrom([]string{"", "1", "2", "3"}).Draw(rt, "value"),
		}
	}), 1, 4).Draw(rt, "records")
}

// deleteBelow is DeleteRecords, of the twin too.
func (h *history) deleteBelow(start int64) {
	h.check(h.log.SetStart(start))
	for len(h.twin) > 0 && h.twin[0].offset < start {
		h.twin = h.twin[1:]
	}
}

// Every change that two passes of compaction make on the disk is cut once, by a kill and by a loss of power.
func TestCompactionSurvivesEveryCrash(t *testing.T) {
	h := newHistory(t, compacted)
	h.settings.SegmentBytes = 400
	for i := range 8 {
		h.write(-1, false, pair{"a", fmt.Sprint(i)}, pair{"b", ""}, pair{fmt.Sprint("once", i), "v"})
		h.write(1, true, pair{"a", "lost"}, pair{"t", fmt.Sprint(i)})
		h.end(1, i%2 == 0)
		if i%2 == 1 {
			h.check(h.log.Roll())
		}
	}
	h.write(2, true, pair{"a", "open"})
	_, err := h.log.Sync()
	h.check(err)
	end, upTo := h.log.End(), h.stable()

	rng := rand.New(rand.NewPCG(1, 2))
	var crashes []*disk.Memory
	h.files.Hook = func(disk.Op) {
		crashes = append(crashes, h.files.Kill(), h.files.PowerLoss(rng), h.files.PowerLoss(rng))
	}
	removed := h.compact().Removed
	h.now = h.now.Add(2 * time.Hour)
	removed += h.compact().Removed
	h.files.Hook = nil
	if len(crashes) < 90 || removed < 20 {
		t.Fatalf("only %d crashes and %d records removed: the test tests little", len(crashes), removed)
	}
	for i, files := range crashes {
		survivor := *h
		survivor.files = files
		survivor.open()
		if survivor.log.End() != end || survivor.stable() != upTo {
			t.Fatalf("crash %d: the log ends at %d (stable %d), want %d (%d)", i, survivor.log.End(), survivor.stable(), end, upTo)
		}
		if err := survivor.verify(survivor.log, upTo); err != nil {
			t.Fatalf("crash %d: %v", i, err)
		}
		survivor.compact()
		if err := survivor.verify(survivor.log, upTo); err != nil {
			t.Fatalf("crash %d, compacted again: %v", i, err)
		}
	}
}
