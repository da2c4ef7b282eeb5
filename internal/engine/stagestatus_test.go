package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

func TestTheStatusShowsStagesWithState(t *testing.T) {
	r, p := newRig(t), counted()
	r.ensure(p)
	e, stop := r.run(p, "a")
	r.sendAll(r.client(), &kgo.Record{Topic: "in", Key: []byte("k0"), Value: []byte(`"poison"`)})
	r.send(100, 10)
	r.awaitCounts(10, 10)
	var st engine.Status
	r.await("a status of all of it", func() bool {
		st = e.Status()
		return len(st.Stages) == 1 && len(st.Stages[0].Tasks) == 4 && st.Bolts[0].Records == 101 && st.In == 101
	})
	if b := st.Bolts[0]; b.Errors != 1 || b.Late != 0 || b.Dropped != 0 {
		t.Errorf("the bolt has %+v", b)
	}
	if got := st.Stages[0]; got.Stage != "count" || len(got.Bolts) != 1 || got.Bolts[0] != "b0" {
		t.Errorf("the stage is %+v", got)
	}
	moved := 0
	for i, task := range st.Stages[0].Tasks {
		if task.Partition != int32(i) || task.State != engine.TaskRunning || task.Worker != 0 || task.DiskBytes == 0 {
			t.Errorf("task %d is %+v", i, task)
		}
		if len(task.Stores) != 1 || task.Stores[0].Store != "count" || task.Stores[0].Kind != "key-value" {
			t.Errorf("the stores of task %d are %+v", i, task.Stores)
		}
		if task.StreamTime != nil && task.Behind < time.Minute {
			moved++
		}
	}
	if moved == 0 {
		t.Error("no task has a stream time of now")
	}
	stop()
}

// TestATopologyIsNotReadyWhileATaskRestores: a foreign transaction keeps one changelog from being read to its end.
func TestATopologyIsNotReadyWhileATaskRestores(t *testing.T) {
	r, p := newRig(t), counted()
	r.ensure(p)
	foreign := r.client(kgo.TransactionalID("foreign"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := foreign.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	r.sendAll(foreign, &kgo.Record{Topic: "t.count.changelog", Partition: 2, Key: []byte("x"), Value: []byte("x")})
	e, stop := r.run(p, "a")
	r.await("only one task restores", func() bool {
		st := e.Status()
		return st.NotReady() == "tasks are being restored: count/2" && len(st.Restoring()) == 1
	})
	if st := e.Status(); st.Restoring()[0][:24] != "stage count partition 2:" {
		t.Errorf("restoring are %q", st.Restoring())
	}
	if err := foreign.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	r.await("it is ready", func() bool { st := e.Status(); return st.NotReady() == "" && len(st.Restoring()) == 0 })
	stop()
}

// unopenable panics before its first record.
type unopenable struct{}

func (unopenable) Open(c processor.Context) error    { c.KeyValue("misspelt"); return nil }
func (unopenable) Process(int, *record.Record) error { return nil }

func TestABoltThatPanicsWhenItIsOpenedStopsTheTopology(t *testing.T) {
	r, p := newRig(t), counted()
	p.Bolts[0].Component = component.DefineProcessor[noConfig](component.Spec{Name: "count"}, nil,
		func(*noConfig) component.Shape { return component.Shape{Stores: []store.Spec{{}}} },
		func(*noConfig, component.Env) (processor.Processor, error) { return unopenable{}, nil })
	r.ensure(p)
	e, err := engine.New(p, engine.Env{Kafka: r.cfg, ID: "a", StateDir: t.TempDir(), Log: r.log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = e.Run(ctx)
	if err == nil || ctx.Err() != nil {
		t.Fatalf("the topology ended with %v, want the panic of its bolt before the time is over (%v)", err, ctx.Err())
	}
	for _, want := range []string{`"b0"`, `misspelt`, "mistake"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %s: %v", want, err)
		}
	}
	if st := e.Status(); st.State != "failed" || st.Restarts != 0 {
		t.Errorf("the state is %s after %d restarts", st.State, st.Restarts)
	}
}
