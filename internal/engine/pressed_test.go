package engine

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// Where records wait for a look at the log, which takes milliseconds, nothing is paused: the fetch that goes out for the other
// partitions may be held by the broker, and everything that is resumed meanwhile waits for it.
func TestNothingIsPausedForALookAtTheLog(t *testing.T) {
	for _, c := range []struct {
		name          string
		until         wait
		since         time.Duration // it waits
		paused, press bool
	}{
		{"nothing is waited for", noWait, 0, true, false},
		{"the other input has more", untilRead, 0, true, true},
		{"somebody looks at the log", untilLooked, 0, false, false},
		{"the look takes long", untilLooked, time.Second, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			full := &task{id: partition{"full", 0}, input: &topology.Input{Name: "full"}, ring: make([]*entry, 4)}
			for i := range full.ring {
				full.ring[i] = &entry{task: full, raw: new(kgo.Record), status: running, started: time.Unix(1, 0)}
			}
			other := &task{id: partition{"other", 0}, input: &topology.Input{Name: "other"}}
			u := &unit{phase: operating, inputs: []*task{full, other}}
			full.unit, other.unit = u, u
			s := pausing(t, u, c.until)
			s.releaseUnit(u, time.Unix(2, 0))
			s.releaseUnit(u, time.Unix(2, 0).Add(c.since))
			if full.paused != c.paused {
				t.Errorf("the full partition is paused: %v, want %v", full.paused, c.paused)
			}
			if got := s.press(); got != c.press {
				t.Errorf("the others are paused for those that are waited for: %v, want %v", got, c.press)
			}
		})
	}
}

// pausing is a session with one unit, for which the log says the same of every input.
func pausing(t *testing.T, u *unit, says wait) *session {
	t.Helper()
	e := &Engine{wantHorizon: make(chan struct{}, 1)}
	if says != untilLooked {
		ends := map[kafka.TopicPartition]int64{{Topic: "other"}: 0}
		if says == untilRead {
			ends[kafka.TopicPartition{Topic: "other"}] = 1
		}
		e.horizon.Store(&horizon{asked: time.Unix(2, 0), ends: ends})
	}
	nobody := func(map[string][]int32) {}
	tx, err := kafka.NewTransactor(kafka.TransactorConfig{
		Config: kafka.Config{Brokers: []string{"127.0.0.1:1"}}, Group: "g", ID: "a", Topics: []string{"full", "other"}, Revoked: nobody, Lost: nobody,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tx.Close)
	s := &session{w: &worker{engine: e}, tx: tx, plan: &topology.Plan{}, units: map[unitID]*unit{{}: u}, tasks: make(map[partition]*task)}
	s.plan.Limits.PartitionRecords, s.plan.Limits.Parked = 4, 10
	for _, t := range u.inputs {
		s.tasks[t.id] = t
	}
	return s
}

func TestWhatMayBeReadIsBoundedByRecordsAndBytes(t *testing.T) {
	for _, c := range []struct {
		name                string
		records, bytes, out int // in hand; bytes in hand; bytes in the outbox
		room                int
		roomy, outboxFull   bool
	}{
		{name: "nothing in hand", room: 100, roomy: true},
		{name: "three quarters of the records", records: 75, room: 25},
		{name: "all records", records: 100},
		{name: "more than all records", records: 120, room: -20},
		{name: "few records, three quarters of the bytes", records: 1, bytes: 750, room: 99},
		{name: "few records, all bytes", records: 1, bytes: 1000},
		{name: "half in hand, nearly half on its way out", records: 1, bytes: 500, out: 499, room: 99, roomy: true},
		{name: "half in hand, half on its way out", records: 1, bytes: 500, out: 500, room: 99, roomy: true, outboxFull: true},
		{name: "all on its way out", out: 1000, room: 100, roomy: true, outboxFull: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &session{plan: new(topology.Plan), inHand: c.records, inBytes: int64(c.bytes), outBytes: int64(c.out)}
			s.plan.Limits.Records, s.plan.Limits.Bytes = 100, 1000
			if room, roomy, full := s.room(), s.roomy(), s.outboxFull(); room != c.room || roomy != c.roomy || full != c.outboxFull {
				t.Errorf("room %d, roomy %v, outbox full %v; want %d, %v, %v", room, roomy, full, c.room, c.roomy, c.outboxFull)
			}
		})
	}
}

// Whatever is read is counted until it is written: what waits for a commit takes memory, too.
func TestBytesAreInHandThenInTheOutboxThenNowhere(t *testing.T) {
	e := &Engine{wantHorizon: make(chan struct{}, 1)}
	in := &task{id: partition{"in", 0}, input: &topology.Input{Name: "in"}}
	stateful := &task{id: partition{"table", 0}, input: &topology.Input{Name: "table"}}
	u := &unit{phase: operating, inputs: []*task{stateful}}
	stateful.unit = u
	s := &session{w: &worker{engine: e}, plan: &topology.Plan{}}
	s.plan.Limits.PartitionRecords, s.plan.Limits.Parked = 4, 10
	for i, to := range []*task{in, stateful} {
		en := &entry{task: to, raw: new(kgo.Record), size: int64(10 * (i + 1))}
		to.addDone(en)
		s.inHand, s.inBytes = s.inHand+1, s.inBytes+en.size
	}
	s.release(in)
	if s.inBytes != 20 || s.outBytes != 10 {
		t.Errorf("after the first was released %d bytes are in hand and %d in the outbox, want 20 and 10", s.inBytes, s.outBytes)
	}
	s.release(stateful)
	if s.inBytes != 0 || s.outBytes != 30 || s.inHand != 0 {
		t.Errorf("after both were released %d bytes are in hand and %d in the outbox, want 0 and 30", s.inBytes, s.outBytes)
	}
}
