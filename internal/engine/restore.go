package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// restoreProgress is how far the stores of a task have come; the status shows it.
type restoreProgress struct {
	began   time.Time
	known   atomic.Bool  // total is
	total   atomic.Int64 // offsets to go through when it began, over all stores
	done    atomic.Int64
	records atomic.Int64
	bytes   atomic.Int64
}

// left is how many offsets are still to go through; -1 while that is not known.
func (p *restoreProgress) left() int64 {
	if !p.known.Load() {
		return -1
	}
	return max(p.total.Load()-p.done.Load(), 0)
}

// restore brings the stores of a unit up to what is committed. It runs after the predecessor has been fenced, so nothing
// more can be written to the changelogs.
//
// Each store is read from its checkpoint to the uncommitted end of its changelog. The end of what is committed would not
// do: a decided transaction's marker may still be on its way there while the offsets already show its effect, and the
// task would go on with new offsets over old state.
func (e *Engine) restore(ctx context.Context, u *unit, sources kafka.Offsets) error {
	e.standbys.stop(u.id) // what it has is what we begin with
	state, err := e.states.take(ctx, u.id)
	if err != nil {
		return err
	}
	u.state = state
	state.Resume(u.streamed)
	jobs, err := e.restoreJobs(ctx, u, state, sources)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		u.progress.total.Add(max(j.to-j.from, 0))
	}
	u.progress.known.Store(true)
	for _, j := range jobs {
		if err := e.restoreStore(ctx, state, j, u.progress); err != nil {
			return fmt.Errorf("store %q: %w", j.store.Name, err)
		}
	}
	if n := u.progress.records.Load(); n > 0 {
		e.log.Info("stores restored", "stage", u.stage.Name, "partition", u.id.n, "records", n, "bytes", u.progress.bytes.Load(), "took", time.Since(u.progress.began).Round(time.Millisecond))
	}
	return nil
}

// restoreJob is one store's stretch of its changelog.
type restoreJob struct {
	store *topology.Store
	n     int32
	from  int64
	asked time.Time // before the log said how it stands
	standing
}

func (e *Engine) restoreJobs(ctx context.Context, u *unit, state *store.State, sources kafka.Offsets) ([]restoreJob, error) {
	if len(changelogs(u.stage)) == 0 {
		return nil, nil
	}
	ends, err := e.askEnds(ctx, u.stage)
	if err != nil {
		return nil, err
	}
	var jobs []restoreJob
	for i := range u.stage.Stores {
		st := &u.stage.Stores[i]
		if st.Changelog == "" {
			continue
		}
		at, current := state.Checkpoint(st.Name), state.Current(st.Name)
		j := restoreJob{store: st, n: u.id.n, asked: ends.asked, standing: ends.of(st, u.id.n, at, current, sources[st.Changelog][u.id.n])}
		if err := e.beginAt(ctx, state, &j); err != nil {
			return nil, fmt.Errorf("store %q: %w", st.Name, err)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// beginAt decides where a store goes on. One that is ahead of what is committed, or has missed what its changelog has
// lost meanwhile, begins anew: it holds the future, or may hold keys whose deletion nobody can tell it of any more.
//
// That a store made from an input is ahead happens when the offsets of the group go back, as a reset of the stage's tables
// has them do, and a folder or a snapshot is of before.
func (e *Engine) beginAt(ctx context.Context, state *store.State, j *restoreJob) error {
	why := j.unfit(j.asked)
	if why == "" && j.at >= 0 {
		j.from = j.at
		return nil
	}
	if why == awayTooLong && j.store.Source {
		e.log.Warn("a table was away for longer than its topic keeps deletions; the topic is read for what is deleted", j.attrs()...)
		j.from = j.at
		if err := e.inTurn(ctx, func() error { return e.dropDeleted(ctx, state, *j) }); err != nil {
			return err
		}
		return state.Confirm(j.store.Name, j.asked)
	}
	j.from = j.start
	if why == "" { // it has nothing: emptying it would leave a deletion of everything, which makes each read slower
		return state.Confirm(j.store.Name, j.asked)
	}
	e.log.Warn("a store does not fit its changelog and is restored whole", append(j.attrs(), "why", why)...)
	return anew(state, j.store.Name, j.asked)
}

func (j *restoreJob) attrs() []any {
	return []any{"store", j.store.Name, "partition", j.n, "at", j.at, "start", j.start, "end", j.to, "current", j.current}
}

func (e *Engine) restoreEnds(ctx context.Context, topics []string) (map[kafka.TopicPartition]int64, error) {
	if e.env.Unsafe.RestoreToStable {
		return e.admin.StableOffsets(ctx, topics...)
	}
	return e.admin.EndOffsets(ctx, topics...)
}

// restoreStore reads a stretch of a changelog into its store, each answer of the log in one batch with the position behind it.
func (e *Engine) restoreStore(ctx context.Context, state *store.State, j restoreJob, p *restoreProgress) error {
	if j.from < j.to {
		if err := e.inTurn(ctx, func() error { return e.readInto(ctx, state, j, p) }); err != nil {
			return err
		}
	}
	if j.to < j.end { // an input: what follows is read by the task
		return nil
	}
	return state.Confirm(j.store.Name, j.asked)
}

// restoresAtOnce is how many stores of a process are restored at the same time: each holds up to three answers of the log. A
// process may take over hundreds of tasks in one moment.
const restoresAtOnce = 8

// inTurn reads when fewer than restoresAtOnce others do. Stores that have nothing to read do not wait for their turn.
func (e *Engine) inTurn(ctx context.Context, read func() error) error {
	select {
	case e.restoring <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-e.restoring }()
	return read()
}

func (e *Engine) readInto(ctx context.Context, state *store.State, j restoreJob, p *restoreProgress) error {
	at := j.from
	ranges := map[int32]kafka.Range{j.n: {From: j.from, To: j.to}}
	return kafka.ReadBatches(ctx, e.env.Kafka, j.store.Changelog, ranges, func(b kafka.Batch) error {
		changes := make([]store.Change, 0, len(b.Records))
		for _, r := range b.Records {
			if r.Key != nil {
				changes = append(changes, store.Change{Store: j.store.Name, Key: r.Key, Value: r.Value, Time: kafka.EventTime(r)})
				p.bytes.Add(int64(len(r.Key) + len(r.Value)))
			}
		}
		if err := state.Load(j.store.Name, changes, b.Next); err != nil {
			return err
		}
		p.records.Add(int64(len(changes)))
		p.done.Add(b.Next - at)
		at = b.Next
		return nil
	})
}
