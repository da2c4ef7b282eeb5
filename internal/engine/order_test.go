package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// sequence emits the records of all inputs as they come, with a number.
type sequence struct {
	c processor.Context
	n int
}

func (s *sequence) Open(c processor.Context) error { s.c = c; return nil }

func (s *sequence) Process(input int, r *record.Record) error {
	s.n++
	out := *r
	out.Value = fmt.Appendf(nil, `{"input":%d,"time":%d}`, input, r.Time.UnixMilli())
	s.c.Emit(0, &out)
	return nil
}

// sequenced is two topics of one partition -> sequence -> out.
func sequenced() *topology.Plan {
	d := component.DefineProcessor[noConfig](component.Spec{Name: "sequence"}, nil,
		func(*noConfig) component.Shape { return component.Shape{Keyed: true, Inputs: []string{"in", "other"}} },
		func(*noConfig, component.Env) (processor.Processor, error) { return &sequence{}, nil })
	p := plan(d)
	p.Bolts[0].Late = true
	p.Inputs = append(p.Inputs, topology.Input{Name: "other", Topic: "other", Format: record.JSON, Start: "earliest", Next: []topology.Target{{Index: 0, Input: 1}}})
	p.Stages = []topology.Stage{{Name: "sequence", Inputs: []int{0, 1, 2}, Bolts: []int{0}, Stateful: true, Partitions: 1, Replay: p.Replay}}
	p.Topics = append(p.Topics, topology.Topic{Name: "other", Spec: api.TopicSpec{Partitions: 4}})
	for i := range p.Topics {
		p.Topics[i].Spec.Partitions = 1
	}
	return p
}

// One topic is all earlier than the other, and both hold more than a worker may have in hand: neither may keep the other
// from being read.
func TestInputsOfATaskAreWorkedOnInTheOrderOfEventTime(t *testing.T) {
	for _, c := range []struct {
		name string
		at   [2]int // milliseconds of the first record, by input
	}{{"the first input is earlier", [2]int{0, 1000_000}}, {"the second input is earlier", [2]int{1000_000, 0}}, {"in step", [2]int{0, 0}}} {
		t.Run(c.name, func(t *testing.T) {
			r, p := newRig(t), sequenced()
			r.ensure(p)
			const n = 10_000
			cl := r.client()
			var records []*kgo.Record
			for i := range n {
				for input, topic := range []string{"in", "other"} {
					records = append(records, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(`{}`), Timestamp: time.UnixMilli(int64(c.at[input] + i))})
				}
			}
			r.sendAll(cl, records...)
			_, stop := r.run(p, "a")
			out := r.awaitOut("out", 2*n)
			stop()
			wantInOrder(t, out)
		})
	}
}

// The end of a transaction stands in the log with the time of the broker's clock, long after the records around it.
func TestEndsOfTransactionsDoNotPutInputsOutOfOrder(t *testing.T) {
	r, p := newRig(t), sequenced()
	r.ensure(p)
	const transactions, each = 40, 25
	cl := r.client(kgo.TransactionalID("writer"))
	for n := range transactions {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := n * each; i < (n+1)*each; i++ {
			for _, topic := range []string{"in", "other"} {
				r.sendAll(cl, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(`{}`), Timestamp: time.UnixMilli(int64(i))})
			}
		}
		if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
	_, stop := r.run(p, "a")
	out := r.awaitOut("out", 2*transactions*each)
	stop()
	wantInOrder(t, out)
}

func wantInOrder(t *testing.T, out []*kgo.Record) {
	t.Helper()
	last := 0
	for _, o := range out {
		var input, at int
		if _, err := fmt.Sscanf(string(o.Value), `{"input":%d,"time":%d}`, &input, &at); err != nil {
			t.Fatal(err)
		}
		if at < last {
			t.Fatalf("input %d at %d after %d", input, at, last)
		}
		last = at
	}
}

// The second input has a record of a transaction that is not decided, so those of the first wait. Whoever is asked to stop
// then does not wait for it: nothing more is read.
func TestAStopDoesNotWaitForAnInputThatIsNotReadAnyMore(t *testing.T) {
	r, p := newRig(t), sequenced()
	p.Drain = time.Minute
	r.ensure(p)
	undecided := r.client(kgo.TransactionalID("writer"))
	if err := undecided.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	record := func(topic string, at int64) *kgo.Record {
		return &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(`{}`), Timestamp: time.UnixMilli(at)}
	}
	r.sendAll(undecided, record("other", 1))
	r.sendAll(r.client(), record("in", 2))
	e, stop := r.run(p, "a")
	r.await("the record is in hand", func() bool { return e.Status().InFlight == 1 })
	r.await("the transaction is seen to be open", func() bool {
		o := e.Status().Undecided
		return o != nil && o.Topic == "other" && o.Offset == 0 && o.Age > 0
	})
	began := time.Now()
	stop()
	if took := time.Since(began); took > 8*time.Second { // less than an input is waited for
		t.Errorf("stopped after %v", took)
	}
	if err := undecided.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	_, stop = r.run(p, "a")
	out := r.awaitOut("out", 2)
	stop()
	wantInOrder(t, out)
}

// Each record of the second input is on the log before the younger one of the first is written, but nothing says that it is
// read before: whoever goes on because an input has nothing here must know that the log has nothing either.
func TestAnInputIsWaitedForUntilTheLogWasLookedAt(t *testing.T) {
	r, p := newRig(t), sequenced()
	r.ensure(p)
	_, stop := r.run(p, "a")
	const n = 300
	cl := r.client()
	for i := range n {
		for turn, topic := range []string{"other", "in"} {
			r.sendAll(cl, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(`{}`), Timestamp: time.UnixMilli(int64(2*i + turn))})
		}
	}
	out := r.awaitOut("out", 2*n)
	stop()
	for i, o := range out {
		var input, at int
		if _, err := fmt.Sscanf(string(o.Value), `{"input":%d,"time":%d}`, &input, &at); err != nil || at != i {
			t.Fatalf("record %d is %s (%v)", i, o.Value, err)
		}
	}
}
