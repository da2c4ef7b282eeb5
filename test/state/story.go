package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/test/proof"
)

const (
	storyPatience = 60 * time.Second // for a step of the story
	storyLook     = 5 * time.Second  // after it, for what is wrong to show
)

// restoreStory tells again and again what the target of a restore is there for, each time of another worker.
func restoreStory(ctx context.Context, h *harness) {
	d := lane(h.o.seed, 0)
	for i := 0; ctx.Err() == nil; i++ {
		before, after := h.workers[i%workerCount], h.workers[(i+1)%workerCount]
		if err := h.tellOfRestore(ctx, d, before, after); err != nil && ctx.Err() == nil {
			h.findings.Note("%s hands over to %s: %v", before.id, after.id, err)
			return
		}
	}
}

// tellOfRestore lets a worker die when all of a transaction is written, its offsets with it, and commits it in the worker's
// place: the offsets show it at once, the changelogs when their markers are there. Between the two a successor begins to
// restore, which knows nothing of its predecessor: it would end the transaction otherwise, and wait for the markers by
// that. What is stable at this moment is too little.
func (h *harness) tellOfRestore(ctx context.Context, d draw, before, after *worker) error {
	t, err := h.dieInCommit(ctx, before, 15+d.IntN(15))
	if err != nil {
		return err
	}
	defer t.client.Close()
	write, err := h.cluster.commitLate(ctx, t)
	if err != nil {
		return err
	}
	p, err := h.succeed(ctx, t, after)
	if p != nil {
		defer p.Kill()
	}
	// Whatever has happened: everybody would wait for the markers.
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), storyPatience)
	defer cancel()
	if err = errors.Join(err, write(patience)); err == nil {
		proof.Sleep(ctx, storyLook)
		h.count(kill)
	}
	return err
}

// dieInCommit starts a worker and returns the transaction that it leaves behind, with all there is to it but its end.
func (h *harness) dieInCommit(ctx context.Context, w *worker, count int) (*transaction, error) {
	ctx, cancel := context.WithTimeout(ctx, storyPatience)
	defer cancel()
	f := fault{kind: stepKill, step: "after-offsets", count: count}
	p, err := w.start(f.at())
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	if !reached(ctx, p, f.kind, w.up) {
		return nil, fmt.Errorf("start %s: its commit %d did not come", w.id, f.count)
	}
	h.count(f.kind)
	return leftOpen(ctx, h.load.client, h.cfg, w.id)
}

// succeed starts a worker in the place of one that is gone, and returns when it knows how far it has to restore.
func (h *harness) succeed(ctx context.Context, t *transaction, w *worker) (*proof.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, storyPatience)
	defer cancel()
	if err := t.leave(ctx, h.load.client); err != nil {
		return nil, err
	}
	p, err := w.start("")
	if err != nil {
		return nil, err
	}
	address, err := p.FirstLine(ctx)
	if err != nil {
		return p, err
	}
	w.up(address)
	return p, awaitTargets(ctx, admin.NewClient(address))
}

// awaitTargets waits until a worker has all tasks and knows of each how far to restore it: it has asked the log for ends,
// and does not do so again.
func awaitTargets(ctx context.Context, worker *admin.Client) error {
	for ; ctx.Err() == nil; proof.Sleep(ctx, 20*time.Millisecond) {
		if s, err := worker.Status(ctx); err == nil && targetsKnown(s) {
			return nil
		}
	}
	return fmt.Errorf("wait for restores: %w", ctx.Err())
}

func targetsKnown(s admin.Status) bool {
	known, all := 0, 0
	for _, t := range s.Topologies {
		for _, stage := range t.Stages {
			all += partitions
			for _, task := range stage.Tasks {
				if task.State == engine.TaskRunning || task.Restore != nil && task.Restore.Total > 0 {
					known++
				}
			}
		}
	}
	return all > 0 && known == all
}
