package engine

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/topology"
)

// states keeps the stores of this process, by task. A State outlives the session that used it: the next one finds it
// as it was committed and reads only what it has missed. Each is lent to one user at a time: a worker, or the standby
// that keeps it warm.
type states struct {
	dir    string // of this process: two may share a data folder
	plan   *topology.Plan
	origin func(topology.Store) string // what a store is made from
	saved  copies                      // nil: nobody saves any
	log    *slog.Logger

	mu     sync.Mutex
	held   map[unitID]*heldState // one whose state is nil is being opened, or removed; GUARDED_BY(mu)
	notes  folderNotes           // GUARDED_BY(mu)
	began  time.Time             // GUARDED_BY(mu)
	most   int                   // how many states on disk there can be here; 0: not known; GUARDED_BY(mu)
	caches *store.Caches         // made with the first state on disk; GUARDED_BY(mu)
	back   *sync.Cond            // on mu: a state was given back
}

// copies are what somebody has saved of tasks' folders.
type copies interface {
	// fetch brings a folder that is not there, if it can.
	fetch(context.Context, unitID, store.Options)
	// newer brings a folder that is worth more than the one that is there, beside it, and says where; "" if there is none.
	newer(context.Context, unitID, store.Options, *store.State) string
}

// heldState is an open State and whether somebody uses it.
type heldState struct {
	state *store.State
	lent  bool
	idle  time.Time // when it was first seen that nobody does; zero if somebody does
}

func newStates(plan *topology.Plan, dir string, origin func(topology.Store) string, log *slog.Logger) *states {
	k := &states{dir: dir, plan: plan, origin: origin, log: log, held: make(map[unitID]*heldState), notes: make(folderNotes)}
	k.back = sync.NewCond(&k.mu)
	return k
}

// take lends the State of a task, opened if it is not. It waits while another user of this process has it, who has been
// told to give it back. Opening may take as long as it takes to fetch a snapshot, unless ctx ends.
func (k *states) take(ctx context.Context, id unitID) (*store.State, error) {
	defer context.AfterFunc(ctx, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.back.Broadcast()
	})()
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.held[id] != nil && k.held[id].lent {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		k.back.Wait()
	}
	if h := k.held[id]; h != nil {
		h.lent, h.idle = true, time.Time{}
		return h.state, nil
	}
	h := &heldState{lent: true}
	k.held[id] = h
	k.mu.Unlock() // others need not wait
	state, err := k.open(ctx, id)
	k.mu.Lock()
	if err != nil {
		delete(k.held, id)
		k.back.Broadcast()
		return nil, err
	}
	h.state = state
	return state, nil
}

// open opens the State of a task. A folder that is not there, or from which stores would be restored whole, is fetched if it
// can be.
func (k *states) open(ctx context.Context, id unitID) (*store.State, error) {
	opts := k.options(id)
	if opts.Dir == "" || k.saved == nil {
		return k.openAt(opts)
	}
	_, err := os.Stat(opts.Dir)
	fetched := errors.Is(err, fs.ErrNotExist)
	if fetched {
		k.saved.fetch(ctx, id, opts)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	state, err := k.openAt(opts)
	if err != nil || fetched {
		return state, err
	}
	if newer := k.saved.newer(ctx, id, opts, state); newer != "" {
		return k.replace(opts, state, newer)
	}
	return state, nil
}

// replace closes a State and puts another folder in the place of its own.
func (k *states) replace(opts store.Options, state *store.State, newer string) (*store.State, error) {
	err := state.Close()
	if err == nil {
		err = store.Remove(opts.Dir)
	}
	if err == nil {
		err = os.Rename(newer, opts.Dir)
	}
	if err != nil {
		k.log.Warn("a snapshot does not take the place of older stores; these are restored from the changelog", "folder", opts.Dir, "err", err)
	}
	return k.openAt(opts)
}

// options is how the State of a task is opened.
func (k *states) options(id unitID) store.Options {
	st := &k.plan.Stages[id.stage]
	opts := store.Options{Identity: k.plan.Name + "/" + st.Name + "/" + strconv.Itoa(int(id.n)), Origins: make(map[string]string), Log: k.log}
	memory := true
	for _, s := range st.Stores {
		opts.Specs = append(opts.Specs, s.Spec)
		opts.Origins[s.Name] = k.origin(s)
		memory = memory && s.Memory
	}
	if !memory {
		opts.Dir = k.folder(id)
	}
	return opts
}

// openAt opens a folder with what the States of this process have in common. One that is damaged is removed: the
// log has everything that is in it.
func (k *states) openAt(opts store.Options) (*store.State, error) {
	if opts.Dir == "" {
		return store.Open(opts)
	}
	opts.Caches = k.sharedCaches()
	state, err := store.Open(opts)
	if damaged := (*store.DamagedError)(nil); errors.As(err, &damaged) {
		k.log.Error("a damaged store is removed and restored from its changelog, or from a snapshot", "folder", opts.Dir, "err", err)
		if err := store.Remove(opts.Dir); err != nil {
			return nil, err
		}
		state, err = store.Open(opts)
	}
	return state, err
}

// expect says how many partitions each topic has, and so how many States may be open here at once: all of them when the
// other processes are gone.
func (k *states) expect(partitions map[string]int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.most = mostOnDisk(k.plan, partitions)
}

func mostOnDisk(plan *topology.Plan, partitions map[string]int) (most int) {
	for i := range plan.Stages {
		tasks := 0
		for _, s := range plan.Stages[i].Stores {
			if !s.Memory {
				tasks = max(tasks, partitions[s.Changelog], plan.Stages[i].Partitions)
			}
		}
		most += tasks
	}
	for _, g := range plan.Globals {
		if !g.Store.Memory {
			most++
		}
	}
	return most
}

func (k *states) sharedCaches() *store.Caches {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.caches == nil {
		k.caches = store.NewCaches(store.CacheOptions{States: k.most})
	}
	return k.caches
}

func (k *states) folder(id unitID) string {
	return filepath.Join(k.dir, "stages", k.plan.Stages[id.stage].Name, strconv.Itoa(int(id.n)))
}

// give takes a State back. One that has failed is closed, to be opened again by its next user.
func (k *states) give(id unitID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := k.held[id]
	h.lent = false
	if h.state.Err() != nil {
		k.close(id)
	}
	k.back.Broadcast()
}

func (k *states) close(id unitID) {
	if err := k.held[id].state.Close(); err != nil {
		k.log.Warn("close stores", "stage", k.plan.Stages[id.stage].Name, "partition", id.n, "err", err)
	}
	delete(k.held, id)
}

// look gives the State of a task to a reader, nil if it is not open here.
func (k *states) look(id unitID) *store.State {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h := k.held[id]; h != nil {
		return h.state
	}
	return nil
}

// closeAll ends them all; nobody uses one any more.
func (k *states) closeAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.held {
		k.noteTask(id, time.Now())
		k.close(id)
	}
	k.save()
	if k.caches != nil {
		k.caches.Close()
		k.caches = nil
	}
}
