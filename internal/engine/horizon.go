package engine

import (
	"context"
	"time"

	"ravenswood.dev/internal/kafka"
)

// horizon is where the logs of the inputs ended when somebody looked: open transactions included, since what they hold
// may be older than what is waiting here.
type horizon struct {
	asked time.Time // before this the answer says nothing about what was there
	ends  map[kafka.TopicPartition]int64
}

// horizonEvery is how often the log is asked at most. Whoever waits for an answer waits with everything it could go on
// with, so one answer serves many records.
const horizonEvery = 5 * time.Millisecond

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
		e.lookAtHorizon(ctx, topics)
		if !sleep(ctx, horizonEvery) {
			return
		}
	}
}

func (e *Engine) lookAtHorizon(ctx context.Context, topics []string) {
	bound, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	asked := time.Now()
	ends, err := e.admin.EndOffsets(bound, topics...)
	if err != nil {
		return // whoever waits asks again at its next tick
	}
	e.horizon.Store(&horizon{asked, ends})
	for _, w := range e.workers {
		select {
		case w.looked <- struct{}{}:
		default:
		}
	}
}

// moreOn says whether to wait for records of a task: they were on the log when it was last looked at, or nobody has looked
// since a moment. In the second case somebody is sent to look.
func (e *Engine) moreOn(t *task, since time.Time) wait {
	h := e.horizon.Load()
	if h == nil || !h.asked.After(since) {
		select {
		case e.wantHorizon <- struct{}{}:
		default:
		}
		return untilLooked
	}
	tp := kafka.TopicPartition{Topic: t.id.topic, Partition: t.id.n}
	begin := int64(0)
	if start := e.start.Load(); start != nil {
		begin = (*start)[tp]
	}
	if h.ends[tp] > max(t.next, begin) {
		return untilRead
	}
	return noWait
}
