package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// rig is an embedded broker with a topology to run against it.
type rig struct {
	t   *testing.T
	cfg kafka.Config
	log *slog.Logger
}

func newRig(t *testing.T) *rig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("RAVEN_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	b, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return &rig{t: t, cfg: kafka.Config{Brokers: []string{b.Addr()}, Log: log}, log: log}
}

// plan is in -> bolts in a row -> out, with short times so that tests are quick.
func plan(bolts ...component.Definition) *topology.Plan {
	p := &topology.Plan{
		Name: "t", Delivery: api.ExactlyOnce, Workers: 1, Commit: 20 * time.Millisecond, Drain: 5 * time.Second,
		Limits: api.Limits{Records: 4096, Bytes: 64 << 20, PartitionRecords: 1024, RecordBytes: 1 << 20, Parked: 100},
		Retry: api.Retry{Budget: api.Duration(50 * time.Millisecond), Backoff: api.Duration(time.Millisecond), MaxBackoff: api.Duration(10 * time.Millisecond),
			Park: api.Duration(200 * time.Millisecond), ParkEvery: api.Duration(20 * time.Millisecond)},
		Group: "raven.t", DeadLetters: "t.dead-letters", Parked: "t.parked", Replay: "t.replay",
		Inputs: []topology.Input{{Name: "in", Topic: "in", Format: record.JSON, Start: "earliest"}, {Topic: "t.replay"}},
		Stages: []topology.Stage{{Name: "in", Inputs: []int{0, 1}}},
		Sinks:  []topology.Sink{{Name: "out", Topic: "out"}},
	}
	next := []topology.Target{{Sink: true}}
	for i := len(bolts) - 1; i >= 0; i-- {
		p.Bolts = append([]topology.Bolt{{Name: fmt.Sprintf("b%d", i), Component: bolts[i], Config: bolts[i].NewConfig()}}, p.Bolts...)
	}
	for i := range p.Bolts {
		p.Stages[0].Bolts = append(p.Stages[0].Bolts, i)
		after := next
		if i+1 < len(p.Bolts) {
			after = []topology.Target{{Index: i + 1}}
		}
		p.Bolts[i].Next = [][]topology.Target{after}
	}
	if len(bolts) > 0 {
		next = []topology.Target{{Index: 0}}
	}
	p.Inputs[0].Next = next
	big := map[string]string{"max.message.bytes": fmt.Sprint(kafka.InternalMaxRecord)}
	p.Topics = []topology.Topic{
		{Name: "in", Spec: api.TopicSpec{Partitions: 4, Config: big}}, {Name: "out", Spec: api.TopicSpec{Partitions: 4}},
		{Name: "t.dead-letters", Spec: api.TopicSpec{Partitions: 4, Config: big}},
		{Name: "t.parked", Spec: api.TopicSpec{Partitions: 4, Cleanup: "compact", Config: big}},
		{Name: "t.replay", Spec: api.TopicSpec{Partitions: 4, Config: big}},
	}
	return p
}

func (r *rig) ensure(p *topology.Plan) {
	r.t.Helper()
	admin, err := kafka.NewAdmin(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	defer admin.Close()
	var wishes []kafka.TopicWish
	for _, topic := range p.Topics {
		wishes = append(wishes, kafka.TopicWish{Name: topic.Name, Partitions: topic.Spec.Partitions, Config: topic.Spec.Config})
	}
	if _, err := admin.EnsureTopics(r.t.Context(), wishes); err != nil {
		r.t.Fatal(err)
	}
}

// run starts an engine; stop drains it and fails the test if it ended with an error.
func (r *rig) run(p *topology.Plan, id string, change ...func(*engine.Env)) (e *engine.Engine, stop func()) {
	r.t.Helper()
	env := engine.Env{Kafka: r.cfg, ID: id, StateDir: r.t.TempDir(), Log: r.log}
	for _, c := range change {
		c(&env)
	}
	e, err := engine.New(p, env)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("run topology: %v", err)
		}
	})
	r.t.Cleanup(stop)
	return e, stop
}

func (r *rig) client(opts ...kgo.Opt) *kgo.Client {
	r.t.Helper()
	cl, err := kgo.NewClient(append(r.cfg.Options(), opts...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cl.Close)
	return cl
}

// send produces n records over keys k0..: {"n": <count within key>, "id": <overall>}.
func (r *rig) send(n, keys int) {
	r.t.Helper()
	cl := r.client(kgo.ProducerBatchMaxBytes(kafka.InternalMaxRecord))
	var records []*kgo.Record
	for i := range n {
		records = append(records, &kgo.Record{Topic: "in", Key: fmt.Appendf(nil, "k%d", i%keys), Value: fmt.Appendf(nil, `{"n":%d,"id":%d}`, i/keys, i)})
	}
	r.sendAll(cl, records...)
}

func (r *rig) sendAll(cl *kgo.Client, records ...*kgo.Record) {
	r.t.Helper()
	if err := cl.ProduceSync(r.t.Context(), records...).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

// read returns the committed records of a topic so far.
func (r *rig) read(topic string) (records []*kgo.Record) {
	r.t.Helper()
	err := kafka.ReadToEnd(r.t.Context(), r.cfg, topic, nil, func(rec *kgo.Record) error {
		records = append(records, rec)
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return records
}

// await waits until the condition holds.
func (r *rig) await(what string, condition func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond) // sleep: polls a condition with a deadline
	}
}

// awaitOut waits until the topic holds n committed records and returns them.
func (r *rig) awaitOut(topic string, n int) (records []*kgo.Record) {
	r.t.Helper()
	r.await(fmt.Sprintf("%d records in %s", n, topic), func() bool {
		records = r.read(topic)
		return len(records) >= n
	})
	return records
}

// audit checks that every id 0..n-1 is there once and that each key is in order.
func (r *rig) audit(records []*kgo.Record, n int) {
	r.t.Helper()
	seen := make(map[int]int)
	last := make(map[string]int)
	for _, rec := range records {
		var v struct{ N, ID int }
		if err := json.Unmarshal(rec.Value, &v); err != nil {
			r.t.Fatalf("read output %q: %v", rec.Value, err)
		}
		seen[v.ID]++
		if prev, ok := last[string(rec.Key)]; ok && v.N <= prev {
			r.t.Errorf("key %s: %d after %d", rec.Key, v.N, prev)
		}
		last[string(rec.Key)] = v.N
	}
	for id := range n {
		if seen[id] != 1 {
			r.t.Errorf("record %d is there %d times", id, seen[id])
		}
	}
}

// bolt makes a component of a function.
func bolt(blocking bool, process func(ctx context.Context, r *record.Record, emit component.Emit) error) component.Definition {
	return component.DefineBolt(component.Spec{Name: "test", Blocking: blocking}, nil,
		func(*struct{}, component.Env) (component.Bolt, error) { return boltFunc(process), nil })
}

type boltFunc func(ctx context.Context, r *record.Record, emit component.Emit) error

func (f boltFunc) Process(ctx context.Context, r *record.Record, emit component.Emit) error {
	return f(ctx, r, emit)
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}
