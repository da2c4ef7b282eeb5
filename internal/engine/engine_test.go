package engine_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/record"
)

func TestRecordsPassOnceAndInOrder(t *testing.T) {
	r := newRig(t)
	p := plan()
	r.ensure(p)
	r.send(5000, 50)
	_, stop := r.run(p, "a")
	r.awaitOut("out", 5000)
	stop()
	r.audit(r.read("out"), 5000)
}

func TestSlowCallsKeepKeyOrderAndRunInParallel(t *testing.T) {
	r := newRig(t)
	var inFlight, most atomic.Int64
	p := plan(bolt(true, func(ctx context.Context, rec *record.Record, emit component.Emit) error {
		n := inFlight.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		timer := time.NewTimer(time.Duration(rand.IntN(4000)) * time.Microsecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		inFlight.Add(-1)
		emit(0, rec)
		return nil
	}))
	r.ensure(p)
	r.send(5000, 200)
	_, stop := r.run(p, "a")
	r.awaitOut("out", 5000)
	stop()
	r.audit(r.read("out"), 5000)
	if most.Load() < 50 {
		t.Errorf("at most %d calls ran at once, want many", most.Load())
	}
}

func TestACommitDoesNotWaitForASlowRecord(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	p := plan(bolt(true, func(ctx context.Context, rec *record.Record, emit component.Emit) error {
		if string(rec.Key) == "slow" {
			select {
			case <-release:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		emit(0, rec)
		return nil
	}))
	r.ensure(p)
	r.send(100, 100)
	_, stop := r.run(p, "a")
	r.awaitOut("out", 100)
	r.sendAll(r.client(), &kgo.Record{Topic: "in", Key: []byte("slow"), Value: []byte(`{"n":0,"id":100}`)})
	r.sendAll(r.client(kgo.RecordPartitioner(kgo.ManualPartitioner())),
		&kgo.Record{Topic: "in", Partition: 0, Key: []byte("x"), Value: []byte(`{"n":0,"id":101}`)},
		&kgo.Record{Topic: "in", Partition: 1, Key: []byte("x"), Value: []byte(`{"n":0,"id":102}`)},
		&kgo.Record{Topic: "in", Partition: 2, Key: []byte("x"), Value: []byte(`{"n":0,"id":103}`)},
		&kgo.Record{Topic: "in", Partition: 3, Key: []byte("x"), Value: []byte(`{"n":0,"id":104}`)})
	r.awaitOut("out", 103) // three partitions do not wait for the fourth
	close(release)
	r.awaitOut("out", 105)
	stop()
}

func TestARestartGoesOnAtTheLowWaterMark(t *testing.T) {
	r := newRig(t)
	var calls sync.Map
	hold := make(chan struct{})
	p := plan(bolt(true, func(ctx context.Context, rec *record.Record, emit component.Emit) error {
		n, _ := calls.LoadOrStore(rec.Origin.String(), new(atomic.Int64))
		if n.(*atomic.Int64).Add(1) == 1 && string(rec.Value) == `{"n":0,"id":3}` {
			select {
			case <-hold:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		emit(0, rec)
		return nil
	}))
	p.Drain = 100 * time.Millisecond
	r.ensure(p)
	r.send(400, 40)
	_, stop := r.run(p, "a")
	r.await("calls", func() bool {
		n := 0
		calls.Range(func(any, any) bool { n++; return true })
		return n >= 300
	})
	stop() // k3 is still in its first call
	_, stop = r.run(p, "a")
	r.awaitOut("out", 400)
	stop()
	r.audit(r.read("out"), 400)
}

func TestSeveralProcessesShareAndHandOver(t *testing.T) {
	r := newRig(t)
	p := plan(bolt(true, func(_ context.Context, rec *record.Record, emit component.Emit) error { emit(0, rec); return nil }))
	p.Workers = 2
	r.ensure(p)
	a, stopA := r.run(p, "a")
	r.send(2000, 100)
	r.awaitOut("out", 2000)
	b, stopB := r.run(p, "b")
	r.await("b gets partitions", func() bool { return len(b.Status().Tasks) > 0 && len(a.Status().Tasks) > 0 })
	var wg sync.WaitGroup
	wg.Go(func() { r.send(2000, 100) })
	stopA()
	wg.Wait()
	r.awaitOut("out", 4000)
	stopB()
	if got := len(r.read("out")); got != 4000 {
		t.Errorf("out holds %d records, want 4000", got)
	}
}

func TestAFailedCommitIsRepeatedWithoutATrace(t *testing.T) {
	for _, step := range []string{"before-flush", "after-flush", "after-offsets", "after-end"} {
		t.Run(step, func(t *testing.T) {
			r := newRig(t)
			p := plan()
			r.ensure(p)
			r.send(1000, 10)
			// A predecessor that stops dead at the step: its session hangs there while the successor takes over.
			var once sync.Once
			reached, never := make(chan struct{}), make(chan struct{})
			env := engine.Env{Kafka: r.cfg, ID: "a", StateDir: t.TempDir(), Log: r.log, At: func(s string) {
				if s == step {
					once.Do(func() { close(reached); <-never })
				}
			}}
			e, err := engine.New(p, env)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- e.Run(ctx) }()
			<-reached
			successor, stop := r.run(p, "a")
			r.awaitOut("out", 1000)
			r.await("the successor has done what it found", func() bool { return caughtUp(successor.Status(), 1000) })
			close(never) // the zombie wakes up and tries to finish its commit
			select {
			case err := <-ended:
				if err == nil {
					t.Error("the replaced process stops without an error")
				}
			case <-time.After(15 * time.Second):
				t.Error("the replaced process goes on, want it to stop with an error")
			}
			cancel()
			stop()
			r.audit(r.read("out"), 1000)
		})
	}
}

// caughtUp says whether all of at least n records are committed, by this process or by others.
func caughtUp(s engine.Status, n int64) bool {
	stable := int64(0)
	for _, task := range s.Tasks {
		stable += task.Stable
	}
	return stable >= n && s.Lag == 0
}

func TestFailures(t *testing.T) {
	boom := errors.New("boom")
	t.Run("a record that can never succeed becomes a dead letter at once, untouched", func(t *testing.T) {
		r := newRig(t)
		p := plan(bolt(true, func(_ context.Context, rec *record.Record, emit component.Emit) error {
			if string(rec.Key) == "k1" {
				return component.Permanent(boom)
			}
			emit(0, rec)
			return nil
		}))
		r.ensure(p)
		r.send(20, 2)
		_, stop := r.run(p, "a")
		r.awaitOut("out", 10)
		dead := r.awaitOut("t.dead-letters", 10)
		stop()
		if string(dead[0].Key) != "k1" || string(dead[0].Value) != `{"n":0,"id":1}` {
			t.Errorf("dead letter is %s %s", dead[0].Key, dead[0].Value)
		}
		if got := header(dead[0], "raven-dead-error"); got != "boom" {
			t.Errorf("cause is %q", got)
		}
	})
	t.Run("a key that fails is parked, others flow, and it comes back in order", func(t *testing.T) {
		r := newRig(t)
		var healed atomic.Bool
		p := plan(bolt(true, func(_ context.Context, rec *record.Record, emit component.Emit) error {
			if string(rec.Key) == "k1" && !healed.Load() {
				return boom
			}
			emit(0, rec)
			return nil
		}))
		p.Retry.Park = 1 << 40
		r.ensure(p)
		r.send(50, 5)
		e, stop := r.run(p, "a")
		r.awaitOut("out", 40)
		r.await("k1 is parked", func() bool { s := e.Status(); return len(s.ParkedKeys) == 1 && s.Parked == 10 })
		stop()
		e, stop = r.run(p, "a") // parked records survive a restart
		r.await("k1 is parked again", func() bool { s := e.Status(); return len(s.ParkedKeys) == 1 && s.Parked == 10 })
		healed.Store(true)
		out := r.awaitOut("out", 50)
		stop()
		r.audit(out, 50)
		if left := r.read("t.dead-letters"); len(left) != 0 {
			t.Errorf("%d dead letters, want none", len(left))
		}
	})
	t.Run("a parked record whose time is over becomes a dead letter, the next of its key gets its turn", func(t *testing.T) {
		r := newRig(t)
		p := plan(bolt(true, func(_ context.Context, rec *record.Record, emit component.Emit) error {
			if string(rec.Value) == `{"n":0,"id":1}` {
				return boom
			}
			emit(0, rec)
			return nil
		}))
		r.ensure(p)
		r.send(20, 2)
		_, stop := r.run(p, "a")
		r.awaitOut("out", 19)
		r.awaitOut("t.dead-letters", 1)
		stop()
	})
	t.Run("while a service is down records wait and use up nothing", func(t *testing.T) {
		r := newRig(t)
		var up atomic.Bool
		p := plan(bolt(true, func(_ context.Context, rec *record.Record, emit component.Emit) error {
			if !up.Load() {
				return component.Outage(boom)
			}
			emit(0, rec)
			return nil
		}))
		p.Retry.Budget = 1
		p.Retry.Park = 0
		r.ensure(p)
		r.send(2000, 2000)
		e, stop := r.run(p, "a")
		r.await("retries", func() bool { return e.Status().Bolts[0].Retries > 100 })
		up.Store(true)
		r.awaitOut("out", 2000)
		stop()
		if dead := r.read("t.dead-letters"); len(dead) != 0 {
			t.Errorf("%d dead letters, want none", len(dead))
		}
	})
	t.Run("bad records: not JSON, too large, no key, a tombstone", func(t *testing.T) {
		r := newRig(t)
		p := plan()
		r.ensure(p)
		cl := r.client(kgo.ProducerBatchMaxBytes(8 << 20))
		r.sendAll(cl,
			&kgo.Record{Topic: "in", Key: []byte("a"), Value: []byte(`{"n":`)},
			&kgo.Record{Topic: "in", Key: []byte("b"), Value: append([]byte(`"`), append(make([]byte, 0, 4<<20), append(bytesOf('x', 4<<20), '"')...)...)},
			&kgo.Record{Topic: "in", Value: []byte(`{"n":1}`)},
			&kgo.Record{Topic: "in", Key: []byte("d")},
			&kgo.Record{Topic: "in", Key: []byte("e"), Value: append([]byte(`"`), append(bytesOf('x', 1_048_400), '"')...)},
		)
		_, stop := r.run(p, "a")
		out := r.awaitOut("out", 2)
		dead := r.awaitOut("t.dead-letters", 3)
		stop()
		if len(out) != 2 || len(dead) != 3 {
			t.Errorf("%d out and %d dead, want 2 and 3", len(out), len(dead))
		}
		for _, d := range dead {
			t.Log(string(d.Key), header(d, "raven-dead-error"))
		}
	})
}

func bytesOf(c byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = c
	}
	return b
}
