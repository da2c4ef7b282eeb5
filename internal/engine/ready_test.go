package engine_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTasksWorkWhileAnotherRestores: a foreign transaction keeps one changelog from being read to its end. That task waits,
// through a rebalance in the middle of its restoring, too; the others work; and in the end nothing is missing.
func TestTasksWorkWhileAnotherRestores(t *testing.T) {
	r, p := newRig(t), counted()
	r.ensure(p)
	foreign := r.client(kgo.TransactionalID("foreign"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := foreign.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	r.sendAll(foreign, &kgo.Record{Topic: "t.count.changelog", Partition: 0, Key: []byte("x"), Value: []byte("x")})
	in := r.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	send := func() {
		for n := range int32(4) {
			r.sendAll(in, &kgo.Record{Topic: "in", Partition: n, Key: fmt.Appendf(nil, "k%d", n), Value: []byte("1")})
		}
	}
	working := func(times int) func() bool {
		return func() bool {
			counts := r.counts()
			return counts["k0"] == 0 && counts["k1"] == times && counts["k2"] == times && counts["k3"] == times
		}
	}

	_, stopA := r.run(p, "a")
	send()
	r.await("the tasks that can work do", working(1))
	b, stopB := r.run(p, "b")
	r.await("both have tasks", func() bool { return len(b.Status().Tasks) == 4 })
	send()
	r.await("they go on after the rebalance", working(2))
	stopA()
	send()
	r.await("they go on at one process", working(3))
	if err := foreign.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	r.awaitCounts(4, 3)
	stopB()
}
