package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// located emits the records of all inputs as they come, with where they are from.
type located struct{ c processor.Context }

func (l *located) Open(c processor.Context) error { l.c = c; return nil }

func (l *located) Process(input int, r *record.Record) error {
	out := *r
	out.Value = fmt.Appendf(nil, `{"partition":%d,"input":%d,"time":%d}`, r.Origin.Partition, input, r.Time.UnixMilli())
	l.c.Emit(0, &out)
	return nil
}

// crowd is a task for each of many partitions of two topics, in one worker.
func crowd(partitions int, limits api.Limits) *topology.Plan {
	p := sequenced()
	p.Bolts[0].Component = component.DefineProcessor[noConfig](component.Spec{Name: "located"}, nil,
		func(*noConfig) component.Shape { return component.Shape{Keyed: true, Inputs: []string{"in", "other"}} },
		func(*noConfig, component.Env) (processor.Processor, error) { return &located{}, nil })
	p.Stages[0].Partitions = partitions
	for i := range p.Topics {
		if p.Topics[i].Name != "out" {
			p.Topics[i].Spec.Partitions = partitions
		}
	}
	limits.RecordBytes, limits.Parked = 1<<20, 100
	p.Limits = limits
	return p
}

// Many tasks share a worker that may have less in hand than they could. In some the records of one input are all earlier than
// those of the other, in others the earlier ones are in a transaction that is not decided. Whatever waits for whom: all records
// come, each once and in the order of the times of its task, and never is much more in hand than may be.
func TestManyTasksInLittleRoomDoNotKeepEachOtherFromWork(t *testing.T) {
	const partitions = 12
	for _, c := range []struct {
		name   string
		limits api.Limits
		each   int   // records of each partition
		most   int64 // records in hand: the limit, what one poll may bring beyond it, and a partition's limit for each input that is waited for
	}{
		{"few records", api.Limits{Records: 64, PartitionRecords: 8, Bytes: 64 << 20}, 150, 64 + 2*partitions*8},
		{"one record of each partition", api.Limits{Records: 4, PartitionRecords: 1, Bytes: 64 << 20}, 20, 4 + 2*partitions},
		{"few bytes", api.Limits{Records: 64, PartitionRecords: 8, Bytes: 6000}, 150, 64 + 2*partitions*8},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, p := newRig(t), crowd(partitions, c.limits)
			r.ensure(p)
			held := r.client(kgo.TransactionalID("writer"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err := held.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			plain := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
			for n := range int32(partitions) {
				at, writer := [2]int{0, 0}, plain
				switch n % 4 {
				case 0:
					at[1] = 1000_000
				case 1:
					at[0] = 1000_000
				case 2:
					writer = held
				}
				var in, other []*kgo.Record
				for i := range c.each {
					in = append(in, crowded("in", n, at[0]+i))
					other = append(other, crowded("other", n, at[1]+i))
				}
				r.sendAll(plain, in...)
				r.sendAll(writer, other...)
			}
			e, stop := r.run(p, "a")
			most := watchInFlight(t, e)
			r.await("records of tasks whose inputs are decided", func() bool { return len(r.read("out")) >= 2*c.each*partitions*3/4 || e.Status().Restarts > 0 })
			if err := held.EndTransaction(context.Background(), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			out := r.awaitOut("out", 2*c.each*partitions)
			stop()
			wantEachInOrder(t, out, partitions, c.each)
			if got := most(); got > c.most {
				t.Errorf("%d records were in hand, want at most %d", got, c.most)
			}
		})
	}
}

func crowded(topic string, partition int32, at int) *kgo.Record {
	return &kgo.Record{Topic: topic, Partition: partition, Key: []byte("k"), Value: []byte(`{}`), Timestamp: time.UnixMilli(int64(at))}
}

// watchInFlight looks at how many records are in hand until it is asked for the most.
func watchInFlight(t *testing.T, e *engine.Engine) (most func() int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	found := make(chan int64)
	go func() {
		top := int64(0)
		for tick := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			top = max(top, e.Status().InFlight)
		}
		found <- top
	}()
	return func() int64 { cancel(); return <-found }
}

func wantEachInOrder(t *testing.T, out []*kgo.Record, partitions, each int) {
	t.Helper()
	last, counts := make(map[int]int), make(map[[2]int]int)
	for _, o := range out {
		var partition, input, at int
		if _, err := fmt.Sscanf(string(o.Value), `{"partition":%d,"input":%d,"time":%d}`, &partition, &input, &at); err != nil {
			t.Fatal(err)
		}
		if at < last[partition] {
			t.Fatalf("partition %d: input %d at %d after %d", partition, input, at, last[partition])
		}
		last[partition] = at
		counts[[2]int{partition, input}]++
	}
	for n := range partitions {
		for input := range 2 {
			if got := counts[[2]int{n, input}]; got != each {
				t.Errorf("partition %d: %d records of input %d, want %d", n, got, input, each)
			}
		}
	}
}
