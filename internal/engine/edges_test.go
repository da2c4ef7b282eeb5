package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/deadletter"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

func pass(_ context.Context, r *record.Record, emit component.Emit) error {
	emit(0, r)
	return nil
}

func TestAStuckKeyPausesItsPartitionOnly(t *testing.T) {
	r := newRig(t)
	var stuck atomic.Bool
	stuck.Store(true)
	p := plan(bolt(true, func(_ context.Context, rec *record.Record, emit component.Emit) error {
		if stuck.Load() && string(rec.Key) == "k1" {
			return component.Outage(errors.New("down"))
		}
		emit(0, rec)
		return nil
	}))
	p.Limits.PartitionRecords = 50
	r.ensure(p)
	r.send(8000, 40)
	e, stop := r.run(p, "a")
	var paused engine.TaskStatus
	r.await("one partition is paused, the others are through", func() bool {
		s := e.Status()
		n := 0
		for _, task := range s.Tasks {
			if task.State == "paused" {
				paused = task
				n++
			}
		}
		return n == 1 && s.Lag == paused.Stable-paused.Committed && s.Lag > 0
	})
	if o := e.Status().Oldest; o == nil || o.Key != "k1" || o.Bolt != "b0" || o.Partition != paused.Partition {
		t.Errorf("oldest record is %+v, want k1 at b0 in partition %d", o, paused.Partition)
	}
	stuck.Store(false)
	r.awaitOut("out", 8000)
	stop()
	r.audit(r.read("out"), 8000)
}

func TestReplayedDeadLettersComeBackInOrderAndMarked(t *testing.T) {
	r := newRig(t)
	var healed atomic.Bool
	p := plan(bolt(true, func(_ context.Context, rec *record.Record, emit component.Emit) error {
		if !healed.Load() && string(rec.Key) == "k1" {
			return component.Permanent(errors.New("bad"))
		}
		emit(0, rec)
		return nil
	}))
	r.ensure(p)
	r.send(30, 3)
	_, stop := r.run(p, "a")
	r.awaitOut("t.dead-letters", 10)
	healed.Store(true)
	store := deadletter.New(deadletter.Options{Kafka: r.cfg, Topology: "t", Topic: p.DeadLetters, Replay: p.Replay})
	if _, err := store.Replay(t.Context(), deadletter.Selection{}, false); err != nil {
		t.Fatal(err)
	}
	out := r.awaitOut("out", 30)
	stop()
	r.audit(out, 30)
	for _, rec := range out {
		if replayed := header(rec, record.HeaderReplayed); (replayed != "") != (string(rec.Key) == "k1") {
			t.Errorf("record of key %s has the replay mark %q", rec.Key, replayed)
		}
		for _, h := range rec.Headers {
			if h.Key == deadletter.HeaderReplayID || h.Key == record.HeaderOrigin {
				t.Errorf("the internal header %s is on an output", h.Key)
			}
		}
	}
}

// counting is a spout of the numbers from 0; its position is the next number.
type counting struct {
	next, end int
	crash     *atomic.Bool // Next fails once
}

func (c *counting) Open(_ context.Context, position []byte) error {
	if position != nil {
		c.next, _ = strconv.Atoi(string(position))
	}
	return nil
}

func (c *counting) Next(_ context.Context, max int) (component.Batch, error) {
	if c.next > c.end/2 && c.crash.CompareAndSwap(true, false) {
		return component.Batch{}, errors.New("source fails")
	}
	var b component.Batch
	for range min(max, 70) {
		if c.next == c.end {
			b.Position = []byte(strconv.Itoa(c.next))
			return b, io.EOF
		}
		b.Records = append(b.Records, &record.Record{Key: []byte(strconv.Itoa(c.next)), Value: fmt.Appendf(nil, `{"n":0,"id":%d}`, c.next), Time: time.Now()})
		c.next++
	}
	b.Position = []byte(strconv.Itoa(c.next))
	return b, nil
}

func (c *counting) Close() error { return nil }

func TestAFeedGoesOnAtItsPosition(t *testing.T) {
	r := newRig(t)
	var crash atomic.Bool
	crash.Store(true)
	p := plan()
	p.Inputs[0].Topic = "t.numbers.feed"
	p.Feeds = []topology.Feed{{Name: "numbers", Topic: "t.numbers.feed", Group: "raven.t.numbers", Config: &struct{}{},
		Component: component.DefineSpout(component.Spec{Name: "numbers"}, nil, func(*struct{}, component.Env) (component.Spout, error) {
			return &counting{end: 3000, crash: &crash}, nil
		})}}
	p.Topics = append(p.Topics, topology.Topic{Name: "t.numbers.feed", Spec: api.TopicSpec{Partitions: 4}})
	r.ensure(p)
	e, stop := r.run(p, "a")
	r.awaitOut("out", 1000)
	stop()
	e, stop = r.run(p, "a")
	r.awaitOut("out", 3000)
	r.await("the end of the source", func() bool { return e.Status().Feeds[0].Ended })
	stop()
	r.audit(r.read("out"), 3000)
}

// shelf is a sink that keeps everything in memory, as a database would: rows and positions together.
type shelf struct {
	mu       sync.Mutex
	rows     []string
	position map[component.Partition]int64
	trouble  int // deliveries that fail
}

type shelfSink struct{ s *shelf }

func (k shelfSink) Position(_ context.Context, p component.Partition) (int64, bool, error) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	at, ok := k.s.position[p]
	return at, ok, nil
}

func (k shelfSink) Deliver(_ context.Context, p component.Partition, from, next int64, records []*record.Record) error {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	if at, ok := k.s.position[p]; ok && at != from {
		return component.ErrMoved
	}
	if k.s.trouble > 0 {
		k.s.trouble--
		return errors.New("database is busy")
	}
	for i, rec := range records {
		if string(rec.Key) == "bad" {
			return &component.RejectedError{Index: i, Err: errors.New("column too small")}
		}
	}
	for _, rec := range records {
		k.s.rows = append(k.s.rows, string(rec.Value))
	}
	k.s.position[p] = next
	return nil
}

func (k shelfSink) Close() error { return nil }

func TestADeliveryBringsEachRecordOnce(t *testing.T) {
	r := newRig(t)
	s := &shelf{position: map[component.Partition]int64{}, trouble: 3}
	p := plan(bolt(true, pass))
	p.Sinks[0] = topology.Sink{Name: "rows", Topic: "t.rows.deliver", Internal: true}
	p.Deliveries = []topology.Delivery{{Name: "rows", Topic: "t.rows.deliver", Group: "raven.t.rows", Format: record.JSON, Config: &struct{}{},
		Component: component.DefineSink(component.Spec{Name: "shelf"}, nil, func(*struct{}, component.Env) (component.Sink, error) { return shelfSink{s}, nil })}}
	p.Topics = append(p.Topics, topology.Topic{Name: "t.rows.deliver", Spec: api.TopicSpec{Partitions: 4}})
	r.ensure(p)
	r.send(500, 50)
	r.sendAll(r.client(), &kgo.Record{Topic: "in", Key: []byte("bad"), Value: []byte(`{"id":-1}`)})
	_, stop := r.run(p, "a")
	r.await("the first rows", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.rows) > 0 })
	r.send(500, 50)
	stop() // a stop delivers what is on the log
	_, stop = r.run(p, "b")
	r.await("all rows", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.rows) >= 1000 })
	stop()
	if len(s.rows) != 1000 {
		t.Errorf("%d rows, want 1000", len(s.rows))
	}
	dead := r.read("t.dead-letters")
	if len(dead) != 1 || header(dead[0], "raven-dead-bolt") != "rows" {
		t.Errorf("dead letters are %v, want the one bad record", dead)
	}
}

func TestTheBrokerGoesAwayAndComesBack(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	b, err := broker.Start(t.Context(), broker.Options{Dir: dir, Listener: broker.Listener{Addr: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	addr := b.Addr()
	r.cfg.Brokers = []string{addr}
	p := plan(bolt(true, pass))
	r.ensure(p)
	r.send(1000, 50)
	_, stop := r.run(p, "a")
	r.awaitOut("out", 1000)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(outage(t)) // sleep: the outage itself; nothing is awaited
	b, err = broker.Start(t.Context(), broker.Options{Dir: dir, Listener: broker.Listener{Addr: addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	r.send(1000, 50)
	out := r.awaitOut("out", 2000)
	stop()
	if len(out) != 2000 {
		t.Errorf("out holds %d records, want 2000", len(out))
	}
}

// outage is how long the broker is away: a moment, or as long as RAVEN_OUTAGE says (CI takes half a minute).
func outage(t *testing.T) time.Duration {
	text := os.Getenv("RAVEN_OUTAGE")
	if text == "" {
		return 300 * time.Millisecond
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAtLeastOnceLosesNothing(t *testing.T) {
	r := newRig(t)
	p := plan(bolt(true, pass))
	p.Delivery = api.AtLeastOnce
	r.ensure(p)
	r.send(2000, 50)
	_, stop := r.run(p, "a")
	r.awaitOut("out", 2000)
	stop()
	r.audit(r.read("out"), 2000)
}

// TestWithoutATransactionACrashRepeats is the negative control of exactly-once: the same crash that leaves no trace in
// TestAFailedCommitIsRepeatedWithoutATrace is visible when delivery is at-least-once.
func TestWithoutATransactionACrashRepeats(t *testing.T) {
	r := newRig(t)
	p := plan()
	p.Delivery = api.AtLeastOnce
	r.ensure(p)
	r.send(1000, 10)
	reached, never := make(chan struct{}), make(chan struct{})
	var once sync.Once
	e, err := engine.New(p, engine.Env{Kafka: r.cfg, ID: "a", StateDir: t.TempDir(), Log: r.log, At: func(step string) {
		if step == "after-flush" {
			once.Do(func() { close(reached); <-never })
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(context.Background()) }()
	<-reached
	_, stop := r.run(p, "a")
	out := r.awaitOut("out", 1001)
	close(never)
	<-ended
	stop()
	if len(out) <= 1000 {
		t.Errorf("out holds %d records, want repeats: the check of exactly-once would see nothing", len(out))
	}
}

// TestAFullDiskHoldsEverythingUpAndLosesNothing fills the broker's disk, which refuses all writes, and frees it again.
func TestAFullDiskHoldsEverythingUpAndLosesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("left out: a small disk of its own (tmpfs) needs root")
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	b, err := broker.Start(t.Context(), broker.Options{Dir: filepath.Join(disk, "d"), Listener: broker.Listener{Addr: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	r := &rig{t: t, cfg: kafka.Config{Brokers: []string{b.Addr()}, Log: slog.New(slog.DiscardHandler)}, log: slog.New(slog.DiscardHandler)}
	full := make(chan struct{})
	p := plan(bolt(true, func(ctx context.Context, rec *record.Record, emit component.Emit) error {
		if rec.Origin.Partition == 0 { // the results of one partition are written when the disk is full
			select {
			case <-full:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		emit(0, rec)
		return nil
	}))
	r.ensure(p)
	r.send(1000, 50)
	_, stop := r.run(p, "a")
	r.awaitOut("out", 1)
	ballast := filepath.Join(disk, "ballast")
	if err := fill(ballast); err != nil {
		t.Fatal(err)
	}
	close(full)
	r.await("a refused write", b.DiskFull)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	r.awaitOut("out", 1000)
	stop()
	r.audit(r.read("out"), 1000)
}

// fill writes until there is no room for another byte.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, chunk := range []int{1 << 20, 1 << 12, 1} {
		for {
			if _, err := f.Write(make([]byte, chunk)); errors.Is(err, unix.ENOSPC) {
				break
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

func TestAStopIsBoundedWhenTheBrokerIsDead(t *testing.T) {
	r := newRig(t)
	b, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	r.cfg.Brokers = []string{b.Addr()}
	p := plan(bolt(true, pass))
	p.Drain = 300 * time.Millisecond
	r.ensure(p)
	r.send(1000, 50)
	_, stop := r.run(p, "a")
	r.awaitOut("out", 1000)
	_ = b.Close()
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	select {
	case <-stopped:
	case <-time.After(15 * time.Second):
		t.Fatal("the stop hangs")
	}
}
