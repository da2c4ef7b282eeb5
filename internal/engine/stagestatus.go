package engine

import (
	"cmp"
	"slices"
	"time"

	"ravenswood.dev/internal/engine/stage"
	"ravenswood.dev/internal/engine/store"
)

// unitSnapshot is what a session tells of one of its units.
type unitSnapshot struct {
	id         unitID
	worker     int
	phase      phase
	streamTime time.Time
	progress   *restoreProgress // while it is restoring
}

func (s *session) unitSnapshots() []unitSnapshot {
	var all []unitSnapshot
	for id, u := range s.units {
		one := unitSnapshot{id: id, worker: s.w.number, phase: u.phase}
		switch u.phase {
		case restoring:
			one.progress = u.progress
		case operating:
			u.late.Tally()
			one.streamTime = u.late.StreamTime()
		}
		all = append(all, one)
	}
	return all
}

// stageStatus is what this process knows of the stages with state.
func (e *Engine) stageStatus(now time.Time) []StageStatus {
	var all []StageStatus
	tasks := e.stageTasks(now)
	for i := range e.plan.Stages {
		st := &e.plan.Stages[i]
		if !st.Stateful {
			continue
		}
		one := StageStatus{Stage: st.Name, Tasks: tasks[i]}
		for _, b := range st.Bolts {
			if e.plan.Bolts[b].Late {
				one.Bolts = append(one.Bolts, e.plan.Bolts[b].Name)
			}
		}
		all = append(all, one)
	}
	return all
}

// stageTasks are the tasks and copies of this process, by stage.
func (e *Engine) stageTasks(now time.Time) map[int][]StageTask {
	tasks := make(map[int][]StageTask)
	seen := make(map[unitID]bool)
	add := func(id unitID, t StageTask) {
		if seen[id] { // it is on its way from one to the other
			return
		}
		seen[id] = true
		t.Partition = id.n
		t.measure(e.states.look(id))
		tasks[id.stage] = append(tasks[id.stage], t)
	}
	for _, w := range e.workers {
		if snap := w.snapshot.Load(); snap != nil {
			for _, u := range snap.units {
				add(u.id, u.status(now))
			}
		}
	}
	for id, lag := range e.standbys.copied() {
		add(id, StageTask{State: TaskStandby, Worker: -1, Lag: lag})
	}
	for _, list := range tasks {
		slices.SortFunc(list, func(a, b StageTask) int { return cmp.Compare(a.Partition, b.Partition) })
	}
	return tasks
}

func (u *unitSnapshot) status(now time.Time) StageTask {
	t := StageTask{Worker: u.worker, State: TaskWaiting}
	switch u.phase {
	case restoring:
		t.State, t.Restore = TaskRestoring, u.progress.status(now)
	case operating:
		t.State = TaskRunning
	}
	if !u.streamTime.IsZero() {
		t.StreamTime, t.Behind = &u.streamTime, max(now.Sub(u.streamTime), 0)
	}
	return t
}

func (p *restoreProgress) status(now time.Time) *RestoreStatus {
	r := &RestoreStatus{
		Records: p.records.Load(), Bytes: p.bytes.Load(), Done: p.done.Load(), Total: p.total.Load(),
		Took: now.Sub(p.began), Left: -1,
	}
	if r.Done > 0 {
		r.Left = time.Duration(float64(r.Took) / float64(r.Done) * float64(max(r.Total-r.Done, 0)))
	}
	return r
}

// measure adds the sizes of a task's stores; there are none before they are open.
func (t *StageTask) measure(state *store.State) {
	if state == nil {
		return
	}
	stats := state.Stats()
	t.DiskBytes = stats.DiskBytes
	kinds := make(map[string]store.Spec)
	for _, spec := range state.Specs() {
		kinds[spec.Name] = spec
	}
	for _, s := range stats.Stores {
		spec := kinds[s.Name]
		t.Stores = append(t.Stores, StoreStatus{
			Store: s.Name, Kind: spec.Kind.String(), Memory: spec.Memory, Entries: s.Entries, Bytes: s.Bytes,
		})
	}
}

// copied lists the copies of this process with how far behind they are; -1 while that is not known.
func (s *standbys) copied() map[unitID]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[unitID]int64, len(s.copies))
	for id := range s.copies {
		all[id] = s.lag(id)
	}
	return all
}

// addLate adds what the late step has counted.
func (b *BoltStatus) addLate(c *stage.Counts) {
	b.Records += c.Records.Load()
	b.Errors += c.Errors.Load()
	b.ScheduleErrors = c.ScheduleErrors.Load()
	b.DroppedBy = c.Dropped()
	for reason, n := range b.DroppedBy {
		if reason == stage.ReasonLate {
			b.Late += n
		} else {
			b.Dropped += n
		}
	}
}

// StageStatus is a stage with state.
type StageStatus struct {
	Stage string      `json:"stage"`
	Bolts []string    `json:"bolts"` // of the late step; their numbers are among those of all bolts
	Tasks []StageTask `json:"tasks"` // of this process
}

// StageTask is a task of a stage with state, or a copy of its stores.
type StageTask struct {
	Partition  int32          `json:"partition"`
	Worker     int            `json:"worker"` // -1 for a standby, which belongs to the process
	State      TaskState      `json:"state"`
	Restore    *RestoreStatus `json:"restore,omitempty"`    // while it is restoring
	Lag        int64          `json:"lag,omitempty"`        // of a standby: records of the changelogs it has not got yet; -1: not known
	StreamTime *time.Time     `json:"streamTime,omitempty"` // none before the first record
	Behind     time.Duration  `json:"behindNanos"`          // from stream time to now
	Stores     []StoreStatus  `json:"stores,omitempty"`
	DiskBytes  int64          `json:"diskBytes"` // of all of its stores, and what is to be cleaned up
}

// TaskState is what a task of a stage with state is doing.
type TaskState string

// The states of a task, and of a copy.
const (
	TaskWaiting   TaskState = "waiting" // for the rest of its partitions
	TaskRestoring TaskState = "restoring"
	TaskRunning   TaskState = "running"
	TaskStandby   TaskState = "standby"
)

// RestoreStatus is how far the stores of a task have come.
type RestoreStatus struct {
	Records int64         `json:"records"` // read so far
	Bytes   int64         `json:"bytes"`   // of their keys and values
	Done    int64         `json:"done"`    // offsets of the changelogs gone through
	Total   int64         `json:"total"`   // of so many; 0 before that is known
	Took    time.Duration `json:"tookNanos"`
	Left    time.Duration `json:"leftNanos"` // at the pace so far; -1: not known yet
}

// StoreStatus is one store of a task.
type StoreStatus struct {
	Store   string `json:"store"`
	Kind    string `json:"kind"`
	Memory  bool   `json:"memory"`
	Entries int64  `json:"entries"` // -1: not known, which is so on disk
	Bytes   int64  `json:"bytes"`   // in memory or on disk; -1: not known
}
