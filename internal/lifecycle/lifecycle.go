// Package lifecycle runs the parts of a process as one group: started in order, each ready before the next begins,
// stopped in reverse order, each within a bound of its own.
//
// A Group is used by one goroutine, except Stop and Ended, which may be called from any. A part that ends by itself
// ends the group's life: Ended tells its owner, who then calls Stop. Nothing here restarts anything.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Part is one thing that runs.
type Part struct {
	Name string
	// Run works until ctx is done and then returns soon. It calls ready once others may rely on it.
	Run func(ctx context.Context, ready func()) error
	// StopWithin bounds the time between cancelling Run and its return; 0 means ten seconds.
	StopWithin time.Duration
}

const defaultStopWithin = 10 * time.Second

// Group is the parts that run. Make one with New.
type Group struct {
	log     *slog.Logger
	mu      sync.Mutex
	running []*running // in order of start
	ended   chan error // the first part that ended by itself; holds one
}

type running struct {
	Part
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned
	err    error         // set before done is closed
	told   bool          // Ended gave the error away; set before done is closed
}

// New makes an empty group.
func New(log *slog.Logger) *Group {
	return &Group{log: log, ended: make(chan error, 1)}
}

// Start runs a part and returns when it is ready. An error means that the part is not running: it ended before it was
// ready, or ctx was done first. ctx bounds the wait only; the part lives until Stop.
func (g *Group) Start(ctx context.Context, p Part) error {
	partCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{Part: p, cancel: cancel, done: make(chan struct{})}
	ready := make(chan struct{})
	var once sync.Once
	go g.run(partCtx, r, func() { once.Do(func() { close(ready) }) })
	select {
	case <-ready:
		g.add(r)
		return nil
	case <-r.done:
		cancel()
		return fmt.Errorf("start %s: %w", p.Name, endedEarly(r.err))
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("start %s: %w", p.Name, context.Cause(ctx)), g.stop(r))
	}
}

func (g *Group) run(ctx context.Context, r *running, ready func()) {
	defer close(r.done)
	r.err = r.Run(ctx, ready)
	if ctx.Err() != nil {
		return // it was told to
	}
	select {
	case g.ended <- fmt.Errorf("run %s: %w", r.Name, endedEarly(r.err)):
		r.told = true
	default: // another part was first; its end is the cause
	}
}

func (g *Group) add(r *running) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = append(g.running, r)
}

// Ended gives the error of the first part that ended without being told to.
func (g *Group) Ended() <-chan error { return g.ended }

// Stop ends all parts in reverse order of their start and returns what went wrong, but for what Ended told already. It
// may be called twice.
func (g *Group) Stop() error {
	g.mu.Lock()
	all := g.running
	g.running = nil
	g.mu.Unlock()
	var errs []error
	for i := len(all) - 1; i >= 0; i-- {
		errs = append(errs, g.stop(all[i]))
	}
	return errors.Join(errs...)
}

func (g *Group) stop(r *running) error {
	bound := r.StopWithin
	if bound == 0 {
		bound = defaultStopWithin
	}
	r.cancel()
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-r.done:
		if r.err != nil && !r.told && !errors.Is(r.err, context.Canceled) {
			return fmt.Errorf("stop %s: %w", r.Name, r.err)
		}
		return nil
	case <-timer.C:
		g.log.Warn("left a part behind that did not stop in time", "part", r.Name, "bound", bound)
		return fmt.Errorf("stop %s: not within %s", r.Name, bound)
	}
}

var errEnded = errors.New("ended without an error")

func endedEarly(err error) error {
	if err == nil {
		return errEnded
	}
	return err
}
