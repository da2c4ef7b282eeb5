package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/engine/aggregate"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// WorkerOptions say how ServeWorker runs a topology with state.
type WorkerOptions struct {
	Brokers       []string
	Dir           string // of the stores
	ID            string
	Topology      string // its name
	Input         string
	Bolt          string // keep or count
	Snapshots     string
	SnapshotEvery time.Duration
}

// askStatus is the line that asks a worker how far it is.
const askStatus = "status"

// workerStatus is what a worker says.
type workerStatus struct {
	In       int64   `json:"in"`
	Out      int64   `json:"out"`
	Running  []int32 `json:"running"`  // partitions
	Standby  int     `json:"standby"`  // copies
	Lag      int64   `json:"lag"`      // of the copies; -1: not known
	Restored int64   `json:"restored"` // records that were read from changelogs
	Disk     int64   `json:"disk"`     // bytes of the stores
	Live     float64 `json:"live"`     // heap in MB, after a collection if asked by askHeap
}

// ServeWorker runs a topology with state for Restore and StateMemory, as a process of its own that can be killed: it says
// that it is there, answers questions, and ends with its input.
func ServeWorker(ctx context.Context, o WorkerOptions, in io.Reader, out io.Writer) error {
	p, err := o.plan()
	if err != nil {
		return err
	}
	restored := &restoredSum{Handler: slog.DiscardHandler, records: new(atomic.Int64)}
	e, err := engine.New(p, engine.Env{
		Kafka: kafka.Config{Brokers: o.Brokers, ClientID: "raven-bench", Log: slog.New(slog.DiscardHandler)}, ID: o.ID, StateDir: o.Dir,
		Log: slog.New(restored), Snapshots: o.Snapshots, SnapshotEvery: o.SnapshotEvery,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	say := json.NewEncoder(out)
	if err := say.Encode(map[string]string{"address": o.ID}); err != nil {
		return err
	}
	for questions := bufio.NewScanner(in); questions.Scan(); {
		s := statusOf(e, restored.records.Load())
		if strings.TrimSpace(questions.Text()) == askHeap {
			s.Live = heapNow().Live
		}
		select {
		case err := <-done:
			return fmt.Errorf("run topology: it stopped by itself: %w", err)
		default:
		}
		if err := say.Encode(s); err != nil {
			return err
		}
	}
	cancel()
	return <-done
}

func statusOf(e *engine.Engine, restored int64) workerStatus {
	st := e.Status()
	s := workerStatus{In: st.In, Out: st.Out, Restored: restored}
	for _, stage := range st.Stages {
		for _, t := range stage.Tasks {
			s.Disk += t.DiskBytes
			switch t.State {
			case engine.TaskRunning:
				s.Running = append(s.Running, t.Partition)
			case engine.TaskStandby:
				s.Standby++
				if t.Lag < 0 || s.Lag < 0 {
					s.Lag = -1
				} else {
					s.Lag += t.Lag
				}
			}
		}
	}
	return s
}

// restoredSum adds up what the engine says that it restored.
type restoredSum struct {
	slog.Handler
	records *atomic.Int64
}

func (s *restoredSum) Enabled(context.Context, slog.Level) bool { return true }
func (s *restoredSum) WithAttrs([]slog.Attr) slog.Handler       { return s }

func (s *restoredSum) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "stores restored" {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "records" {
				s.records.Add(a.Value.Int64())
			}
			return true
		})
	}
	return nil
}

func (o WorkerOptions) plan() (*topology.Plan, error) {
	s := subject{format: "raw", delivery: api.ExactlyOnce, commit: Commit}
	switch o.Bolt {
	case "keep":
		s.bolts, s.components = "last: {from: in, keep: {}}", []component.Definition{keepBolt(o.ID)}
	case "count":
		s.bolts, s.components = "last: {from: in, count: {}}", []component.Definition{noisyCountBolt()}
	default:
		return nil, fmt.Errorf("run worker: no bolt %q", o.Bolt)
	}
	text := strings.Replace(s.text(o.Topology, o.Input, o.Topology+"-out"), "  delivery:", "  standbys: 1\n  delivery:", 1)
	_, p, err := plan(text, o.Dir, s.components...)
	return p, err
}

// noisyCountBolt is countBolt with entries that do not compress, so that a store on disk is as large as what is in it.
func noisyCountBolt() component.Definition {
	o := aggregate.Options{Inputs: []aggregate.Input{{Add: func(_ *record.Record, so []byte) ([]byte, error) { return noisyCountUp(so), nil }}}}
	return component.DefineProcessor(component.Spec{Name: "count"}, nil, shaped(component.Shape{Keyed: true, Stores: o.Stores()}),
		func(*nothing, component.Env) (processor.Processor, error) {
			return aggregate.New(o), nil
		})
}

func noisyCountUp(so []byte) []byte {
	next := slices.Grow([]byte(nil), stateValue+8)[:stateValue]
	if so != nil {
		copy(next, so)
		binary.BigEndian.PutUint64(next, binary.BigEndian.Uint64(so)+1)
		return next
	}
	for noise := next[8:8]; len(noise) < stateValue-8; {
		noise = binary.NativeEndian.AppendUint64(noise, rand.Uint64())
	}
	return next
}

// keepBolt keeps the newest value of each key, and emits who has done so and in which partition.
func keepBolt(id string) component.Definition {
	return component.DefineProcessor(component.Spec{Name: "keep"}, nil, shaped(component.Shape{Keyed: true, Stores: []store.Spec{{}}}),
		func(*nothing, component.Env) (processor.Processor, error) { return &keep{id: id}, nil })
}

type keep struct {
	id    string
	c     processor.Context
	store store.KeyValue
}

func (k *keep) Open(c processor.Context) error {
	k.c, k.store = c, c.KeyValue(c.Bolt())
	return nil
}

func (k *keep) Process(_ int, r *record.Record) error {
	k.store.Put(r.Key, store.Entry{Value: r.Value, Time: r.Time})
	out := *r
	out.Value = fmt.Appendf(nil, "%s/%d", k.id, k.c.Partition())
	k.c.Emit(0, &out)
	return nil
}

// startWorker starts ServeWorker as a process of its own.
func (c *cluster) startWorker(ctx context.Context, o Options, w WorkerOptions) (*process, error) {
	if len(o.Self) == 0 {
		return nil, errors.New("start worker: no program is named for it")
	}
	command := append(slices.Clip(o.Self), "bench", "state-worker", "--broker", strings.Join(c.cfg.Brokers, ","), "--id", w.ID,
		"--topology", w.Topology, "--input", w.Input, "--bolt", w.Bolt, "--snapshots", w.Snapshots, "--snapshot-every", w.SnapshotEvery.String())
	return startProcess(ctx, command, w.Dir)
}

// status asks a worker how far it is.
func (p *process) status(question string) (s workerStatus, err error) {
	if _, err = io.WriteString(p.in, question+"\n"); err == nil {
		err = p.line(&s)
	}
	return s, err
}

// until asks a worker until it is so far.
func (p *process) until(ctx context.Context, what string, reached func(workerStatus) bool) (workerStatus, error) {
	for begun := time.Now(); ; {
		s, err := p.status(askStatus)
		if err != nil {
			return s, fmt.Errorf("wait for %s: %w", what, err)
		}
		if reached(s) {
			return s, nil
		}
		if time.Since(begun) > restorePatience {
			return s, fmt.Errorf("wait for %s: not within %v: %+v", what, restorePatience, s)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return s, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
