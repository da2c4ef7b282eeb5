package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/deadletter"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
	"ravenswood.dev/test/kafka/apache"
)

// timed gives a record the time in its field at, as milliseconds.
func timed() component.Definition {
	return bolt(false, func(_ context.Context, r *record.Record, emit component.Emit) error {
		var v struct{ At int64 }
		if err := json.Unmarshal(r.Value, &v); err != nil {
			return component.Permanent(err)
		}
		if v.At != 0 {
			r.Time = time.UnixMilli(v.At)
		}
		emit(0, r)
		return nil
	})
}

// timedCounts is in -> timed -> count -> out, and beside it what count emits goes to the internal topic "inner".
func timedCounts() *topology.Plan {
	p := plan(timed(), tallying())
	p.Bolts[1].Late = true
	p.Bolts[1].Next = [][]topology.Target{{{Sink: true}, {Sink: true, Index: 1}}}
	p.Sinks = append(p.Sinks, topology.Sink{Name: "inner", Topic: "inner", Internal: true})
	p.Stages = []topology.Stage{{
		Name: "count", Inputs: []int{0, 1}, Bolts: []int{0, 1}, Stateful: true, Partitions: 4, Replay: p.Replay,
		Stores: []topology.Store{{Spec: store.Spec{Name: "count"}, Bolt: "b1", Changelog: "t.count.changelog"}},
	}}
	p.Topics = append(p.Topics, topology.Topic{Name: "inner", Internal: true, Spec: api.TopicSpec{Partitions: 4}},
		topology.Topic{Name: "t.count.changelog", Internal: true, Spec: api.TopicSpec{Partitions: 4, Config: map[string]string{"cleanup.policy": "compact"}}})
	return p
}

func TestARecordOfAnyTimeStopsNothing(t *testing.T) { anyTime(newRig(t)) }

func TestARecordOfAnyTimeStopsNothingOnApacheKafka(t *testing.T) {
	cluster := apache.ForTest(t, "Apache Kafka takes some seconds to start", apache.Options{})
	r := &rig{t: t}
	r.cfg, r.log = kafka.Config{Brokers: cluster.Addrs(), Log: slog.New(slog.DiscardHandler)}, slog.New(slog.DiscardHandler)
	anyTime(r)
}

// anyTime sends records of good and bad times, to a topic as it is made, to one that takes nothing old, and to one that takes
// tomorrow.
func anyTime(r *rig) {
	t := r.t
	p := timedCounts()
	p.Topics[1].Spec.Config = map[string]string{"message.timestamp.before.max.ms": "86400000"}
	r.ensure(p)
	e, stop := r.run(p, "a")
	now := time.Now()
	cl := r.client()
	send := func(key string, at time.Time) {
		r.sendAll(cl, &kgo.Record{Topic: "in", Key: []byte(key), Value: fmt.Appendf(nil, `{"at":%d}`, at.UnixMilli())})
	}
	for _, c := range []struct {
		says string // empty: it is taken
		at   time.Time
	}{
		{"", now},
		{`"out": the record's time`, now.Add(2 * time.Hour)},
		{"message.timestamp.before.max.ms", now.AddDate(0, 0, -2)},
		{"not between 1970 and 2262", time.UnixMilli(253402214400000)},
		{"not between 1970 and 2262", time.UnixMilli(-86400000)},
		{"", now.Add(-2 * time.Hour)},
		{"", now.Add(30 * time.Minute)},
	} {
		dead := len(r.read("t.dead-letters"))
		out := len(r.read("out"))
		send("k0", c.at)
		if c.says == "" {
			r.awaitOut("out", out+1)
			continue
		}
		letters := r.awaitOut("t.dead-letters", dead+1)
		letter, err := deadletter.Parse(newest(letters))
		if err != nil || !strings.Contains(letter.Err, c.says) {
			t.Errorf("time %s: letter %q, %v; want %q", c.at.UTC(), letter.Err, err, c.says)
		}
	}
	if n := r.counts()["k0"]; n != 3 || e.Status().Restarts != 0 {
		t.Errorf("%d are counted, want 3; %d restarts", n, e.Status().Restarts)
	}
	r.raiseAhead("out")
	tomorrow := now.AddDate(0, 0, 1).Truncate(time.Millisecond)
	stop()
	e, stop = r.run(p, "a")
	send("k0", tomorrow)
	r.await("a record of tomorrow, where the topic takes it", func() bool { return r.counts()["k0"] == 4 })
	r.await("a status that says so", func() bool { st := e.Status(); return len(st.Ahead(time.Now())) == 1 })
	if st := e.Status(); len(st.Ahead(tomorrow)) != 0 {
		t.Errorf("ahead tomorrow are %q", st.Ahead(tomorrow))
	}
	for _, topic := range []string{"inner", "t.count.changelog"} {
		records := r.read(topic)
		if last := newest(records); !kafka.EventTime(last).Equal(tomorrow) || time.Since(last.Timestamp).Abs() > 10*time.Minute {
			t.Errorf("%s: the last is of %s by its timestamp and of %s by itself, want now and %s", topic, last.Timestamp, kafka.EventTime(last), tomorrow)
		}
	}
	stop()
	if n := e.Status().Restarts; n != 0 {
		t.Errorf("%d restarts", n)
	}
}

// A program that takes microseconds for milliseconds writes times of the year 56000, where the topic takes them.
func TestARecordReadWithATimeThatCannotBeIsADeadLetter(t *testing.T) {
	r, p := newRig(t), counted()
	r.ensure(p)
	e, stop := r.run(p, "a")
	at := strconv.FormatInt(time.Now().UnixMicro(), 10)
	r.sendAll(r.client(), &kgo.Record{Topic: "in", Key: []byte("k0"), Value: []byte("1"), Headers: []kgo.RecordHeader{{Key: "raven-time", Value: []byte(at)}}})
	letter, err := deadletter.Parse(r.awaitOut("t.dead-letters", 1)[0])
	if err != nil || letter.Bolt != "in" || !strings.Contains(letter.Err, "not between 1970 and 2262") {
		t.Errorf("letter %+v, %v", letter.Cause, err)
	}
	r.send(1, 1)
	r.awaitCounts(1, 1)
	if n := e.Status().Restarts; n != 0 {
		t.Errorf("%d restarts", n)
	}
	stop()
}

func newest(records []*kgo.Record) (last *kgo.Record) {
	for _, r := range records {
		if last == nil || r.Offset > last.Offset { // all of one key, and so of one partition
			last = r
		}
	}
	return last
}

// raiseAhead lets a topic take times of the next ten days.
func (r *rig) raiseAhead(topic string) {
	r.t.Helper()
	r.alter(topic, "message.timestamp.after.max.ms", "864000000")
}

func (r *rig) alter(topic, name, value string) {
	r.t.Helper()
	answers, err := kadm.NewClient(r.client()).AlterTopicConfigs(r.t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, topic)
	if err != nil || answers[0].Err != nil {
		r.t.Fatal(err, answers)
	}
}

// A limit that is lowered while the topology works makes the broker refuse; the limits are learnt again then.
func TestALimitThatIsLoweredIsNoticed(t *testing.T) {
	r, p := newRig(t), timedCounts()
	r.ensure(p)
	r.alter("out", "message.timestamp.after.max.ms", "864000000")
	e, stop := r.run(p, "a")
	cl := r.client()
	send := func() {
		r.sendAll(cl, &kgo.Record{Topic: "in", Key: []byte("k0"), Value: fmt.Appendf(nil, `{"at":%d}`, time.Now().AddDate(0, 0, 1).UnixMilli())})
	}
	send()
	r.awaitOut("out", 1)
	r.alter("out", "message.timestamp.after.max.ms", "3600000")
	send()
	r.awaitOut("t.dead-letters", 1)
	r.sendAll(cl, &kgo.Record{Topic: "in", Key: []byte("k0"), Value: []byte(`{}`)})
	r.awaitCounts(1, 2)
	if n := e.Status().Restarts; n == 0 {
		t.Error("the broker refused nothing")
	}
	stop()
}

// hoarder keeps the values of each key in one entry.
type hoarder struct {
	c     processor.Context
	store store.KeyValue
}

func (h *hoarder) Open(ctx processor.Context) error {
	h.c, h.store = ctx, ctx.KeyValue("count")
	return nil
}

func (h *hoarder) Process(_ int, r *record.Record) error {
	e, _ := h.store.Get(r.Key)
	e.Value, e.Time = append(slices.Clip(e.Value), r.Value...), r.Time
	h.store.Put(r.Key, e)
	h.c.Emit(0, &record.Record{Key: r.Key, Value: fmt.Appendf(nil, `{"count":%d}`, len(e.Value)/len(r.Value)), Time: r.Time})
	return nil
}

// An entry of a store that its changelog does not take fails one record, and no other key.
func TestAnEntryThatTheChangelogDoesNotTakeStopsNothing(t *testing.T) {
	r, p := newRig(t), counted()
	p.Bolts[0].Component = component.DefineProcessor[noConfig](component.Spec{Name: "count"}, nil,
		func(*noConfig) component.Shape { return component.Shape{Stores: []store.Spec{{}}} },
		func(*noConfig, component.Env) (processor.Processor, error) { return &hoarder{}, nil })
	r.ensure(p)
	e, stop := r.run(p, "a")
	cl := r.client()
	noise := make([]byte, 400_000)
	for i := range noise { // what cannot be compressed
		noise[i] = 'a' + byte(rand.IntN(26)) //nolint:gosec // any will do
	}
	value := append(append([]byte(`"`), noise...), '"')
	send := func(key string) {
		r.sendAll(cl, &kgo.Record{Topic: "in", Key: []byte(key), Value: value})
	}
	for range 4 {
		send("k0")
	}
	letters := r.awaitOut("t.dead-letters", 2) // two fit into a record of 1 MB
	send("k1")
	r.awaitCounts(1, 2)
	r.await("another key", func() bool { return r.counts()["k1"] == 1 })
	for _, l := range letters {
		letter, err := deadletter.Parse(l)
		if err != nil || letter.Bolt != "b0" || !strings.Contains(letter.Err, `store "count"`) || !strings.Contains(letter.Err, `"t.count.changelog"`) {
			t.Errorf("letter %+v, %v", letter.Cause, err)
		}
	}
	if n := e.Status().Restarts; n != 0 {
		t.Errorf("%d restarts", n)
	}
	stop()
	fresh := t.TempDir()
	_, stop = r.run(p, "a", func(env *engine.Env) { env.StateDir = fresh })
	send("k0") // there are two still, so a third is too much
	r.awaitOut("t.dead-letters", 3)
	send("k1")
	r.await("another key", func() bool { return r.counts()["k1"] == 2 })
	stop()
}
