package engine

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	archive "ravenswood.dev/internal/engine/snapshot" // snapshot is what the status calls a session at one moment
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/topology"
)

// defaultSnapshotEvery is how often the stores of a task are saved: as much as that of a changelog is read after a machine
// is lost.
const defaultSnapshotEvery = 10 * time.Minute

// staleSnapshot is after how long a snapshot is taken although nothing has changed, so that it does not look abandoned, and is
// younger than the deletions that a changelog keeps.
const staleSnapshot = 6 * time.Hour

// snapshots saves the stores of the tasks that work here, and fetches those of tasks that are new here. A task is saved by
// its owner only; during a hand-over there may be two, which the bucket can bear.
//
// Everything that goes wrong is logged and nothing more: the changelog has it all.
type snapshots struct {
	engine *Engine
	bucket *archive.Bucket // nil: none are kept
	saved  map[unitID]savedAt
}

// savedAt is what the last snapshot of a task held.
type savedAt struct {
	checkpoints map[string]int64
	at          time.Time
}

// newSnapshots opens where they are kept; it fails only if that can't be understood.
func newSnapshots(ctx context.Context, e *Engine) (*snapshots, error) {
	s := &snapshots{engine: e, saved: make(map[unitID]savedAt)}
	s.clear()
	if e.env.Snapshots == "" {
		return s, nil
	}
	bucket, err := archive.Open(ctx, e.env.Snapshots, archive.Options{Log: e.log})
	s.bucket = bucket
	return s, err
}

// savingSuffix is that of the folder beside a task's in which its snapshot is made.
const savingSuffix = ".saving"

// clear removes what a crash left of snapshots that were being made: the links hold the space of tables that are gone.
func (s *snapshots) clear() {
	for i := range s.engine.plan.Stages {
		stage := filepath.Dir(s.engine.states.folder(unitID{stage: i}))
		left, _ := filepath.Glob(filepath.Join(stage, "*"+savingSuffix)) // the pattern is right
		for _, dir := range left {
			if err := os.RemoveAll(dir); err != nil {
				s.engine.log.Warn("remove what is left of a snapshot", "folder", dir, "err", err)
			}
		}
	}
}

func (s *snapshots) close() {
	if s.bucket == nil {
		return
	}
	if err := s.bucket.Close(); err != nil {
		s.engine.log.Warn("close snapshots", "err", err)
	}
}

// run saves the tasks that work here, one after the other, so that saving takes at most one processor and one connection
// from the work.
func (s *snapshots) run(ctx context.Context) {
	if s.bucket == nil {
		return
	}
	every := s.engine.env.SnapshotEvery
	if every <= 0 {
		every = defaultSnapshotEvery
	}
	for sleep(ctx, every) {
		for id, state := range s.engine.board.working() {
			s.save(ctx, id, state)
		}
	}
}

// save saves one task, unless nothing of it has changed.
func (s *snapshots) save(ctx context.Context, id unitID, state *store.State) {
	opts := s.engine.states.options(id)
	if opts.Dir == "" || ctx.Err() != nil {
		return
	}
	now := savedAt{checkpoints: make(map[string]int64), at: time.Now()}
	same := time.Since(s.saved[id].at) < staleSnapshot
	for name := range opts.Origins {
		at := state.Checkpoint(name)
		same = same && s.saved[id].checkpoints[name] == at
		now.checkpoints[name] = at
	}
	if same {
		return
	}
	saved, err := s.bucket.Save(ctx, s.task(id, opts), state, opts.Dir+savingSuffix)
	switch {
	case errors.Is(err, store.ErrClosed), ctx.Err() != nil: // the task has gone elsewhere, or we stop
	case err != nil:
		s.engine.log.Warn("a snapshot of stores was not saved or not tidied up after; the next one is tried in time", "err", err)
	default:
		s.saved[id] = now
		s.engine.log.Info("snapshot saved", "stage", s.engine.plan.Stages[id.stage].Name, "partition", id.n, "files", saved.Files,
			"bytes", saved.Bytes, "uploaded", saved.Uploaded, "took", time.Since(now.at).Round(time.Millisecond))
	}
}

func (s *snapshots) task(id unitID, opts store.Options) archive.Task {
	t := archive.Task{
		Topology: s.engine.plan.Name, Stage: s.engine.plan.Stages[id.stage].Name, Partition: id.n,
		Identity: opts.Identity, Origins: make(map[string]string),
	}
	for _, spec := range opts.Specs {
		if !spec.Memory { // those in memory are in no snapshot
			t.Origins[spec.Name] = opts.Origins[spec.Name]
		}
	}
	return t
}

// fetch brings the newest snapshot of a task that has no folder here.
func (s *snapshots) fetch(ctx context.Context, id unitID, opts store.Options) {
	if s.bucket == nil || opts.Dir == "" {
		return
	}
	began := time.Now()
	task := s.task(id, opts)
	task.Fresh = s.fresh(ctx, id)
	got, err := s.bucket.Fetch(ctx, task, opts.Dir)
	stage := s.engine.plan.Stages[id.stage].Name
	if err != nil && ctx.Err() == nil {
		s.engine.log.Warn("a snapshot can't be used; what is missing is restored from the changelog", "stage", stage, "partition", id.n, "err", err)
	}
	if got != nil {
		s.engine.log.Info("snapshot fetched", "stage", stage, "partition", id.n, "taken", got.Manifest.Taken, "files", got.Files,
			"bytes", got.Bytes, "took", time.Since(began).Round(time.Millisecond))
	}
}

// fresh tells which stores of a snapshot can go on where they stand: fetching others would be for nothing. Nil if the log
// can't be asked now; then it shows when they are restored. What is committed of inputs counts as all there is.
func (s *snapshots) fresh(ctx context.Context, id unitID) func(archive.Store) bool {
	st := &s.engine.plan.Stages[id.stage]
	ends, err := s.engine.askEnds(ctx, st)
	if err != nil {
		return nil
	}
	return func(saved archive.Store) bool {
		i := slices.IndexFunc(st.Stores, func(o topology.Store) bool { return o.Name == saved.Name })
		if i < 0 || st.Stores[i].Changelog == "" {
			return false
		}
		stands := ends.of(&st.Stores[i], id.n, saved.Checkpoint, saved.Current, math.MaxInt64)
		why := stands.unfit(ends.asked)
		return why == "" || why == awayTooLong && st.Stores[i].Source
	}
}

// working returns the tasks that work here.
func (b *board) working() map[unitID]*store.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.running)
}
