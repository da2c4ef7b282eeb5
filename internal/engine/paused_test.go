package engine_test

import (
	"context"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/record"
)

// gate is a bolt at which records wait until it is opened.
func gate(open <-chan struct{}) component.Definition {
	return bolt(true, func(ctx context.Context, r *record.Record, emit component.Emit) error {
		select {
		case <-open:
			emit(0, r)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func pausedPartitions(e *engine.Engine) (all int) {
	for _, t := range e.Status().Tasks {
		if t.Topic == "in" && t.State == "paused" {
			all++
		}
	}
	return all
}

// The client remembers over rebalances what it was told to pause, but the partition that comes back is a new one.
func TestAPartitionThatWentAwayFullIsReadWhenItComesBack(t *testing.T) {
	open := make(chan struct{})
	p := plan(gate(open))
	p.Limits.PartitionRecords, p.Drain = 2, 100*time.Millisecond
	r := newRig(t)
	r.ensure(p)
	r.send(400, 40)
	a, _ := r.run(p, "a")
	r.await("all partitions are full", func() bool { return pausedPartitions(a) == 4 })
	b, stop := r.run(p, "b")
	r.await("some have gone to another process", func() bool { return pausedPartitions(b) > 0 && pausedPartitions(a) < 4 })
	stop()
	r.await("they are back", func() bool { return pausedPartitions(a) == 4 })
	close(open)
	r.audit(r.awaitOut("out", 400), 400)
}

func TestAPartitionMayHaveOneRecordInHand(t *testing.T) {
	open := make(chan struct{})
	p := plan(gate(open))
	p.Limits.PartitionRecords = 1
	r := newRig(t)
	r.ensure(p)
	r.send(40, 40)
	e, _ := r.run(p, "a")
	r.await("all partitions are full", func() bool { return pausedPartitions(e) == 4 })
	close(open)
	r.audit(r.awaitOut("out", 40), 40)
	r.send(40, 40)
	r.awaitOut("out", 80)
}
