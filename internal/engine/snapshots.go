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

// The folders beside that of a task: in which its snapshot is made, in which one is while it is being fetched (Bucket.Fetch),
// and which is to take the place of the task's own.
const (
	savingSuffix   = ".saving"
	fetchingSuffix = ".fetching"
	newerSuffix    = ".newer"
)

// clear removes what a crash left of snapshots that were being made, or fetched: they hold the space of tables that are gone.
func (s *snapshots) clear() {
	for i := range s.engine.plan.Stages {
		stage := filepath.Dir(s.engine.states.folder(unitID{stage: i}))
		for _, suffix := range []string{savingSuffix, fetchingSuffix, newerSuffix} {
			left, _ := filepath.Glob(filepath.Join(stage, "*"+suffix)) // the pattern is right
			for _, dir := range left {
				s.remove(dir)
			}
		}
	}
}

func (s *snapshots) remove(dir string) {
	if err := os.RemoveAll(dir); err != nil {
		s.engine.log.Warn("remove what is left of a snapshot", "folder", dir, "err", err)
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
	task := s.task(id, opts)
	if fresh := s.fresh(ctx, id); fresh != nil {
		task.Usable = func(saved []archive.Store) bool { return slices.ContainsFunc(saved, fresh) }
	}
	s.fetchTo(ctx, id, task, opts.Dir)
}

func (s *snapshots) fetchTo(ctx context.Context, id unitID, task archive.Task, dir string) bool {
	began := time.Now()
	got, err := s.bucket.Fetch(ctx, task, dir)
	stage := s.engine.plan.Stages[id.stage].Name
	if err != nil && ctx.Err() == nil {
		s.engine.log.Warn("a snapshot can't be used; what is missing is restored from the changelog", "stage", stage, "partition", id.n, "err", err)
	}
	if got != nil {
		s.engine.log.Info("snapshot fetched", "stage", stage, "partition", id.n, "taken", got.Manifest.Taken, "files", got.Files,
			"bytes", got.Bytes, "took", time.Since(began).Round(time.Millisecond))
	}
	return got != nil
}

// newer brings a snapshot beside the folder of a task, if stores in the folder would be restored whole and the snapshot spares
// that: none of its stores has more to read than the folder's, and some have less. It returns where it is, "" if there is none.
func (s *snapshots) newer(ctx context.Context, id unitID, opts store.Options, state *store.State) string {
	if s.bucket == nil {
		return ""
	}
	st := &s.engine.plan.Stages[id.stage]
	ends, err := s.engine.askEnds(ctx, st)
	if err != nil {
		return "" // it shows when they are restored
	}
	have, whole := standings(st, id.n, state, ends)
	if !whole {
		return ""
	}
	task, dir := s.task(id, opts), opts.Dir+newerSuffix
	task.Usable = func(saved []archive.Store) bool { return sparesReading(have, saved, ends.asked) }
	s.remove(dir)
	if !s.fetchTo(ctx, id, task, dir) {
		return ""
	}
	return dir
}

// standings tells how the stores of a folder stand, and whether there are any for which a log that holds something is read from
// its beginning. A store that has no log could not be brought back: then there are none.
func standings(st *topology.Stage, n int32, state *store.State, ends logEnds) (have map[string]standing, whole bool) {
	have = make(map[string]standing)
	for i := range st.Stores {
		s := &st.Stores[i]
		switch {
		case s.Memory: // in no folder and no snapshot
		case s.Changelog == "":
			return nil, false
		default:
			one := ends.of(s, n, state.Checkpoint(s.Name), state.Current(s.Name), math.MaxInt64)
			have[s.Name], whole = one, whole || one.whole(ends.asked) && one.start < one.to
		}
	}
	return have, whole
}

// sparesReading says whether saved stores need less to be read than those that are here, and none of them more.
func sparesReading(have map[string]standing, saved []archive.Store, now time.Time) bool {
	less := false
	for name, here := range have {
		there := here
		there.at, there.current = -1, time.Time{}
		if i := slices.IndexFunc(saved, func(o archive.Store) bool { return o.Name == name }); i >= 0 {
			there.at, there.current = saved[i].Checkpoint, saved[i].Current
		}
		if there.lag(now) > here.lag(now) {
			return false
		}
		less = less || there.lag(now) < here.lag(now)
	}
	return less
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
