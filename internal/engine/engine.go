// Package engine runs a plan: it reads its inputs, works records through its bolts in lanes, and commits results and
// offsets together. See docs/internals/engine.md for the path of one record.
//
// Three kinds of loop do all the work, each exactly-once by itself:
//
//	worker    topics -> bolts -> topics, one transaction per commit interval (session.go, task.go)
//	feed      an outside spout -> an internal topic, position and records in one transaction (feed.go)
//	delivery  an internal topic -> an outside sink, offsets and rows in one transaction of the sink's (deliver.go)
//
// An Engine is safe for concurrent use; its parts say otherwise where they are not.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// Env is what a running topology is given.
type Env struct {
	Kafka    kafka.Config
	ID       string // names this process among those running the topology; must be the same after a restart
	Services component.Services
	Host     string // host:port at which other processes of the topology ask this one; empty if they can't
	StateDir string // folder for what components keep between starts
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil: numbers are kept for Status only
	// Snapshots is where copies of the stores are kept for machines that are new: a folder that all share, or a URL of
	// object storage (internal/engine/snapshot). Empty keeps none.
	Snapshots     string
	SnapshotEvery time.Duration // 0: 10 min
	// At is called at named steps of a commit; crash tests kill the process there. Nil does nothing.
	At func(step string)
	// Unsafe switches guarantees off, one at a time, for tests that show that they are needed.
	Unsafe Unsafe
}

// Unsafe is for proof only: every field true loses or repeats something when a process is killed.
type Unsafe struct {
	RestoreToStable bool // stores are restored to the end of what is committed, not of what is written
	NoBuffer        bool // what is written to stores is there before its transaction is committed
	NoFence         bool // ids are new at every start and offsets taken from anybody, so that a predecessor goes on
}

// component is the part of an Env that a component sees.
func (env Env) component(plan *topology.Plan, name string) component.Env {
	dir := filepath.Join(env.StateDir, name)
	_ = os.MkdirAll(dir, 0o755) // a component that needs it says so better
	return component.Env{
		Topology: plan.Name, Name: name, Dir: plan.Dir, StateDir: dir, Services: env.Services,
		Log: env.Log.With("topology", plan.Name, "node", name),
	}
}

// Engine runs one plan in this process.
type Engine struct {
	plan             *topology.Plan
	env              Env
	log              *slog.Logger
	workers          []*worker
	states           *states
	globals          *globals
	standbys         *standbys
	snapshots        *snapshots
	keeper           *keeper
	board            *board
	feeds            []*feed
	deliveries       []*delivery
	bolts            []*boltStats
	admin            *kafka.Admin
	letters          *kgo.Client                       // writes the dead letters of deliveries
	limits           atomic.Pointer[map[string]limits] // by topic, as the log has them
	topicIDs         map[string]string                 // the log's own names of the topics
	keeps            map[string]time.Duration          // by topic: how long it keeps deletions
	parkedPartitions int32

	counters      counters
	commitLatency histogram
	restarts      atomic.Int64
	rate          rate
	state         atomic.Value // string
	stable        atomic.Pointer[map[kafka.TopicPartition]int64]
	start         atomic.Pointer[map[kafka.TopicPartition]int64] // where the log of the inputs begins; kept if a stage has state
	undecided     undecided
	horizon       atomic.Pointer[horizon]
	wantHorizon   chan struct{} // capacity 1: somebody wants to know the horizon
	restoring     chan struct{} // capacity restoresAtOnce: see inTurn
	doubts        doubts

	cancel context.CancelCauseFunc
	failed sync.Once
}

// New prepares a plan to run: it opens the components, no more.
func New(plan *topology.Plan, env Env) (*Engine, error) {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.ID == "" {
		return nil, errors.New("prepare topology: the process has no id")
	}
	e := &Engine{plan: plan, env: env, log: env.Log.With("topology", plan.Name), keeps: make(map[string]time.Duration)}
	e.state.Store("starting")
	e.states = newStates(plan, filepath.Join(env.StateDir, "stores", env.ID), e.originOf, e.log)
	e.globals = newGlobals(e)
	e.standbys = newStandbys(e)
	e.board = newBoard()
	e.keeper = newKeeper(e)
	e.wantHorizon = make(chan struct{}, 1)
	e.restoring = make(chan struct{}, restoresAtOnce)
	for _, b := range plan.Bolts {
		e.bolts = append(e.bolts, &boltStats{name: b.Name})
	}
	for i := range plan.Feeds {
		e.feeds = append(e.feeds, &feed{plan: &plan.Feeds[i], engine: e})
	}
	for i := range plan.Deliveries {
		e.deliveries = append(e.deliveries, &delivery{plan: &plan.Deliveries[i], engine: e, log: e.log})
	}
	for n := range max(plan.Workers, 1) {
		w, err := newWorker(e, n)
		if err != nil {
			e.closeWorkers()
			return nil, fmt.Errorf("prepare topology %q: %w", plan.Name, err)
		}
		e.workers = append(e.workers, w)
	}
	if env.Metrics != nil {
		if err := env.Metrics.Register(newCollector(e)); err != nil {
			e.closeWorkers()
			return nil, fmt.Errorf("prepare topology %q: register metrics: %w", plan.Name, err)
		}
	}
	return e, nil
}

// Run works until ctx is done, then drains within the plan's bound and returns nil; any other return is the error
// that stopped the topology. The topics of the plan must exist. Run may be called once.
func (e *Engine) Run(ctx context.Context) error {
	defer e.closeWorkers()
	if err := e.connect(ctx); err != nil {
		if ctx.Err() != nil {
			e.state.Store("stopped") // before it had begun
			return nil
		}
		e.state.Store("failed")
		return err
	}
	defer e.disconnect()
	if err := e.globals.open(ctx); err != nil {
		if ctx.Err() != nil {
			e.state.Store("stopped")
			return nil
		}
		e.state.Store("failed")
		return err
	}
	e.keeper.begin(ctx)
	working, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.cancel = cancel
	e.state.Store("running")
	err := e.runAll(working)
	if err == nil {
		if cause := context.Cause(working); cause != nil && ctx.Err() == nil {
			err = cause
		}
	}
	if err != nil {
		e.state.Store("failed")
		return err
	}
	e.state.Store("stopped")
	return nil
}

// runAll runs the loops and stops them in the order of the stream: workers with their feeds first, then, when the last
// results are on the log, deliveries.
func (e *Engine) runAll(ctx context.Context) error {
	live, stopAll := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAll()
	var around sync.WaitGroup
	around.Go(func() { e.watchStable(live) })
	around.Go(func() { e.purge(live) })
	around.Go(func() { e.watchHorizon(live) })
	around.Go(func() { e.globals.watch(live) })
	around.Go(func() { e.snapshots.run(live) })
	around.Go(func() { e.keeper.run(live) })
	drain := make(chan struct{})
	var delivering sync.WaitGroup
	for _, d := range e.deliveries {
		delivering.Go(func() { d.run(live, drain) })
	}
	errs := make([]error, len(e.workers))
	var working sync.WaitGroup
	for i, w := range e.workers {
		working.Go(func() {
			if errs[i] = w.run(ctx); errs[i] != nil {
				e.fail(errs[i])
			}
		})
	}
	<-ctx.Done()
	e.state.Store("stopping")
	working.Wait()
	e.drainDeliveries(live, drain, &delivering, stopAll)
	stopAll()
	delivering.Wait()
	around.Wait()
	return errors.Join(errs...)
}

// drainDeliveries lets deliveries finish what is on the log, within the plan's bound.
func (e *Engine) drainDeliveries(live context.Context, drain chan struct{}, delivering *sync.WaitGroup, stop func()) {
	bound, cancel := context.WithTimeout(live, e.plan.Drain)
	defer cancel()
	e.readStable(bound)
	close(drain)
	finished := make(chan struct{})
	go func() { delivering.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-bound.Done():
		if len(e.deliveries) > 0 {
			e.log.Warn("stopped before everything was delivered; the rest is delivered at the next start")
		}
		stop()
		e.letters.Close() // a dead letter on its way to a dead broker does not look at its context
		<-finished
	}
}

// fail stops the whole topology with its first fatal error.
func (e *Engine) fail(err error) {
	e.failed.Do(func() {
		e.log.Error("topology stops", "err", err)
		e.cancel(err)
	})
}

// connect opens the engine's own clients and learns how large a record each topic takes.
func (e *Engine) connect(ctx context.Context) error {
	admin, err := kafka.NewAdmin(e.env.Kafka)
	if err != nil {
		return fmt.Errorf("run topology %q: %w", e.plan.Name, err)
	}
	e.admin = admin
	opts := append(e.env.Kafka.Options(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(kafka.InternalMaxRecord))
	if e.letters, err = kgo.NewClient(opts...); err != nil {
		e.admin.Close()
		return fmt.Errorf("run topology %q: %w", e.plan.Name, err)
	}
	snapshots, err := newSnapshots(ctx, e)
	e.snapshots, e.states.saved = snapshots, snapshots
	if err == nil {
		err = e.learnTopics(ctx)
	}
	if err != nil {
		e.disconnect()
		return fmt.Errorf("run topology %q: %w", e.plan.Name, err)
	}
	return nil
}

// learnTopics checks that the topics are as planned, and learns what they take. The process was told that all is well before,
// so a cluster that has gone away meanwhile is waited for.
func (e *Engine) learnTopics(ctx context.Context) error {
	var topics map[string]kafka.TopicInfo
	err := e.env.Kafka.Patiently(ctx, func(ctx context.Context) (err error) {
		bound, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		topics, err = e.admin.Topics(bound)
		return err
	})
	if err != nil {
		return err
	}
	ids := make(map[string]string)
	for _, t := range e.plan.Topics {
		have, ok := topics[t.Name]
		if !ok {
			return fmt.Errorf("find topic %q: it does not exist", t.Name)
		}
		ids[t.Name] = have.ID
		e.keeps[t.Name] = keepsDeletions(have.Config)
		if t.Name == e.plan.Parked {
			e.parkedPartitions = int32(have.Partitions)
		}
	}
	e.topicIDs = ids
	e.setLimits(topics)
	have := make(map[string]int)
	for name, t := range topics {
		have[name] = t.Partitions
	}
	e.states.expect(have)
	return topology.CheckPartitions(e.plan, have)
}

// originOf says what a store is made from: a store of another topic, or one that was deleted and made again, begins anew.
func (e *Engine) originOf(s topology.Store) string {
	return s.Changelog + "@" + e.topicIDs[s.Changelog]
}

func (e *Engine) disconnect() {
	e.globals.close()
	e.standbys.close()
	e.states.closeAll()
	e.snapshots.close()
	e.admin.Close()
	e.letters.Close()
}

func (e *Engine) closeWorkers() {
	for _, w := range e.workers {
		if err := w.graph.close(); err != nil {
			e.log.Warn("close bolts", "err", err)
		}
	}
}

// watchStable keeps the last stable offsets fresh: what lag is counted against, and what open transactions keep back.
func (e *Engine) watchStable(ctx context.Context) {
	for {
		e.readStable(ctx)
		e.rate.note(time.Now(), e.counters.in.Load())
		if !sleep(ctx, time.Second) {
			return
		}
	}
}

// ordered says whether records of several topics are worked on in the order of event time.
func (e *Engine) ordered() bool {
	return slices.ContainsFunc(e.plan.Stages, func(st topology.Stage) bool { return st.Stateful })
}

func (e *Engine) readStable(ctx context.Context) {
	var topics []string
	for _, in := range e.plan.Inputs {
		topics = append(topics, in.Topic)
	}
	for _, d := range e.deliveries {
		topics = append(topics, d.plan.Topic)
	}
	bound, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ends, err := e.admin.EndOffsets(bound, topics...)
	if err != nil {
		return // the log cannot be reached; workers say so
	}
	stable, err := e.admin.StableOffsets(bound, topics...)
	if err != nil {
		return
	}
	e.undecided.note(ends, stable, time.Now())
	if e.ordered() {
		start, err := e.admin.StartOffsets(bound, topics...)
		if err != nil {
			return
		}
		e.start.Store(&start)
	}
	e.stable.Store(&stable)
	for _, d := range e.deliveries {
		d.setStable(stable)
	}
}
