package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/proof"
)

// result is what one run has shown.
type result struct {
	Run      string `json:"run"`
	Broker   string `json:"broker"`
	Seed     uint64 `json:"seed"`
	Kills    int    `json:"kills"` // of workers
	Pauses   int    `json:"pauses"`
	Cuts     int    `json:"cuts"`
	Restarts int    `json:"restarts"` // of the broker
	NotUp    int64  `json:"not_up"`   // lives that ended before they were up: the broker was out of reach
	Alone    int64  `json:"ended_by_themselves"`

	Transfers int64 `json:"transfers"`
	counts
	DeadLetters int64   `json:"dead_letters"`
	Money       int64   `json:"money_off"`          // what all balances together are off
	Standstill  float64 `json:"longest_standstill"` // seconds without anything to read
	Seconds     float64 `json:"seconds"`

	Negative bool     `json:"negative_control"`
	Error    string   `json:"error,omitempty"` // why the run did not come to its end
	Findings []string `json:"findings,omitempty"`
	Again    string   `json:"again,omitempty"` // the command that does it again
	OK       bool     `json:"ok"`
}

// harness is one run: its processes, and those who use and check them.
type harness struct {
	o        options
	trial    trial
	dir      string
	cluster  cluster
	cfg      kafka.Config
	workers  []*worker
	load     *load
	reader   *reader
	findings *proof.Findings
	began    time.Time

	notUp, alone atomic.Int64
	finals       counts // found after the reader's end
	letters      int64
	money        int64

	mu     sync.Mutex
	counts map[faultKind]int // GUARDED_BY(mu)
}

const (
	sayEvery    = 5 * time.Second
	warmUp      = 20 * time.Second // for all workers to come up before anything happens
	endPatience = 120 * time.Second
	endStall    = 60 * time.Second // without one more record
	// storesPatience is how long what was committed may take to be in the stores: readers see it before its worker is told.
	storesPatience = 15 * time.Second
	stopBound      = 30 * time.Second
)

// run does one run in a folder of its own.
func run(ctx context.Context, o options, t trial) *result {
	dir, err := os.MkdirTemp("", "raven-state-")
	if err != nil {
		return &result{Run: t.name, Error: err.Error()}
	}
	proof.Say("%s on %s, %s, seed %d, in %s", t.name, o.broker, t.span, o.seed, dir)
	h := &harness{o: o, trial: t, dir: dir, findings: &proof.Findings{}, counts: map[faultKind]int{}, began: time.Now()}
	err = h.play(ctx)
	r := h.conclude(err)
	if o.keep || !r.OK {
		h.explain(r)
		return r
	}
	if err := os.RemoveAll(dir); err != nil {
		proof.Say("the folder stays: %v", err)
	}
	return r
}

// play is the course of a run.
func (h *harness) play(ctx context.Context) (err error) {
	if h.cluster, err = startCluster(ctx, h.o.broker, h.dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.cluster.close()) }()
	h.cfg = kafka.Config{Brokers: []string{h.cluster.addr()}, ClientID: "outside", Log: slog.New(slog.DiscardHandler)}
	for i := range workerCount {
		w, err := newWorker(h, i)
		if err != nil {
			return err
		}
		h.workers = append(h.workers, w)
		defer w.end()
	}
	if err := h.open(ctx); err != nil {
		return err
	}
	defer h.load.client.Close()
	defer h.reader.client.Close()
	return h.happen(ctx)
}

// open makes the topics, by a first life, and the accounts.
func (h *harness) open(ctx context.Context) (err error) {
	w := h.workers[0]
	first, err := w.start("")
	if err != nil {
		return err
	}
	_, err = first.FirstLine(ctx)
	first.Kill()
	if err != nil {
		return fmt.Errorf("%w (see %s)", err, w.log())
	}
	if h.load, err = newLoad(h.cfg, h.o); err != nil {
		return err
	}
	if h.reader, err = newReader(h.cfg, h.findings); err != nil {
		return err
	}
	return h.load.open(ctx)
}

// happen is the span in which things happen, and its end.
func (h *harness) happen(ctx context.Context) error {
	living, end := context.WithCancel(ctx)
	defer end()
	faults, calm := context.WithCancel(living)
	defer calm()
	var lives, around, things sync.WaitGroup
	if h.trial.story != nil {
		lives.Go(func() {
			h.trial.story(faults, h)
			h.live(&lives, living, faults)
		})
	} else {
		h.live(&lives, living, faults)
		h.awaitUp(ctx)
	}
	defer lives.Wait()
	defer end()
	around.Go(func() { h.reader.run(living) })
	around.Go(func() { h.tell(living) })
	defer around.Wait()
	defer end()
	loading, stopLoad := context.WithCancel(living)
	defer stopLoad()
	things.Go(func() { h.load.run(loading) })
	things.Go(func() { h.disturbBroker(faults) })
	h.awaitSpan(faults)
	calm()
	stopLoad()
	things.Wait()
	if h.trial.breaks {
		return ctx.Err()
	}
	return h.finish(ctx)
}

// live lets every worker live its lane.
func (h *harness) live(lives *sync.WaitGroup, ctx, faults context.Context) {
	for i, w := range h.workers {
		lives.Go(func() { w.live(ctx, faults, h.trial.plan.workers[i]) })
	}
}

// awaitUp waits until every worker is up, for some time.
func (h *harness) awaitUp(ctx context.Context) {
	for end := time.Now().Add(warmUp); time.Now().Before(end) && ctx.Err() == nil; proof.Sleep(ctx, 100*time.Millisecond) {
		up := 0
		for _, w := range h.workers {
			if w.asked() != "" {
				up++
			}
		}
		if up == len(h.workers) {
			return
		}
	}
}

// disturbBroker plays the broker's lane.
func (h *harness) disturbBroker(ctx context.Context) {
	for _, f := range h.trial.plan.broker {
		if proof.Sleep(ctx, f.after); ctx.Err() != nil {
			return
		}
		proof.Say("the broker suffers: %s", f)
		h.shut(true)
		err := h.cluster.restart(ctx, f.lasts)
		h.shut(false)
		if err != nil {
			h.findings.Note("the broker does not come back: %v", err)
			return
		}
		h.count(restart)
	}
}

// shut keeps workers from a broker that must come up alone; ours need not.
func (h *harness) shut(on bool) {
	if _, alone := h.cluster.(*foreign); !alone {
		return
	}
	for _, w := range h.workers {
		w.proxy.shut.Store(on)
	}
}

// awaitSpan waits until the time is over. A control is over when it has found what it is there for.
func (h *harness) awaitSpan(ctx context.Context) {
	for end := time.Now().Add(h.trial.span); time.Now().Before(end) && ctx.Err() == nil && !h.enough(); {
		proof.Sleep(ctx, 200*time.Millisecond)
	}
}

// enough says whether a control has found an error.
func (h *harness) enough() bool { return h.trial.breaks && h.reader.counts().wrong() > 0 }

func (h *harness) count(kind faultKind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[kind]++
}

func (h *harness) counted(kinds ...faultKind) (sum int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range kinds {
		sum += h.counts[k]
	}
	return sum
}

// tell says how it goes, while ctx lasts.
func (h *harness) tell(ctx context.Context) {
	for proof.Sleep(ctx, sayEvery); ctx.Err() == nil; proof.Sleep(ctx, sayEvery) {
		c := h.reader.counts()
		proof.Say("%s %3.0fs: %d transfers, %d of %d records checked, %d wrong; %d kills, %d pauses, %d cuts, %d restarts", h.trial.name, time.Since(h.began).Seconds(),
			h.load.sent.Load(), c.Records, outputs(h.load.sent.Load()), c.wrong(),
			h.counted(kill, stepKill), h.counted(pause, stepStop), h.counted(cut), h.counted(restart))
	}
}
