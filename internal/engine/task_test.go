package engine

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"ravenswood.dev/internal/component"
)

// TestTaskKeepsItsPromises drives a task with random records, outcomes, retries and releases and compares it with
// what the promises say in the plainest words: a key runs one record at a time and in order, what is released is a
// prefix of what was read, and every record leaves exactly once, in the order of its key.
func TestTaskKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDriver(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":         d.check,
			"add":      d.add,
			"complete": d.complete,
			"release":  d.release,
			"retry":    d.retry,
		})
		d.finish()
	})
}

const every = time.Second

type driver struct {
	rt      *rapid.T
	task    *task
	now     time.Time
	offset  int64
	running []*entry
	left    map[uint64][]int64 // offsets that left for good, by key: delivered or dead
	gone    int64
	started map[uint64]int64 // last first-time start by key
}

func newDriver(rt *rapid.T) *driver {
	d := &driver{rt: rt, task: newTask(partition{"in", 0}, nil), now: time.Unix(0, 0), left: map[uint64][]int64{}, started: map[uint64]int64{}}
	d.task.begin(-1, 0)
	return d
}

func (d *driver) add(rt *rapid.T) {
	d.offset += rapid.Int64Range(0, 3).Draw(rt, "gap") // markers and compaction leave gaps
	e := &entry{raw: &kgo.Record{Offset: d.offset}, task: d.task, lane: rapid.Uint64Range(0, 4).Draw(rt, "key"), size: 1}
	d.offset++
	if d.task.add(e) {
		d.run(e)
	}
}

func (d *driver) run(e *entry) {
	for _, other := range d.running {
		if other.lane == e.lane {
			d.rt.Fatalf("key %d runs offsets %d and %d at once", e.lane, other.raw.Offset, e.raw.Offset)
		}
	}
	if !e.retried {
		if last, ok := d.started[e.lane]; ok && e.raw.Offset <= last {
			d.rt.Fatalf("key %d starts offset %d after %d", e.lane, e.raw.Offset, last)
		}
		d.started[e.lane] = e.raw.Offset
	}
	d.running = append(d.running, e)
}

func (d *driver) complete(rt *rapid.T) {
	if len(d.running) == 0 {
		return
	}
	i := rapid.IntRange(0, len(d.running)-1).Draw(rt, "which")
	d.finishOne(i, rapid.SampledFrom([]outcome{delivered, delivered, delivered, dead, parked}).Draw(rt, "outcome"))
}

func (d *driver) finishOne(i int, o outcome) {
	e := d.running[i]
	d.running = slices.Delete(d.running, i, i+1)
	e.outcome, e.err = o, &boltError{err: errors.New("x"), class: component.Transient}
	retried := e.retried
	if next := d.task.complete(e, d.now, every); next != nil {
		d.run(next)
	}
	if retried && o != parked {
		d.leave(e)
	}
}

func (d *driver) leave(e *entry) {
	if got := d.left[e.lane]; len(got) > 0 && got[len(got)-1] >= e.raw.Offset {
		d.rt.Fatalf("key %d: offset %d leaves after %d", e.lane, e.raw.Offset, got[len(got)-1])
	}
	d.left[e.lane] = append(d.left[e.lane], e.raw.Offset)
	d.gone++
}

func (d *driver) release(*rapid.T) {
	before := d.task.mark
	for _, e := range d.task.release(nil) {
		if e.raw.Offset < before {
			d.rt.Fatalf("offset %d is released below the mark %d", e.raw.Offset, before)
		}
		before = e.raw.Offset + 1
		if e.outcome == parked {
			e.released = true
		} else {
			d.leave(e)
		}
	}
	if d.task.mark != before {
		d.rt.Fatalf("mark is %d, want %d", d.task.mark, before)
	}
}

func (d *driver) retry(rt *rapid.T) {
	d.now = d.now.Add(rapid.SampledFrom([]time.Duration{0, every / 2, every}).Draw(rt, "wait"))
	for _, e := range d.task.due(d.now) {
		if !e.released {
			d.rt.Fatalf("offset %d is retried before its park record is written", e.raw.Offset)
		}
		d.run(e)
	}
}

func (d *driver) check(rt *rapid.T) {
	t := d.task
	if t.committed > t.mark || t.mark > t.next {
		rt.Fatalf("committed %d, mark %d, next %d are out of order", t.committed, t.mark, t.next)
	}
	n := 0
	for lane, p := range t.parked {
		n += len(p.entries)
		if len(p.entries) == 0 {
			rt.Fatalf("key %d is parked without records", lane)
		}
	}
	if n != t.parkedCount {
		rt.Fatalf("%d parked records, counted %d", n, t.parkedCount)
	}
	if t.bytes != int64(len(t.ring)) {
		rt.Fatalf("%d bytes in hand, counted %d", len(t.ring), t.bytes)
	}
}

// finish lets everything succeed and checks that everything has left.
func (d *driver) finish() {
	added := int64(0)
	for range 10_000 {
		d.release(d.rt)
		d.now = d.now.Add(every)
		d.retry2()
		if len(d.running) > 0 {
			d.finishOne(0, delivered)
			continue
		}
		if len(d.task.ring) == 0 && d.task.parkedCount == 0 {
			break
		}
	}
	for _, offsets := range d.left {
		added += int64(len(offsets))
	}
	if len(d.task.ring) != 0 || d.task.parkedCount != 0 || len(d.task.lanes) != 0 {
		d.rt.Fatalf("left over: %d in the ring, %d parked, %d lanes", len(d.task.ring), d.task.parkedCount, len(d.task.lanes))
	}
	if added != d.gone {
		d.rt.Fatalf("%d records left, counted %d", added, d.gone)
	}
}

func (d *driver) retry2() {
	for _, e := range d.task.due(d.now) {
		d.run(e)
	}
}

func TestHistogramQuantilesAreAtMostAnEighthOff(t *testing.T) {
	var h histogram
	for us := 1; us <= 10_000; us++ {
		h.observe(time.Duration(us) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 5 * time.Millisecond, 0.99: 9900 * time.Microsecond} {
		got := h.quantile(q)
		if got < want || got > want+want/7 {
			t.Errorf("quantile %v is %v, want %v or up to an eighth more", q, got, want)
		}
	}
	if bucketOf(time.Hour*1000) != bucketCount-1 || bucketOf(-1) != 0 {
		t.Error("durations out of range are not kept in the last and first bucket")
	}
}

// TestParkedTimesAfterTheClockJumped says how old a parked record is taken to be when the clock moved meanwhile.
func TestParkedTimesAfterTheClockJumped(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	for _, c := range []struct {
		name, stored string
		want         time.Time
	}{
		{"as it was", "400000", time.UnixMilli(400_000)},
		{"set back: nothing began in the future, so no record waits longer than it may", "9000000", now},
		{"damaged", "soon", now},
		{"missing", "", now},
	} {
		if got := millis([]byte(c.stored), now); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := timestamp([]byte("9000000"), now); !got.Equal(time.UnixMilli(9_000_000)) {
		t.Errorf("the record's own time became %v: it may lie in the future", got)
	}
}
