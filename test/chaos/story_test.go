package chaos_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

const (
	sigStop = syscall.SIGSTOP
	sigCont = syscall.SIGCONT
)

const (
	exactlyOnce = "exactly-once"
	atLeastOnce = "at-least-once"

	patience = 75 * time.Second // for anything a story waits for
)

// story is one disturbance of the main job, from the start of its workers to the audit.
type story struct {
	*testing.T
	ctx      context.Context
	target   target
	on       string // the target's name
	name     string // of the topology; with it begin the names of its topics, groups and ids
	delivery string
	dir      string
	cfg      kafka.Config
	admin    *kadm.Client
	service  *service
	load     *load
	workers  [2]*worker
	happened map[string]int // what was done, for the report
	began    time.Time
	slowest  time.Duration // the longest wait for everything to flow again
}

// worker is one worker process over all its lives.
type worker struct {
	s      *story
	number int
	proxy  *proxy // nil: it talks to the brokers themselves
	child  *child
	admin  string // where its admin API is
}

// The job: two services one after the other, a topic and a database at the end.
const resources = `apiVersion: ravenswood.dev/v1alpha1
kind: Topic
metadata: {name: NAME.in}
spec: {partitions: 4}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Topic
metadata: {name: NAME.out}
spec: {partitions: 4}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Service
metadata: {name: first}
spec: {versions: [{name: v1, url: "http://SERVICE/first"}]}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Service
metadata: {name: second}
spec: {versions: [{name: v1, url: "http://SERVICE/second"}]}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: NAME}
spec:
  delivery: DELIVERY
  commitInterval: 50ms
  spouts:
    events: {topic: {name: NAME.in}}
  bolts:
    once: {from: events, call: {service: first, into: first}}
    twice: {from: once, call: {service: second, into: second}}
  sinks:
    out: {from: twice, topic: {name: NAME.out}}
    stored:
      from: twice
      sql:
        driver: sqlite
        dsn: DATABASE
        table: results
        mode: append
        create: true
        columns: {id: {field: id, type: integer}, key: key, n: {field: n, type: integer}}
`

func (s *story) in() string       { return s.name + ".in" }
func (s *story) out() string      { return s.name + ".out" }
func (s *story) group() string    { return "raven." + s.name }
func (s *story) database() string { return filepath.Join(s.dir, "results.db") }

// id is what a worker is called in the group and as a producer.
func (w *worker) id() string { return fmt.Sprintf("raven.%s.w%d.0", w.s.name, w.number) }

// begin prepares everything but the workers.
func begin(t *testing.T, on string, target target, name, delivery string) *story {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	s := &story{
		T: t, ctx: ctx, on: on, target: target, name: name, delivery: delivery, dir: t.TempDir(), began: time.Now(),
		cfg: kafka.Config{Brokers: target.Addrs(), Log: slog.New(slog.DiscardHandler)}, happened: map[string]int{},
	}
	client, err := kgo.NewClient(s.cfg.Options()...)
	s.must(err)
	t.Cleanup(client.Close)
	s.admin = kadm.NewClient(client)
	s.service, err = startService()
	s.must(err)
	t.Cleanup(func() { _ = s.service.server.Close() })
	text := strings.NewReplacer("NAME", name, "DELIVERY", delivery, "SERVICE", s.service.addr, "DATABASE", s.database()).Replace(resources)
	s.must(os.Mkdir(filepath.Join(s.dir, "files"), 0o755))
	s.must(os.WriteFile(filepath.Join(s.dir, "files", "job.yaml"), []byte(text), 0o600))
	for i := range s.workers {
		s.workers[i] = &worker{s: s, number: i}
	}
	t.Cleanup(s.clear)
	return s
}

// clear ends what a failed story left behind, and keeps what its workers said.
func (s *story) clear() {
	for _, w := range s.workers {
		if w.child != nil {
			w.child.kill()
		}
		if w.proxy != nil {
			w.proxy.close()
		}
	}
	if keep := os.Getenv("RAVEN_CHAOS_KEEP"); keep != "" {
		_ = os.CopyFS(filepath.Join(keep, s.on+"-"+s.name), os.DirFS(s.dir))
	}
}

func (s *story) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// proxied lets the workers talk to the brokers through proxies, each through its own.
func (s *story) proxied() *story {
	for _, w := range s.workers {
		var err error
		w.proxy, err = startProxy(s.target.Addrs())
		s.must(err)
	}
	return s
}

// flow starts so many workers, then the load, and returns when results come out.
func (s *story) flow(workers int) {
	s.Helper()
	for _, w := range s.workers[:workers] {
		w.start()
	}
	var err error
	s.load, err = startLoad(s.cfg, s.in())
	s.must(err)
	s.Cleanup(s.load.cancel)
	s.awaitAll()
	s.slowest = 0
}

func (w *worker) start() {
	w.s.Helper()
	brokers := w.s.target.Addrs()
	if w.proxy != nil {
		brokers = w.proxy.addrs()
	}
	dir := filepath.Join(w.s.dir, fmt.Sprintf("w%d", w.number))
	var err error
	w.child, err = startChild("worker", dir+".log", envDir+"="+filepath.Join(w.s.dir, "files"), envData+"="+dir,
		envBrokers+"="+strings.Join(brokers, ","), envID+"="+fmt.Sprintf("w%d", w.number))
	w.s.must(err)
	ctx, cancel := context.WithTimeout(w.s.ctx, patience)
	defer cancel()
	w.admin, err = w.child.await(ctx, "up")
	w.s.must(err)
}

// kill ends a worker with SIGKILL, now.
func (w *worker) kill() { w.child.kill(); w.s.happened["worker killed"]++ }

// dieAt lets a worker kill itself when its commit gets to a step, and waits for it.
func (w *worker) dieAt(step string) {
	w.s.Helper()
	w.s.must(w.child.tell("die " + step))
	select {
	case <-w.child.dead:
	case <-time.After(patience):
		w.s.Fatalf("worker %d did not get to %s", w.number, step)
	}
	w.s.happened["worker killed "+step]++
}

// holdAt stops a worker's commit at a step, and returns when it stands there.
func (w *worker) holdAt(step string) {
	w.s.Helper()
	w.s.must(w.child.tell("hold " + step))
	ctx, cancel := context.WithTimeout(w.s.ctx, patience)
	defer cancel()
	_, err := w.child.await(ctx, "holds")
	w.s.must(err)
}

func (w *worker) goOn() { w.s.must(w.child.tell("go")) }

// stop ends a worker in order.
func (w *worker) stop() {
	w.s.Helper()
	if w.child == nil {
		return
	}
	err := w.child.stop()
	w.child = nil
	w.s.must(err)
}

// await polls a condition.
func (s *story) await(what string, condition func() bool) {
	s.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		for _, w := range s.workers {
			if w.child != nil && w.child.gone() {
				s.Fatalf("wait for %s: worker %d ended by itself: %v", what, w.number, w.child.err)
			}
		}
		if time.Now().After(deadline) || s.ctx.Err() != nil {
			s.Fatalf("waited in vain for %s: %d events are stored", what, stored(context.Background(), s.database(), math.MaxInt64))
		}
		time.Sleep(25 * time.Millisecond) // sleep: polls a condition with a deadline
	}
}

func (c *child) gone() bool {
	select {
	case <-c.dead:
		return true
	default:
		return false
	}
}

// awaitAll waits until everything that is sent by now has come out at the far end.
func (s *story) awaitAll() {
	s.Helper()
	s.awaitAllUnless(func() string { return "" })
}

// awaitAllUnless is awaitAll for a cluster that may have lost for good what the job needs: then it says why, some time after
// nothing came.
func (s *story) awaitAllUnless(hopeless func() string) (why string) {
	s.Helper()
	sent, begun := s.load.sent.Load()+1, time.Now()
	s.await(fmt.Sprintf("all of the first %d events to be stored", sent), func() bool {
		if stored(s.ctx, s.database(), sent) == sent {
			return true
		}
		if time.Since(begun) > patience/3 {
			why = hopeless()
		}
		return why != ""
	})
	if why != "" {
		return why
	}
	took := time.Since(begun)
	s.slowest = max(s.slowest, took)
	s.Logf("%s after the start everything sent so far is stored, after %s", time.Since(s.began).Round(time.Millisecond), took.Round(time.Millisecond))
	return ""
}

// caught waits for a catch of a worker's proxy.
func (s *story) caught(c *catch) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	s.must(c.await(ctx))
	s.happened[fmt.Sprintf("%s %s caught", c.key.Name(), map[side]string{request: "request", answer: "answer"}[c.side])]++
}

// lags says how many offsets the job's groups have before them.
func (s *story) lags() (lag int64, err error) {
	for group, topic := range map[string]string{s.group(): s.in(), s.group() + ".stored": s.name + ".stored.deliver"} {
		ends, err := s.admin.ListEndOffsets(s.ctx, topic)
		if err != nil {
			return 0, err
		}
		done, err := s.admin.FetchOffsets(s.ctx, group)
		if err != nil {
			return 0, err
		}
		for p, end := range ends[topic] {
			at, _ := done.Lookup(topic, p)
			lag += end.Offset - max(at.At, 0)
		}
	}
	return lag, nil
}

// end stops the load, waits until everything is out and both groups have read all there is, ends the workers and audits.
func (s *story) end() verdict {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	sent, err := s.load.stop(ctx)
	s.must(err)
	s.await("the rest to come out", func() bool {
		lag, err := s.lags()
		return err == nil && lag == 0 && stored(s.ctx, s.database(), sent) == sent
	})
	version := int32(0)
	for _, w := range s.workers {
		w.stop()
		if w.proxy != nil {
			version = max(version, w.proxy.seen.Load())
		}
	}
	topic, err := readTopic(ctx, s.cfg, s.out(), sent)
	s.must(err)
	table, err := readDatabase(ctx, s.database(), sent)
	s.must(err)
	v := judge(topic, table)
	_, name, _ := strings.Cut(s.Name(), "/")
	outcomes.add(outcome{
		Target: s.on, Story: name, Delivery: s.delivery, Happened: s.happened, verdict: v, CallsAgain: s.service.again.Load(),
		Flows: tenths(s.slowest), Seconds: tenths(time.Since(s.began)), EndTxn: version,
	})
	return v
}

// audit ends a story whose job had to keep exactly-once.
func (s *story) audit() {
	s.Helper()
	if v := s.end(); !v.exactlyOnce() {
		s.Errorf("exactly-once was broken: %+v", v)
	}
}
