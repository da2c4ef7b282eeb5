package server

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/internal/broker/disk"
)

// TestCrashPoints ends the broker at every change of the disk that a long piece of work makes, in two ways: the process is
// killed, or the power is lost. What a start then finds is compared with what clients had been told. Some starts crash too.
func TestCrashPoints(t *testing.T) {
	began := time.Now()
	c := newCrasher(t)
	w := &work{
		t: t, fs: disk.NewMemory(), hook: c.at, clock: time.Now().UnixMilli(), settings: map[string]map[string]string{},
		o: Options{ReserveBytes: -1, Settings: map[string]string{
			"group.initial.rebalance.delay.ms": "0",
			"log.cleaner.backoff.ms":           "3600000", "log.retention.check.interval.ms": "3600000", // the story does it
		}},
	}
	c.w = w
	w.story()
	c.finish()
	t.Logf("%d changes of %d kinds cut: %d kills, %d losses of power, %d of the starts after them crashed too; %v",
		c.changes, len(c.kinds), c.kills, c.losses, c.doubles, time.Since(began).Round(time.Millisecond))
}

// story is a bit of everything, in an order in which one thing touches another.
func (w *work) story() {
	w.start()
	small := map[string]string{"segment.bytes": "400"}
	w.create("orders", 2, small)
	w.create("keys", 1, map[string]string{"segment.bytes": "300", "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"})
	w.create("old", 1, map[string]string{"segment.bytes": "300", "retention.ms": "1000"})
	w.create("gone", 1, small)
	plain, one, two := w.writer("", false), w.writer("tv2", true), w.writer("tv1", false)
	for round := range 3 {
		w.round(round, plain, one, two)
	}
	w.both("close", nothingNew, func() error { return w.s.Close() })
}

func (w *work) round(round int, plain, one, two *writer) {
	orders, second, keys, old, gone := at{"orders", 0}, at{"orders", 1}, at{"keys", 0}, at{"old", 0}, at{"gone", 0}
	key := func(i int) string { return fmt.Sprintf("k%d", i%3) }
	plain.write(2, "", orders, second, gone)
	w.commit("g", gone, 2)
	for i := range 4 {
		plain.write(1, key(i), keys)
	}
	// A transaction over everything, in each version, and one that is given up.
	one.begin()
	one.write(2, "", orders, second)
	plain.write(1, "", orders)
	one.write(1, key(round), keys)
	one.commit("g", orders, w.s.topics.partition("orders", 0).durable.Load())
	w.during(func() { // what the decision stood for is not synced yet
		if err := w.s.checkpoint(); err != nil {
			w.t.Error(err)
		}
	})
	one.end(true)
	two.begin()
	two.write(1, "", orders, second)
	two.commit("g", second, w.s.topics.partition("orders", 1).durable.Load())
	two.end(true)
	one.begin()
	one.write(1, key(round+1), keys, orders)
	one.commit("aborted", orders, 1)
	one.end(false)
	two.begin()
	two.write(2, "", second)
	two.end(false)
	w.rejoin("members")
	w.commit("h", orders, w.s.topics.partition("orders", 0).durable.Load())

	// Left open over a checkpoint and a crash, then given up by the next owner or committed late.
	one.begin()
	one.write(1, "", orders, second)
	two.begin()
	two.write(1, "", second)
	w.checkpoint()
	one.write(1, "", second)
	switch round {
	case 0:
		w.die(w.fs.Kill())
	case 1:
		w.die(w.fs.PowerLoss(rand.New(rand.NewPCG(7, 7))))
	default:
		w.restart()
	}
	one.commit("g", second, 1)
	one.end(true)
	two.init()
	plain.write(1, "", orders, second)

	w.configure("orders", "retention.ms", fmt.Sprint(86_400_000+round))
	for i := range 3 {
		w.clock -= 3_600_000
		plain.write(2, "", old)
		w.clock += 3_600_000
		plain.write(1, key(i), keys)
	}
	w.retain(old)
	w.deleteRecords(orders, w.s.topics.partition("orders", 0).log.Start()+3)
	w.compact(keys)
	w.checkpoint()
	w.remove("gone")
	w.create("gone", 1, map[string]string{"segment.bytes": "400"})
	delete(plain.sequences, gone)
	plain.write(1, "", gone)
	w.restart()
	plain.write(1, key(round), keys, orders)
	w.rejoin("members")
}

// A crasher takes what a crash would leave before each change, and lets workers look at it.
type crasher struct {
	t     *testing.T
	w     *work
	queue chan crash
	done  sync.WaitGroup

	mu             sync.Mutex
	changes        int             // GUARDED_BY(mu)
	kinds          map[string]bool // GUARDED_BY(mu)
	kills, losses  int             // GUARDED_BY(mu)
	doubles, wrong int             // GUARDED_BY(mu)
}

func newCrasher(t *testing.T) *crasher {
	c := &crasher{t: t, queue: make(chan crash, 64), kinds: map[string]bool{}}
	for range runtime.GOMAXPROCS(0) {
		c.done.Go(c.look)
	}
	return c
}

func (c *crasher) look() {
	for point := range c.queue {
		if err := point.check(Options{ReserveBytes: -1, Settings: c.w.o.Settings}); err != nil {
			c.failed(err)
		}
	}
}

// failed reports the first few.
func (c *crasher) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wrong++; c.wrong <= 5 {
		c.t.Error(err)
	}
}

func (c *crasher) finish() {
	close(c.queue)
	c.done.Wait()
	if c.wrong > 5 {
		c.t.Errorf("and %d more", c.wrong-5)
	}
}

// Of so many changes one is cut in a short run, which is for the race detector.
const shortly = 10

// at is called before a change of the disk.
func (c *crasher) at(op disk.Op) {
	defer c.w.interfere(op)
	if testing.Short() && op.Number%shortly != 0 {
		return
	}
	c.w.mu.Lock()
	doing, history, pending, fs := c.w.doing, c.w.history, c.w.pending, c.w.fs
	c.w.mu.Unlock()
	know := func() *facts { return known(history, pending) }
	what := fmt.Sprintf("%s, change %d: %s", doing, op.Number, describe(op))
	visible := c.visible()
	seed := hash(what)
	kill := crash{name: what + ": killed", fs: fs.Kill(), know: know, seen: visible, seed: seed, again: seed%8 == 0}
	lost := crash{
		name: fmt.Sprintf("%s: power lost (%d)", what, seed), fs: fs.PowerLoss(rand.New(rand.NewPCG(seed, 1))),
		know: know, seen: visible, seed: seed, again: seed%8 == 1,
	}
	c.count(doing, op, kill.again || lost.again)
	c.queue <- kill
	c.queue <- lost
}

func (c *crasher) count(doing string, op disk.Op, double bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	c.kills++
	c.losses++
	if double {
		c.doubles++
	}
	c.kinds[fmt.Sprint(strings.Fields(doing)[0], op.Kind, op.Middle, path.Ext(op.Name))] = true
}

// visible is what readers can see this moment.
func (c *crasher) visible() map[at]seen {
	s := c.w.s
	if s == nil {
		return nil
	}
	all := map[at]seen{}
	for _, p := range s.topics.partitions() {
		stable := p.stable.Load()
		all[at{p.topic.name, p.index}] = seen{p.topic.id, p.durable.Load(), stable}
	}
	return all
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}
