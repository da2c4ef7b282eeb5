package tables

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/stream/tables"
)

// waited is what a wait came to: the partitions whose stores hold what was waited for, and those that are not here.
type waited struct {
	ready   []int32
	refused map[int32]reason
}

// awaitAll returns when the stores of partitions of this process hold what the records of a token did.
//
// What a record does may take several hops: the stage that reads it writes to an internal topic, which another stage
// reads. A stage that has committed past a record has written what follows from it: so where that topic ends now is
// what the next stage must come to. The last hop is not judged by what the group committed but by what the stores here
// show.
func (s *Service) awaitAll(ctx context.Context, t *target, q *query, partitions []int32) (*waited, error) {
	token, err := tables.ParseToken(q.After)
	if err != nil {
		return nil, badRequest("%s", err)
	}
	bound, cancel := context.WithTimeout(ctx, q.Wait)
	defer cancel()
	w := &waiter{service: s, target: t, flow: flowTo(t), wanted: offsets{}}
	if err := w.hops(bound, token, partitions); err != nil {
		return nil, w.explain(ctx, q, token, err)
	}
	done := &waited{}
	for _, p := range partitions {
		here, err := w.arrive(bound, p)
		switch {
		case err != nil:
			return nil, w.explain(ctx, q, token, err)
		case here:
			done.ready = append(done.ready, p)
		default:
			if done.refused == nil {
				done.refused = map[int32]reason{}
			}
			done.refused[p] = elsewhere
		}
	}
	return done, nil
}

// explain tells a wait that was too short from one that failed.
func (w *waiter) explain(asked context.Context, q *query, token tables.Token, err error) error {
	if _, said := errors.AsType[*tables.Error](err); said || asked.Err() != nil {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &tables.Error{Status: http.StatusGatewayTimeout, Code: tables.TooEarly,
			Message: fmt.Sprintf("wait for %s: table %q of topology %q does not hold it after %s", clip(token.String()), w.target.table.Name, w.target.plan.Name, q.Wait),
			Hint:    "ask again with the same token, wait longer with wait (30s at most), or see with `raven status` what holds it up"}
	}
	return &tables.Error{Status: http.StatusBadGateway, Code: tables.Failed, Message: fmt.Sprintf("wait for %s: %s", clip(token.String()), err)}
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// offsets are the next offsets that readers must come to, by topic and partition.
type offsets map[kafka.TopicPartition]int64

func (o offsets) want(tp kafka.TopicPartition, next int64) { o[tp] = max(o[tp], next) }

// waiter is one wait.
type waiter struct {
	service *Service
	target  *target
	flow    *flow
	wanted  offsets // of the inputs of the table's own stage
}

// hops goes from the records of a token to what the table's own stage must have read.
func (w *waiter) hops(ctx context.Context, token tables.Token, partitions []int32) error {
	pending := offsets{}
	for _, c := range token.Places() {
		if w.flow.leads(c.Topic) {
			pending.want(kafka.TopicPartition{Topic: c.Topic, Partition: c.Partition}, c.Offset+1)
		}
	}
	if len(pending) == 0 && !token.IsZero() {
		e := badRequest("wait for %s: nothing of it comes into table %q of topology %q", clip(token.String()), w.target.table.Name, w.target.plan.Name)
		e.Hint = "a token is of a topic that the topology reads, before the table"
		return e
	}
	for range w.flow.hopsMax {
		upstream := w.split(pending)
		if len(upstream) == 0 {
			return nil
		}
		if err := w.committed(ctx, upstream); err != nil {
			return err
		}
		var err error
		if pending, err = w.written(ctx, upstream, partitions); err != nil {
			return err
		}
	}
	w.split(pending)
	return nil
}

// split keeps what the table's own stage reads, and returns what stages before it read. A stage that its own output
// comes back to is both.
func (w *waiter) split(pending offsets) offsets {
	upstream := offsets{}
	for tp, next := range pending {
		own := w.flow.reads(tp.Topic) == w.target.table.Stage
		if own {
			w.wanted.want(tp, next)
		}
		if !own || w.flow.cyclic {
			upstream[tp] = next
		}
	}
	return upstream
}

const (
	groupPauseFirst = 20 * time.Millisecond
	groupPauseMax   = 250 * time.Millisecond
)

// committed returns when the topology has committed past the offsets.
func (w *waiter) committed(ctx context.Context, wanted offsets) error {
	for wait := groupPauseFirst; ; wait = min(2*wait, groupPauseMax) {
		changed := w.target.engine.Changed()
		away, behind := w.look(wanted)
		if len(away) > 0 {
			group, err := w.service.log.Committed(ctx, w.target.plan.Group)
			if err != nil {
				return err
			}
			for tp, next := range away {
				behind = behind || group[tp] < next
			}
		}
		if !behind {
			return nil
		}
		if err := either(ctx, changed, wait); err != nil {
			return err
		}
	}
}

// look judges by what this process knows itself: away is what others read.
func (w *waiter) look(wanted offsets) (away offsets, behind bool) {
	away = offsets{}
	for tp, next := range wanted {
		at, here := w.target.engine.Position(w.flow.reads(tp.Topic), tp.Topic, tp.Partition)
		switch {
		case !here:
			away[tp] = next
		case at < next:
			behind = true
		}
	}
	return away, behind
}

// written is how far the topics that some stages write reach now, those on the way to the table. Of what the table's own
// stage reads, only some partitions matter, unless it goes on from there.
func (w *waiter) written(ctx context.Context, passed offsets, partitions []int32) (offsets, error) {
	group, err := w.service.log.Committed(ctx, w.target.plan.Group)
	if err != nil {
		return nil, err
	}
	stages := map[int]bool{}
	for tp := range passed {
		stages[w.flow.reads(tp.Topic)] = true
	}
	ends := offsets{}
	for _, topic := range w.flow.topicsOf(stages) {
		from := map[int32]int64{}
		concerned, err := w.partitions(ctx, topic, partitions)
		if err != nil {
			return nil, err
		}
		for _, p := range concerned {
			from[p] = group[kafka.TopicPartition{Topic: topic, Partition: p}]
		}
		last, err := w.service.log.Ends(ctx, topic, from)
		if err != nil {
			return nil, err
		}
		for p, next := range last {
			if next > 0 {
				ends.want(kafka.TopicPartition{Topic: topic, Partition: p}, next)
			}
		}
	}
	return ends, nil
}

// partitions are those of a topic that matter.
func (w *waiter) partitions(ctx context.Context, topic string, own []int32) ([]int32, error) {
	stage := w.flow.reads(topic)
	if stage == w.target.table.Stage && stage != Global && !w.flow.cyclic {
		return own, nil
	}
	stable, err := w.service.log.Stable(ctx, topic)
	return partitionsOf(stable), err
}

// arrive returns when the stores of a partition here show everything that is wanted; here is false if it is not, or no
// longer, in this process.
func (w *waiter) arrive(ctx context.Context, p int32) (here bool, err error) {
	for {
		changed := w.target.engine.Changed()
		here, done := w.arrived(p)
		if !here || done {
			return here, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
}

func (w *waiter) arrived(p int32) (here, done bool) {
	stage := w.target.table.Stage
	for tp, next := range w.wanted {
		if stage != Global && tp.Partition != p {
			continue
		}
		at, owned := w.target.engine.Position(stage, tp.Topic, tp.Partition)
		switch {
		case !owned && stage != Global:
			return false, false
		case at < next:
			return true, false
		}
	}
	return true, true
}
