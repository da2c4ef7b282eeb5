package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/kafka"
)

// member runs a Transactor for the test; what the callbacks are told arrives in its channels.
type member struct {
	*kafka.Transactor // inside callbacks wait for made
	made              chan struct{}
	assigned          chan map[string][]int32
	revoked           chan map[string][]int32
}

// joinGroup makes a member of group "g"; change may set what the test is about.
func joinGroup(t *testing.T, cfg kafka.Config, id string, topics []string, change func(*member, *kafka.TransactorConfig)) *member {
	t.Helper()
	m := &member{made: make(chan struct{}), assigned: make(chan map[string][]int32, 64), revoked: make(chan map[string][]int32, 64)}
	tc := kafka.TransactorConfig{
		Config: cfg, Group: "g", ID: id, Topics: topics, Transactional: true,
		Assigned: func(_ context.Context, p map[string][]int32) error { m.assigned <- p; return nil },
		Revoked:  func(p map[string][]int32) { m.revoked <- p },
		Lost:     func(p map[string][]int32) { m.revoked <- p },
	}
	if change != nil {
		change(m, &tc)
	}
	tx, err := kafka.NewTransactor(tc)
	if err != nil {
		t.Fatal(err)
	}
	m.Transactor = tx
	close(m.made)
	t.Cleanup(tx.Close)
	return m
}

// poll reads until n records have come and returns them.
func (m *member) poll(t *testing.T, n int) []*kgo.Record {
	t.Helper()
	ctx := within(t, 10*time.Second)
	var got []*kgo.Record
	for len(got) < n {
		fetches, err := m.Poll(ctx, 100)
		if err != nil || ctx.Err() != nil {
			t.Fatalf("poll: %v %v with %d of %d records", err, ctx.Err(), len(got), n)
		}
		for _, r := range fetches.Records() {
			if !r.Attrs.IsControl() {
				got = append(got, r)
			}
		}
	}
	return got
}

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

func noStep(string) {}

func TestMetadataIsCommittedWithOffsetsAndKnownWhenAssigned(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("m", kafka.MaxMetadata)
	for _, c := range []struct {
		name          string
		transactional bool
		produces      bool
	}{
		{"in a transaction", true, true},
		{"a transaction that wrote nothing", true, false},
		{"without transactions", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := start(t)
			createTopic(t, cfg, "in", 2, nil)
			createTopic(t, cfg, "out", 1, nil)
			plain := connect(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()))
			produce(t, plain, "in", 0, "a", "b")

			mode := func(_ *member, tc *kafka.TransactorConfig) { tc.Transactional = c.transactional }
			first := joinGroup(t, cfg, "w0", []string{"in"}, mode)
			first.poll(t, 2)
			if at, meta := first.Committed("in", 0), first.CommittedMeta("in", 0); at != -1 || meta != "" {
				t.Fatalf("a new group has committed %d %q", at, meta)
			}
			if c.produces {
				first.Produce(t.Context(), &kgo.Record{Topic: "out", Value: []byte("a")})
			}
			meta := kafka.Metadata{"in": {0: long}}
			if err := first.CommitWith(t.Context(), kafka.Offsets{"in": {0: 1, 1: 0}}, meta, noStep); err != nil {
				t.Fatal(err)
			}
			if err := first.CloseAndLeave(t.Context()); err != nil {
				t.Fatal(err)
			}

			known := make(chan string, 1)
			second := joinGroup(t, cfg, "w1", []string{"in"}, func(m *member, tc *kafka.TransactorConfig) {
				tc.Transactional = c.transactional
				tc.Assigned = func(context.Context, map[string][]int32) error {
					<-m.made
					known <- fmt.Sprintf("%d %s, %d %q", m.Committed("in", 0), m.CommittedMeta("in", 0), m.Committed("in", 1), m.CommittedMeta("in", 1))
					return nil
				}
			})
			if got, want := receive(t, "assignment", known), fmt.Sprintf("1 %s, 0 \"\"", long); got != want {
				t.Errorf("inside Assigned it had committed %s; want %s", got, want)
			}
			if r := second.poll(t, 1)[0]; r.Offset != 1 {
				t.Errorf("reading begins at %d; want 1", r.Offset)
			}
		})
	}
}

func TestMetadataIsBounded(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "in", 1, nil)
	m := joinGroup(t, cfg, "w0", []string{"in"}, nil)
	receive(t, "assignment", m.assigned)
	meta := kafka.Metadata{"in": {0: strings.Repeat("m", kafka.MaxMetadata+1)}}
	err := m.CommitWith(t.Context(), kafka.Offsets{"in": {0: 0}}, meta, noStep)
	if err == nil || !strings.Contains(err.Error(), "4001 bytes") {
		t.Fatalf("got %v", err)
	}
}

// TestAssignedWaitsForOffsetsThatAreAboutToChange: a dead member of another id may have left a transaction that holds
// offsets. Its outcome decides where the successor begins.
func TestAssignedWaitsForOffsetsThatAreAboutToChange(t *testing.T) {
	t.Parallel()
	for _, commit := range []bool{true, false} {
		t.Run(fmt.Sprintf("commit=%v", commit), func(t *testing.T) {
			cfg := start(t)
			createTopic(t, cfg, "in", 1, nil)
			plain := connect(t, cfg)
			produce(t, plain, "in", 0, "a", "b", "c")
			other := connect(t, cfg, kgo.TransactionalID("other"))
			begin(t, other)
			produce(t, other, "in", 0, "open")
			commitInTransaction(t, other, "other", "in", 2, "meta")

			m := joinGroup(t, cfg, "w0", []string{"in"}, nil)
			select {
			case <-m.assigned:
				t.Fatal("assigned while the offset is undecided")
			case <-time.After(500 * time.Millisecond):
			}
			end(t, other, kgo.TransactionEndTry(commit))
			receive(t, "assignment", m.assigned)
			want, meta := int64(-1), ""
			if commit {
				want, meta = 2, "meta"
			}
			if at := m.Committed("in", 0); at != want || m.CommittedMeta("in", 0) != meta {
				t.Errorf("committed %d %q; want %d %q", at, m.CommittedMeta("in", 0), want, meta)
			}
			if r := m.poll(t, 1)[0]; r.Offset != max(want, 0) {
				t.Errorf("reading begins at %d; want %d", r.Offset, want)
			}
		})
	}
}

// commitInTransaction adds an offset of group "g" to a client's open transaction.
func commitInTransaction(t *testing.T, client *kgo.Client, id, topic string, offset int64, meta string) {
	t.Helper()
	pid, epoch, err := client.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = id, "g", pid, epoch
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Offset, rp.Metadata = offset, &meta
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), client)
	if err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(err, resp)
	}
}

// TestAFailedProduceLeavesNothing: the client commits what has succeeded if it is asked to.
func TestAFailedProduceLeavesNothing(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "in", 1, nil)
	createTopic(t, cfg, "out", 1, nil)
	createTopic(t, cfg, "narrow", 1, map[string]string{"max.message.bytes": "500"})
	m := joinGroup(t, cfg, "w0", []string{"in"}, nil)
	receive(t, "assignment", m.assigned)
	m.Produce(t.Context(), &kgo.Record{Topic: "out", Value: []byte("fine")})
	m.Produce(t.Context(), &kgo.Record{Topic: "narrow", Value: noise(5000)})
	m.Produce(t.Context(), &kgo.Record{Topic: "out", Value: []byte("fine")})
	if err := m.Commit(t.Context(), kafka.Offsets{"in": {0: 0}}, noStep); !errors.Is(err, kafka.ErrAborted) {
		t.Fatalf("got %v", err)
	}
	m.Abort(t.Context())
	err := kafka.ReadToEnd(within(t, 10*time.Second), cfg, "out", nil, func(r *kgo.Record) error {
		t.Errorf("read %q", r.Value)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if at, err := admin(t, cfg).CommittedOffsets(t.Context(), "g"); err != nil || len(at) != 0 {
		t.Errorf("committed %v, %v", at, err)
	}
}

func TestWrittenIsWhereTrackedTopicsStandAfterACommit(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "in", 1, nil)
	createTopic(t, cfg, "log", 2, nil)
	createTopic(t, cfg, "out", 1, nil)
	m := joinGroup(t, cfg, "w0", []string{"in"}, func(_ *member, tc *kafka.TransactorConfig) {
		tc.Tracked, tc.Manual = map[string]bool{"log": true}, map[string]bool{"log": true}
	})
	receive(t, "assignment", m.assigned)
	write := func(topic string, partition int32, n int) {
		for range n {
			m.Produce(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte("v")})
		}
	}
	commit := func() map[kafka.TopicPartition]int64 {
		if err := m.Commit(t.Context(), kafka.Offsets{"in": {0: 0}}, noStep); err != nil {
			t.Fatal(err)
		}
		return m.Written()
	}
	steps := []struct {
		name  string
		write func()
		want  map[kafka.TopicPartition]int64
	}{
		{"two partitions", func() { write("log", 0, 3); write("log", 1, 1); write("out", 0, 5) },
			map[kafka.TopicPartition]int64{{Topic: "log", Partition: 0}: 3, {Topic: "log", Partition: 1}: 1}},
		{"behind the marker of the first", func() { write("log", 0, 1) }, map[kafka.TopicPartition]int64{{Topic: "log", Partition: 0}: 5}},
		{"nothing tracked", func() { write("out", 0, 1) }, nil},
		{"nothing at all", func() {}, nil},
	}
	for _, s := range steps {
		s.write()
		if got := commit(); fmt.Sprint(got) != fmt.Sprint(s.want) {
			t.Fatalf("%s: written %v; want %v", s.name, got, s.want)
		}
	}
}

// TestPauseInsideAssignedKeepsAPartitionUnread: a task restores before it sees its first record.
func TestPauseInsideAssignedKeepsAPartitionUnread(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "in", 2, nil)
	plain := connect(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	produce(t, plain, "in", 0, "a", "b")
	produce(t, plain, "in", 1, "c", "d")
	m := joinGroup(t, cfg, "w0", []string{"in"}, func(m *member, tc *kafka.TransactorConfig) {
		tc.Assigned = func(context.Context, map[string][]int32) error {
			<-m.made
			m.Pause(map[string][]int32{"in": {0}})
			m.assigned <- nil
			return nil
		}
	})
	receive(t, "assignment", m.assigned)
	for _, r := range m.poll(t, 2) {
		if r.Partition == 0 {
			t.Fatalf("read offset %d of a paused partition", r.Offset)
		}
	}
	produce(t, plain, "in", 0, "e")
	produce(t, plain, "in", 1, "f")
	if r := m.poll(t, 1)[0]; r.Partition == 0 {
		t.Fatal("read a paused partition")
	}
	m.Resume(map[string][]int32{"in": {0}})
	for i, r := range m.poll(t, 3) {
		if r.Partition != 0 || r.Offset != int64(i) {
			t.Fatalf("record %d after Resume is %d/%d", i, r.Partition, r.Offset)
		}
	}
}

// TestReadingBeginsWhereAssignedWasTold: a task restores by the offsets it is told; the client reads them again later.
func TestReadingBeginsWhereAssignedWasTold(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "in", 1, nil)
	produce(t, connect(t, cfg), "in", 0, "a", "b", "c")
	other := connect(t, cfg, kgo.TransactionalID("other"))
	commit := func(offset int64) {
		begin(t, other)
		produce(t, other, "in", 0, "marker")
		commitInTransaction(t, other, "other", "in", offset, "")
		end(t, other, kgo.TryCommit)
	}
	commit(1)
	m := joinGroup(t, cfg, "w0", []string{"in"}, func(m *member, tc *kafka.TransactorConfig) {
		tc.Assigned = func(context.Context, map[string][]int32) error {
			commit(2)
			m.assigned <- nil
			return nil
		}
	})
	receive(t, "assignment", m.assigned)
	if r := m.poll(t, 1)[0]; r.Offset != 1 || m.Committed("in", 0) != 1 {
		t.Errorf("reading begins at %d, told was %d", r.Offset, m.Committed("in", 0))
	}
}

// noise cannot be made smaller.
func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.IntN(256))
	}
	return b
}
