package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/proof"
)

// result is what one run has shown.
type result struct {
	Run        string         `json:"run"`
	Delivery   string         `json:"delivery"`
	Kills      int            `json:"kills"`
	KillsAt    map[string]int `json:"kills_at"` // by the way they came
	Pauses     int            `json:"pauses"`
	Sent       int64          `json:"sent"`
	Lost       int64          `json:"lost"`
	Duplicated int64          `json:"duplicated"`
	Order      int64          `json:"order_violations"`
	Foreign    int64          `json:"foreign"` // results of events nobody sent
	InTopic    int64          `json:"in_topic"`
	InSQLite   int64          `json:"in_sqlite"`
	Same       bool           `json:"sqlite_equals_topic"`
	CallsAgain int64          `json:"calls_repeated"` // with an idempotency key seen before: allowed
	Seconds    float64        `json:"seconds"`
	Negative   bool           `json:"negative_control"`
	Findings   []string       `json:"findings,omitempty"`
	Seed       uint64         `json:"seed"`
	OK         bool           `json:"ok"`
}

// keptExactlyOnce says whether the guarantee held.
func (r *result) keptExactlyOnce() bool {
	return r.Lost == 0 && r.Duplicated == 0 && r.Order == 0 && r.Foreign == 0 && r.Same && r.InTopic == r.Sent
}

// repeatedOnly says whether the control did its job: the checker found repetitions, and nothing was lost all the same.
func (r *result) repeatedOnly() bool { return r.Duplicated > 0 && r.Lost == 0 && r.Foreign == 0 }

// harness is one run: its processes, and where they keep what.
type harness struct {
	o        options
	delivery string
	dir      string
	database string
	cfg      kafka.Config
	fates    *fates

	mu     sync.Mutex
	result result // GUARDED_BY(mu)
}

const workerCount = 2

// run does one run in a folder of its own.
func run(ctx context.Context, o options, delivery string, kills int) (*result, error) {
	dir, err := os.MkdirTemp("", "raven-crash-")
	if err != nil {
		return nil, err
	}
	began := time.Now()
	pauses := o.pauses
	if delivery == atLeastOnce {
		pauses = 0
	}
	h := &harness{
		o: o, delivery: delivery, dir: dir, database: filepath.Join(dir, "results.db"),
		fates: newFates(o.seed, kills, pauses, delivery),
	}
	h.result = result{Run: whatWorkers, Seed: o.seed, Delivery: delivery, KillsAt: map[string]int{}, Negative: delivery == atLeastOnce}
	proof.Say("%s, %d kills, in %s", delivery, kills, dir)
	err = h.play(ctx)
	h.result.Seconds = time.Since(began).Round(100 * time.Millisecond).Seconds()
	if err != nil || o.keep || len(h.result.Findings) > 0 && !h.result.Negative {
		proof.Say("kept %s: logs, database, output of every process", dir)
		return &h.result, err
	}
	return &h.result, os.RemoveAll(dir)
}

// play is the course of a run.
func (h *harness) play(ctx context.Context) error {
	svc, err := startService(ctx, h.o.slowest)
	if err != nil {
		return err
	}
	defer svc.close()
	broker, err := h.startBroker(ctx)
	if err != nil {
		return err
	}
	defer broker.Kill()
	if err := writeFiles(h.files(), h.delivery, svc.addr, h.database); err != nil {
		return err
	}
	workers, err := h.killWorkers(ctx)
	defer func() {
		for _, w := range workers {
			w.Kill()
		}
	}()
	if err != nil {
		return err
	}
	h.result.CallsAgain = svc.again.Load()
	if err := h.awaitEnd(ctx); err != nil {
		proof.Say("%v; counting all the same", err)
	}
	for _, w := range workers {
		if err := w.Stop(30 * time.Second); err != nil {
			return fmt.Errorf("stop worker: %w", err)
		}
	}
	return h.check(ctx)
}

func (h *harness) files() string { return filepath.Join(h.dir, "files") }

func (h *harness) startBroker(ctx context.Context) (*proof.Process, error) {
	p, err := proof.Start("broker", filepath.Join(h.dir, "broker.log"), envDir+"="+filepath.Join(h.dir, "broker"))
	if err != nil {
		return nil, err
	}
	addr, err := p.FirstLine(ctx)
	if err != nil {
		p.Kill()
		return nil, err
	}
	h.cfg = kafka.Config{Brokers: []string{addr}, Log: slog.New(slog.DiscardHandler)}
	return p, nil
}

// killWorkers sends the load while the workers live and die, until all fates are used up. It returns the workers that
// are left to live.
func (h *harness) killWorkers(ctx context.Context) (left []*proof.Process, err error) {
	// The first life makes the topics; a load before that would make them with other settings.
	first, err := h.startWorker(0, fate{})
	if err != nil {
		return nil, err
	}
	_, err = first.FirstLine(ctx)
	first.Kill()
	if err != nil {
		return nil, err
	}
	loading, stopLoad := context.WithCancel(ctx)
	var group sync.WaitGroup
	var loadErr error
	group.Go(func() { h.result.Sent, loadErr = load(loading, h.cfg, h.o) })
	left = make([]*proof.Process, workerCount)
	errs := make([]error, workerCount)
	var lives sync.WaitGroup
	for i := range workerCount {
		lives.Go(func() { left[i], errs[i] = h.live(ctx, i) })
	}
	lives.Wait()
	stopLoad()
	group.Wait()
	return compact(left), errors.Join(errors.Join(errs...), loadErr)
}

// load sends the input; with an error of a single record the run is void.
func load(ctx context.Context, cfg kafka.Config, o options) (sent int64, err error) {
	f := &feed{cfg: cfg, topic: topicIn, rate: o.rate, keys: o.keys}
	if err := f.run(ctx); err != nil {
		return 0, err
	}
	sent, _, _, err = f.counts()
	return sent, err
}

func compact(list []*proof.Process) (some []*proof.Process) {
	for _, p := range list {
		if p != nil {
			some = append(some, p)
		}
	}
	return some
}

// live starts a worker again and again until there is no fate left, and returns its last life.
func (h *harness) live(ctx context.Context, number int) (*proof.Process, error) {
	for {
		end, more := h.fates.next()
		p, err := h.startWorker(number, end)
		if err != nil || !more {
			return p, err
		}
		if end.pause {
			err = h.stopAWhile(ctx, p, end)
		} else {
			err = h.awaitDeath(ctx, p, end)
		}
		p.Kill()
		if err != nil {
			return nil, fmt.Errorf("worker %d: %w", number, err)
		}
	}
}

func (h *harness) startWorker(number int, end fate) (*proof.Process, error) {
	name := fmt.Sprintf("worker%d", number)
	env := []string{
		envDir + "=" + h.files(), envData + "=" + filepath.Join(h.dir, name), envBrokers + "=" + h.cfg.Brokers[0],
		envID + "=" + name,
	}
	if end.step != "" {
		env = append(env, envAt+"="+end.at())
	}
	return proof.Start("worker", filepath.Join(h.dir, name+".log"), env...)
}

// awaitDeath lets a life run until its fate; a worker that ends in any other way is a finding.
func (h *harness) awaitDeath(ctx context.Context, p *proof.Process, end fate) error {
	how := end.name()
	select {
	case <-p.Dead():
		if end.step == "" || !p.Signalled() {
			return fmt.Errorf("it ended by itself: %w (see its log)", p.Err())
		}
	case <-time.After(end.after):
		if end.step != "" {
			how = "too late for a step"
		}
		p.Kill()
	case <-ctx.Done():
		return ctx.Err()
	}
	h.count(how)
	return nil
}

// stopAWhile makes a zombie: the others take over while it sleeps, and then it wakes and believes it still owns its
// partitions. It is killed some seconds later.
func (h *harness) stopAWhile(ctx context.Context, p *proof.Process, end fate) error {
	proof.Sleep(ctx, end.after)
	proof.Say("a worker sleeps for %s", zombieSleep)
	p.Suspend()
	proof.Sleep(ctx, zombieSleep)
	p.Resume()
	proof.Sleep(ctx, 5*time.Second)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.result.Pauses++
	return ctx.Err()
}

func (h *harness) count(how string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.result.Kills++
	h.result.KillsAt[how]++
	proof.Say("kill %d: %s", h.result.Kills, how)
}
