package server

import (
	"context"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// A durable is a file whose writes can be made to survive a loss of power: a partition's log, or the journal.
type durable interface {
	// sync returns when everything written before the call is on the disk.
	sync() error
}

// A syncer is the group commit: whoever wrote enlists the file and waits for a round. All files of a round are synced at
// the same time, and what is enlisted meanwhile makes up the next round, so that under load one fsync serves many.
type syncer struct {
	off bool // writes are trusted to the operating system; every round is over at once

	mu      sync.Mutex
	next    *round // GUARDED_BY(mu); collects, not begun
	running bool   // GUARDED_BY(mu)
	idle    *sync.Cond
}

// syncAtOnce is how many files are synced at the same time: beyond a few, a disk does not get faster.
const syncAtOnce = 8

// A round is one sync of several files.
type round struct {
	files map[durable]error
	done  chan struct{}
}

func newSyncer(off bool) *syncer {
	s := &syncer{off: off, next: newRound()}
	s.idle = sync.NewCond(&s.mu)
	return s
}

func newRound() *round { return &round{files: map[durable]error{}, done: make(chan struct{})} }

// enlist asks for files to be synced and returns the round that does it. What was written before the call is covered.
func (s *syncer) enlist(files ...durable) *round {
	if s.off {
		r := newRound()
		for _, f := range files { // nothing here waits for a disk, so nothing is gained by doing it at the same time
			r.files[f] = f.sync()
		}
		close(r.done)
		return r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.next
	for _, f := range files {
		r.files[f] = nil
	}
	if !s.running {
		s.running = true
		go s.work()
	}
	return r
}

// work runs rounds until nobody waits.
func (s *syncer) work() {
	for {
		s.mu.Lock()
		r := s.next
		if len(r.files) == 0 {
			s.running = false
			s.idle.Broadcast()
			s.mu.Unlock()
			return
		}
		s.next = newRound()
		s.mu.Unlock()
		r.run()
	}
}

// run syncs the files of a round, several at a time.
func (r *round) run() {
	defer close(r.done)
	files := slices.Collect(maps.Keys(r.files))
	if len(files) == 1 {
		r.files[files[0]] = files[0].sync()
		return
	}
	results := make([]error, len(files))
	var all errgroup.Group
	all.SetLimit(syncAtOnce)
	for i, f := range files {
		all.Go(func() error {
			results[i] = f.sync()
			return nil
		})
	}
	_ = all.Wait() // each result is kept with its file
	for i, f := range files {
		r.files[f] = results[i]
	}
}

// wait returns what became of a file in this round, or the cause of ctx.
func (r *round) wait(ctx context.Context, f durable) error {
	select {
	case <-r.done:
		return r.files[f]
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// quiet returns when no round runs or waits.
func (s *syncer) quiet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.running {
		s.idle.Wait()
	}
}
