package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// graph is a plan's bolts, opened, and the way a record takes through them. It is safe for concurrent use: a graph with
// blocking bolts is run from many lanes at once, one without from its worker only.
type graph struct {
	plan  *topology.Plan
	bolts []component.Bolt
	turns []sync.Mutex // by bolt: one that does not block is promised one call at a time, also where lanes meet at it
	stats []*boltStats
	retry api.Retry
}

// boltError is the failure of one record at one bolt.
type boltError struct {
	bolt     string
	class    component.Class
	attempts int
	first    time.Time
	err      error
}

func (e *boltError) Error() string { return e.err.Error() }
func (e *boltError) Unwrap() error { return e.err }

// place names the bolt an entry is at: index + 1, 0 for none.
type place struct{ at atomic.Int32 }

func openGraph(plan *topology.Plan, env Env, stats []*boltStats) (*graph, error) {
	g := &graph{plan: plan, retry: plan.Retry, stats: stats, turns: make([]sync.Mutex, len(plan.Bolts))}
	for _, b := range plan.Bolts {
		if b.Component.NewProcessor != nil {
			g.bolts = append(g.bolts, nil) // one for each task: see package stage
			continue
		}
		bolt, err := b.Component.NewBolt(b.Config, env.component(plan, b.Name))
		if err != nil {
			_ = g.close()
			return nil, fmt.Errorf("open bolt %q: %w", b.Name, err)
		}
		g.bolts = append(g.bolts, bolt)
	}
	return g, nil
}

func (g *graph) close() error {
	var errs []error
	for _, b := range g.bolts {
		if c, ok := b.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// run takes an entry through the graph and leaves its outcome in it. A record's results are all or nothing: if one
// branch fails, nothing of the record is written.
func (g *graph) run(ctx context.Context, e *entry, targets []topology.Target) {
	e.outputs, e.outcome, e.err = e.inline[:0], delivered, nil
	x := execution{graph: g, ctx: ctx, entry: e}
	err := x.walk(targets, &e.rec)
	e.place.at.Store(0)
	if err == nil {
		return
	}
	e.outputs, e.err = nil, err
	e.outcome = dead
	if ctx.Err() != nil {
		e.outcome = abandoned
		return
	}
	if err.class != component.Never && g.retry.Park > 0 {
		e.outcome = parked
	}
}

// execution is one record's walk.
type execution struct {
	graph *graph
	ctx   context.Context // of this walk; an execution lives no longer than it
	entry *entry
}

func (x *execution) walk(targets []topology.Target, r *record.Record) *boltError {
	for i, t := range targets {
		next := r
		if i < len(targets)-1 {
			next = r.Clone()
		}
		if t.Sink || x.graph.plan.Bolts[t.Index].Late {
			x.entry.outputs = append(x.entry.outputs, output{to: t, rec: next})
			continue
		}
		if err := x.bolt(t.Index, next); err != nil {
			return err
		}
	}
	return nil
}

// bolt works a record through one bolt, with its retries, and on through what follows.
func (x *execution) bolt(i int, r *record.Record) *boltError {
	b := &x.graph.plan.Bolts[i]
	x.entry.place.at.Store(int32(i + 1))
	emitted, err := x.attempt(i, b, r)
	if err != nil {
		return err
	}
	for _, em := range emitted {
		if em.port < len(b.Next) {
			if err := x.walk(b.Next[em.port], em.rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// inTurn calls a bolt that does not block, one lane after the other.
func (x *execution) inTurn(i int, r *record.Record, emit component.Emit) error {
	x.graph.turns[i].Lock()
	defer x.graph.turns[i].Unlock()
	return x.graph.bolts[i].Process(x.ctx, r, emit)
}

type emission struct {
	port int
	rec  *record.Record
}

// attempt calls the bolt until it succeeds, fails for good, or the budget is used up. Time in which the service as a
// whole is down does not count against the record.
func (x *execution) attempt(i int, b *topology.Bolt, r *record.Record) ([]emission, *boltError) {
	var emitted []emission
	emit := func(port int, r *record.Record) { emitted = append(emitted, emission{port, r}) }
	stats := x.graph.stats[i]
	if !b.Component.Spec.Blocking {
		stats.records.Add(1)
		if err := x.inTurn(i, r, emit); err != nil {
			stats.errors.Add(1)
			return nil, &boltError{bolt: b.Name, class: component.Never, attempts: 1, first: time.Now(), err: err}
		}
		return emitted, nil
	}
	began, spent := time.Now(), time.Duration(0)
	stats.records.Add(1)
	for attempt := 1; ; attempt++ {
		start := time.Now()
		err := x.graph.bolts[i].Process(x.ctx, r.Clone(), emit)
		took := time.Since(start)
		stats.latency.observe(took)
		if err == nil {
			return emitted, nil
		}
		stats.errors.Add(1)
		emitted = emitted[:0]
		class := component.ClassOf(err)
		pause := max(backoff(x.graph.retry, attempt), min(component.RetryIn(err), retryInMax))
		if class != component.Down {
			spent += took + pause
		}
		spentUp := x.entry.retried || spent > time.Duration(x.graph.retry.Budget) // a parked record gets one attempt a time
		giveUp := class == component.Never || class == component.Transient && spentUp
		if giveUp || !sleep(x.ctx, pause) {
			return nil, &boltError{bolt: b.Name, class: class, attempts: attempt, first: began, err: err}
		}
		stats.retries.Add(1)
	}
}

// retryInMax bounds how long a service may make a record wait by asking for it.
const retryInMax = time.Minute

// backoff doubles from Backoff to MaxBackoff; the pause is drawn from its upper half so that records do not retry in
// step.
func backoff(r api.Retry, attempt int) time.Duration {
	d := time.Duration(r.Backoff) << min(attempt-1, 20)
	if d <= 0 || d > time.Duration(r.MaxBackoff) {
		d = time.Duration(r.MaxBackoff)
	}
	return d/2 + rand.N(d/2+1)
}

// sleep waits and says whether the whole time passed.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
