package main

import (
	"context"
	"time"
)

// The moments of the story, from that at which the first worker stops. Its session ends 12 s after it, its transaction
// times out after 25 s.
const (
	othersDie    = 4 * time.Second
	othersReturn = 14 * time.Second
	zombieWakes  = 18 * time.Second
)

// restoreStory tells again and again what the target of a restore is there for. A worker stops when its offsets are in its
// transaction and the transaction only has to be ended. The others die, so that nobody who comes back knows whose tasks
// they are given, and wait for the offsets. The first wakes and ends its transaction: the offsets show it at once, the
// changelogs some time later, when its markers are there. Who restores what is stable at this moment restores too little.
func restoreStory(ctx context.Context, h *harness) {
	d := lane(h.o.seed, 0)
	zombie, others := h.workers[0], h.workers[1:]
	living := startAll(others)
	for ctx.Err() == nil {
		f := fault{kind: stepStop, step: "after-offsets", count: 2 + d.IntN(3)}
		p, err := zombie.start(f.at())
		if err != nil {
			break
		}
		if zombie.reached(ctx, p, f) {
			h.count(f.kind)
			sleep(ctx, othersDie)
			h.killAll(living)
			sleep(ctx, othersReturn-othersDie)
			living = startAll(others)
			sleep(ctx, zombieWakes-othersReturn)
			p.resume()
			sleep(ctx, zombieTime)
		}
		p.kill()
	}
	h.killAll(living)
}

func (h *harness) killAll(living []*process) {
	for _, p := range living {
		p.kill()
		h.count(kill)
	}
}

func startAll(workers []*worker) (all []*process) {
	for _, w := range workers {
		if p, err := w.start(""); err == nil {
			all = append(all, p)
		}
	}
	return all
}
