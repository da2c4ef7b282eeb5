package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"ravenswood.dev/test/proof"
)

// worker is one of those that run the bank: a process that dies and is started again, always under the same id, on the
// same folder, behind the same proxy. Its lane belongs to one goroutine; admin and end may be called by others.
type worker struct {
	h     *harness
	id    string
	proxy *proxy

	mu    sync.Mutex
	p     *proof.Process // GUARDED_BY(mu); nil before the first life
	admin string         // address of the living process; empty while it comes up; GUARDED_BY(mu)
	ended bool           // no further life; GUARDED_BY(mu)
}

const (
	againAfter   = 300 * time.Millisecond // a life that ended by itself is followed by the next
	stepPatience = 40 * time.Second       // a step that is not reached by then is made up for by a kill from outside
	killPatience = 12 * time.Second       // the same for one to die at
	zombieTime   = 6 * time.Second        // after a worker that was stopped in a commit goes on
)

func newWorker(h *harness, number int) (*worker, error) {
	p, err := startProxy(h.cluster.addr())
	return &worker{h: h, id: fmt.Sprintf("worker%d", number), proxy: p}, err
}

func (w *worker) log() string { return filepath.Join(w.h.dir, w.id+".log") }

// start begins a life with an order; empty is none.
func (w *worker) start(at string) (*proof.Process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return nil, context.Canceled
	}
	p, err := proof.Start("worker", w.log(), envDir+"="+filepath.Join(w.h.dir, w.id), envAddr+"="+w.proxy.addr, envID+"="+w.id,
		envUnsafe+"="+w.h.trial.unsafeJSON(), envAt+"="+at)
	w.p, w.admin = p, ""
	return p, err
}

// live plays a lane while faults lasts, then keeps the worker alive while ctx does.
func (w *worker) live(ctx, faults context.Context, lane []fault) {
	var p *proof.Process
	for _, f := range lane {
		if p == nil {
			p, _ = w.start(f.at()) // await tries again
		}
		if p = w.await(faults, p, f.after, f.at()); faults.Err() != nil {
			break
		}
		p = w.suffer(faults, p, f)
	}
	if p == nil {
		p, _ = w.start("")
	}
	w.await(ctx, p, 1<<62, "")
}

// await lets a worker work for a while, and starts it again if it ends by itself.
func (w *worker) await(ctx context.Context, p *proof.Process, d time.Duration, at string) *proof.Process {
	over := time.After(d)
	for ctx.Err() == nil {
		if p == nil {
			proof.Sleep(ctx, againAfter)
			p, _ = w.start(at)
			continue
		}
		select {
		case admin := <-p.Said():
			w.up(admin)
		case <-p.Dead():
			if p.Signalled() {
				return p // at its step: suffer finds it
			}
			w.diedAlone(p)
			p = nil
		case <-over:
			return p
		case <-ctx.Done():
		}
	}
	return p
}

func (w *worker) up(admin string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.admin = admin
}

// diedAlone is for a life that nobody ended. While it comes up the broker may be out of reach; once it works that is no
// reason.
func (w *worker) diedAlone(p *proof.Process) {
	w.mu.Lock()
	wasUp, ended := w.admin != "", w.ended
	w.mu.Unlock()
	switch {
	case ended:
	case wasUp:
		w.h.alone.Add(1)
		w.h.findings.Note("%s ended by itself: %v (see its log)", w.id, p.Err())
	default:
		w.h.notUp.Add(1)
	}
}

// suffer does to a worker what its lane says. It returns the process that goes on, nil if none does.
func (w *worker) suffer(ctx context.Context, p *proof.Process, f fault) *proof.Process {
	if p == nil {
		return nil
	}
	proof.Say("%s suffers: %s", w.id, f)
	switch f.kind {
	case kill:
		p.Kill()
		w.h.count(f.kind)
		proof.Sleep(ctx, f.lasts)
		return nil
	case pause:
		p.Suspend()
		proof.Sleep(ctx, f.lasts)
		p.Resume()
	case cut:
		w.proxy.cut(f.how)
		proof.Sleep(ctx, f.lasts)
		w.proxy.heal()
	case stepKill, stepStop:
		w.sufferStep(ctx, p, f)
		return nil
	}
	w.h.count(f.kind)
	return p
}

// sufferStep waits until a worker does to itself what it was told.
func (w *worker) sufferStep(ctx context.Context, p *proof.Process, f fault) {
	defer p.Kill()
	if !w.reached(ctx, p, f) {
		return
	}
	w.h.count(f.kind)
	if f.kind == stepStop {
		proof.Sleep(ctx, f.lasts)
		p.Resume()
		proof.Sleep(ctx, zombieTime)
		return
	}
	proof.Sleep(ctx, f.lasts)
}

func (w *worker) reached(ctx context.Context, p *proof.Process, f fault) bool {
	limit := stepPatience
	if f.kind == stepKill {
		limit = killPatience
	}
	ctx, over := context.WithTimeout(ctx, limit)
	defer over()
	return reached(ctx, p, f.kind, w.up)
}

// asked is the address of the admin API, empty if it is not up.
func (w *worker) asked() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.admin
}

// stop ends the worker in order, for good.
func (w *worker) stop(bound time.Duration) error {
	w.mu.Lock()
	p := w.p
	w.ended = true
	w.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.Stop(bound); err != nil {
		return fmt.Errorf("%s: %w", w.id, err)
	}
	return nil
}

// end kills it for good; it may be stopped already.
func (w *worker) end() {
	w.mu.Lock()
	p := w.p
	w.ended = true
	w.mu.Unlock()
	if p != nil {
		p.Kill()
	}
	w.proxy.close()
}

// reached waits until a process has killed itself, or says that it stops itself. What it says before that is for up.
func reached(ctx context.Context, p *proof.Process, how faultKind, up func(string)) bool {
	for {
		select {
		case <-p.Dead():
			return how == stepKill && p.Signalled()
		case line := <-p.Said():
			if line == proof.Stops {
				return true
			}
			up(line)
		case <-ctx.Done():
			return false
		}
	}
}
