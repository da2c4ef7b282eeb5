package engine

import (
	"context"
	"sync"
	"time"

	"ravenswood.dev/internal/kafka"
)

// horizon is where the logs of the inputs ended when somebody looked: open transactions included, since what they hold
// may be older than what is waiting here.
type horizon struct {
	asked time.Time                            // before this the answer says nothing about what was there
	ends  map[kafka.TopicPartition]int64       // of those whose leader has answered
	ahead map[kafka.TopicPartition]kafka.Ahead // of those in doubt
}

// doubts are inputs of which more is known than that their logs do not end yet: at the next look they are read from a
// position on. They are for many goroutines.
type doubts struct {
	mu   sync.Mutex
	from map[kafka.TopicPartition]int64 // GUARDED_BY(mu)
}

func (d *doubts) add(tp kafka.TopicPartition, from int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.from == nil {
		d.from = make(map[kafka.TopicPartition]int64)
	}
	d.from[tp] = from
}

func (d *doubts) take() map[kafka.TopicPartition]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := d.from
	d.from = nil
	return from
}

// horizonEvery is how often the log is asked at most. Whoever waits for an answer waits with everything it could go on
// with, so one answer serves many records.
const (
	horizonEvery = 5 * time.Millisecond
	horizonAgain = 100 * time.Millisecond // where some have not answered
)

// watchHorizon looks where the logs end whenever a session wants to know, and wakes all of them.
func (e *Engine) watchHorizon(ctx context.Context) {
	var topics []string
	for i := range e.plan.Stages {
		for _, in := range e.plan.Stages[i].Inputs {
			if input := &e.plan.Inputs[in]; e.plan.Stages[i].Stateful && input.Name != "" {
				topics = append(topics, input.Topic)
			}
		}
	}
	for len(topics) > 0 {
		select {
		case <-e.wantHorizon:
		case <-ctx.Done():
			return
		}
		pause := horizonEvery
		if !e.lookAtHorizon(ctx, topics) {
			pause = horizonAgain
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// lookAtHorizon says whether all have answered. Where a partition has no leader, only those wait who read it.
func (e *Engine) lookAtHorizon(ctx context.Context, topics []string) (all bool) {
	bound, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	inDoubt := e.doubts.take()
	asked := time.Now()
	ends, all, err := e.admin.KnownEnds(bound, topics...)
	if err != nil {
		return false // whoever waits asks again at its next tick
	}
	ahead, err := e.admin.Ahead(bound, inDoubt)
	if err != nil { // those in doubt ask again, the others go on
		ahead, all = nil, false
	}
	e.horizon.Store(&horizon{asked, ends, ahead})
	for _, w := range e.workers {
		select {
		case w.looked <- struct{}{}:
		default:
		}
	}
	return all
}

// moreOn says whether to wait for records of a task: they were on the log when it was last looked at, or nobody has looked
// since a moment. In the second case somebody is sent to look. Of a task that was waited for long it must be known that a
// record can be read, not only that the log goes on.
func (e *Engine) moreOn(t *task, since time.Time) wait {
	tp := kafka.TopicPartition{Topic: t.id.topic, Partition: t.id.n}
	h := e.horizon.Load()
	if h == nil || !h.asked.After(since) {
		return e.look(t, tp)
	}
	end, known := h.ends[tp]
	if !known {
		return e.look(t, tp)
	}
	if end <= e.position(t, tp) {
		return noWait
	}
	if !t.silent {
		return untilRead
	}
	ahead, known := h.ahead[tp]
	if !known || ahead.Offset < t.next { // the second: it was before t brought something
		return e.look(t, tp)
	}
	t.nothing = ahead.Offset
	if ahead.Record {
		return untilRead
	}
	return noWait
}

// look sends somebody to look at the log.
func (e *Engine) look(t *task, tp kafka.TopicPartition) wait {
	if t.silent {
		e.doubts.add(tp, e.position(t, tp))
	}
	select {
	case e.wantHorizon <- struct{}{}:
	default:
	}
	return untilLooked
}

// position is the first offset of a task at which there may be a record that was not read.
func (e *Engine) position(t *task, tp kafka.TopicPartition) int64 {
	begin := int64(0)
	if start := e.start.Load(); start != nil {
		begin = (*start)[tp]
	}
	return max(t.next, t.nothing, begin)
}
