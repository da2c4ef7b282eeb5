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
		paused, press bool
	}{
		{"nothing is waited for", noWait, true, false},
		{"the other input has more", untilRead, true, true},
		{"somebody looks at the log", untilLooked, false, false},
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
		ends := make(map[kafka.TopicPartition]int64)
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
