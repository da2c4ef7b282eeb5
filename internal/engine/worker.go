package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// worker keeps a session alive: one member of the topology's group, replaced by a new one after every failure.
type worker struct {
	engine        *Engine
	plan          *topology.Plan
	env           Env
	graph         *graph
	number        int
	id            string // transactional id and group instance id
	transactional bool
	log           *slog.Logger
	inputs        map[string]*topology.Input
	changelogs    map[string]string // topic by store, of those we write
	aging         map[string]bool   // stores whose changelog the broker deletes by age
	blocking      []bool            // by stage: a bolt waits for the outside world, so records run in lanes
	maxRunning    int
	looked        chan struct{} // capacity 1: the log was looked at, see horizon

	lanes    sync.WaitGroup // of the session in being
	failing  failing
	snapshot atomic.Pointer[snapshot]
}

func newWorker(e *Engine, number int) (*worker, error) {
	g, err := openGraph(e.plan, e.env, e.bolts)
	if err != nil {
		return nil, err
	}
	w := &worker{
		engine: e, plan: e.plan, env: e.env, graph: g, number: number,
		id:            kafka.MemberID(e.plan.Group, e.env.ID, number),
		transactional: e.plan.Delivery == api.ExactlyOnce,
		log:           e.env.Log.With("topology", e.plan.Name, "worker", number),
		inputs:        make(map[string]*topology.Input),
		changelogs:    make(map[string]string),
		looked:        make(chan struct{}, 1),
		aging:         make(map[string]bool),
		maxRunning:    laneLimit(e.plan, e.env.Services),
	}
	for i := range e.plan.Inputs {
		w.inputs[e.plan.Inputs[i].Topic] = &e.plan.Inputs[i]
	}
	for _, st := range e.plan.Stages {
		w.blocking = append(w.blocking, blocking(e.plan, &st))
		for _, s := range st.Stores {
			if s.Changelog != "" && !s.Source {
				w.changelogs[s.Name] = s.Changelog
				w.aging[s.Name] = s.Retention > 0
			}
		}
	}
	return w, nil
}

// blocking says whether a bolt of a stage waits for the outside world.
func blocking(plan *topology.Plan, st *topology.Stage) bool {
	return slices.ContainsFunc(st.Bolts, func(i int) bool { return plan.Bolts[i].Component.Spec.Blocking })
}

// run keeps a session alive until ctx is done. Only being replaced, which another process with the same id causes, and a
// defect of the topology end it for good.
func (w *worker) run(ctx context.Context) error {
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := newSession(w).run(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, kafka.ErrReplaced) {
			return fmt.Errorf("run topology %q as %q: %w", w.plan.Name, w.id, err)
		}
		if defect := (*defectError)(nil); errors.As(err, &defect) {
			return fmt.Errorf("run topology %q: %w", w.plan.Name, defect)
		}
		if ctx.Err() != nil {
			w.log.Warn("stopped without a last commit; what it left is read again at the next start", "err", err)
			return nil
		}
		w.engine.relearnLimits(ctx, err)
		w.engine.restarts.Add(1)
		w.failing.note(w.number, err, time.Now())
		if time.Since(began) > 10*time.Second {
			pause = 100 * time.Millisecond
		}
		w.log.Warn("worker starts again from the last commit", "err", err, "pause", pause)
		sleep(ctx, pause)
		pause = min(pause*2, 5*time.Second)
	}
	return nil
}

// at marks a step of a commit for crash tests.
func (w *worker) at(step string) {
	if w.env.At != nil {
		w.env.At(step)
	}
}

// noteLoss reports records that the log had deleted before they were read: the one loss that we cannot prevent must
// at least not be silent.
func (w *worker) noteLoss(t *task, start int64) {
	w.engine.counters.lost.Add(start - t.next)
	w.log.Error("records were deleted from the log before they were read (retention)",
		"topic", t.id.topic, "partition", t.id.n, "from", t.next, "to", start, "records", start-t.next)
	t.next = start
}
