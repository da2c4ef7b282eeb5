package engine_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/deadletter"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

type noConfig struct{}

// counter counts the records of each key and emits the count.
type counter struct {
	c     processor.Context
	store store.KeyValue
}

func (c *counter) Open(ctx processor.Context) error {
	c.c, c.store = ctx, ctx.KeyValue("count")
	return nil
}

func (c *counter) Process(_ int, r *record.Record) error {
	n := 0
	if e, ok := c.store.Get(r.Key); ok {
		n, _ = strconv.Atoi(string(e.Value))
	}
	text := []byte(strconv.Itoa(n + 1))
	c.store.Put(r.Key, store.Entry{Value: text, Time: r.Time})
	out := *r
	out.Value = fmt.Appendf(nil, `{"count":%s}`, text)
	c.c.Emit(0, &out)
	if string(r.Value) == `"poison"` {
		return fmt.Errorf("poison")
	}
	return nil
}

func tallying() component.Definition {
	return component.DefineProcessor[noConfig](component.Spec{Name: "count"}, nil,
		func(*noConfig) component.Shape { return component.Shape{Stores: []store.Spec{{}}} },
		func(*noConfig, component.Env) (processor.Processor, error) { return &counter{}, nil })
}

// counted is in -> count -> out.
func counted() *topology.Plan {
	p := plan(tallying())
	p.Bolts[0].Late = true
	p.Stages = []topology.Stage{{
		Name: "count", Inputs: []int{0, 1}, Bolts: []int{0}, Stateful: true, Partitions: 4, Replay: p.Replay,
		Stores: []topology.Store{{Spec: store.Spec{Name: "count"}, Bolt: "b0", Changelog: "t.count.changelog"}},
	}}
	p.Topics = append(p.Topics, topology.Topic{Name: "t.count.changelog", Spec: api.TopicSpec{Partitions: 4, Cleanup: "compact", Config: map[string]string{"cleanup.policy": "compact"}}})
	return p
}

// counts reads the output and fails if a key's counts are not 1, 2, 3, … in order.
func (r *rig) counts() map[string]int {
	r.t.Helper()
	counts := make(map[string]int)
	for _, rec := range r.read("out") {
		var n int
		if _, err := fmt.Sscanf(string(rec.Value), `{"count":%d}`, &n); err != nil {
			r.t.Fatal(err)
		}
		if counts[string(rec.Key)]++; counts[string(rec.Key)] != n {
			r.t.Fatalf("key %q: count %d at position %d", rec.Key, n, counts[string(rec.Key)])
		}
	}
	return counts
}

func (r *rig) awaitCounts(keys, each int) {
	r.t.Helper()
	r.await(fmt.Sprintf("%d counts of %d keys", each, keys), func() bool {
		counts := r.counts()
		for i := range keys {
			if counts[fmt.Sprintf("k%d", i)] != each {
				return false
			}
		}
		return true
	})
}

func TestACountGoesOnAfterARestart(t *testing.T) {
	for _, c := range []struct {
		name string
		lost bool
	}{{"with its store", false}, {"with its store lost: from the changelog", true}} {
		t.Run(c.name, func(t *testing.T) {
			r, p := newRig(t), counted()
			r.ensure(p)
			dir := t.TempDir()
			keep := func(env *engine.Env) { env.StateDir = dir }
			_, stop := r.run(p, "a", keep)
			r.send(1000, 10)
			r.awaitCounts(10, 100)
			stop()
			if c.lost {
				dir = t.TempDir()
			}
			_, stop = r.run(p, "a", keep)
			r.send(1000, 10)
			r.awaitCounts(10, 200)
			stop()
		})
	}
}

func TestARecordThatFailsLeavesNoTraceInTheStore(t *testing.T) {
	r, p := newRig(t), counted()
	r.ensure(p)
	_, stop := r.run(p, "a")
	cl := r.client()
	for _, v := range []string{`1`, `"poison"`, `2`} {
		r.sendAll(cl, &kgo.Record{Topic: "in", Key: []byte("k0"), Value: []byte(v)})
	}
	r.awaitCounts(1, 2)
	r.await("the dead letter", func() bool { return len(r.read("t.dead-letters")) == 1 })
	stop()
}

// A process that dies at any step of a commit, and wakes up as a zombie, must not count twice.
func TestAFailedCommitLeavesTheStoreAsCommitted(t *testing.T) {
	for _, step := range []string{"before-flush", "after-flush", "after-offsets", "after-end"} {
		t.Run(step, func(t *testing.T) {
			r, p := newRig(t), counted()
			r.ensure(p)
			r.send(100, 10)
			zombie := r.zombie(p, step)
			_, stop := r.run(p, "a")
			r.awaitCounts(10, 10)
			r.send(100, 10)
			r.awaitCounts(10, 20)
			zombie()
			stop()
			r.awaitCounts(10, 20)
		})
	}
}

// zombie runs a process until it stops dead at a step of its first commit; wake lets it go on and waits for its end.
func (r *rig) zombie(p *topology.Plan, step string) (wake func()) {
	r.t.Helper()
	var once sync.Once
	reached, never := make(chan struct{}), make(chan struct{})
	e, err := engine.New(p, engine.Env{Kafka: r.cfg, ID: "a", StateDir: r.t.TempDir(), Log: r.log, At: func(s string) {
		if s == step {
			once.Do(func() { close(reached); <-never })
		}
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(context.Background()) }()
	<-reached
	return func() {
		close(never)
		select {
		case err := <-ended:
			if err == nil {
				r.t.Error("the replaced process stops without an error")
			}
		case <-time.After(15 * time.Second):
			r.t.Error("the replaced process goes on, want it to stop with an error")
		}
	}
}

func TestTasksAreSharedAndHandedOver(t *testing.T) {
	r, p := newRig(t), counted()
	r.ensure(p)
	r.send(1000, 10)
	a, stopA := r.run(p, "a")
	r.awaitCounts(10, 100)
	b, stopB := r.run(p, "b")
	r.await("both have tasks", func() bool { return len(a.Status().Tasks) == 4 && len(b.Status().Tasks) == 4 })
	r.send(1000, 10)
	r.awaitCounts(10, 200)
	stopA()
	r.send(1000, 10)
	r.awaitCounts(10, 300)
	stopB()
}

func TestADeadLetterComesBackToItsState(t *testing.T) {
	r, p := newRig(t), counted()
	p.Stages[0].Replay, p.Inputs[1].Topic = "t.count.replay", "t.count.replay"
	p.Topics = append(p.Topics, topology.Topic{Name: "t.count.replay", Spec: api.TopicSpec{Partitions: 4}})
	r.ensure(p)
	_, stop := r.run(p, "a")
	cl := r.client()
	for _, v := range []string{`1`, `"poison"`, `2`} {
		r.sendAll(cl, &kgo.Record{Topic: "in", Key: []byte("k0"), Value: []byte(v)})
	}
	r.await("the dead letter", func() bool { return len(r.read("t.dead-letters")) == 1 })
	letter, err := deadletter.Parse(r.read("t.dead-letters")[0])
	if err != nil || letter.Replay != "t.count.replay" {
		t.Fatalf("letter %+v, %v", letter.Cause, err)
	}
	store := deadletter.New(deadletter.Options{Kafka: r.cfg, Topology: "t", Topic: "t.dead-letters", Replay: "t.replay"})
	if n, err := store.Replay(t.Context(), deadletter.Selection{}, false); err != nil || n != 1 {
		t.Fatalf("replayed %d: %v", n, err)
	}
	r.await("it is tried again, at its store", func() bool { return len(r.read("t.dead-letters")) >= 3 }) // the letter, its mark, the letter again
	stop()
}
