package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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

// waiting says what is missing before all tasks of this process work: a worker's share of them, or the rest of a task's
// partitions, or its stores. It is empty if nothing is, and in a topology without state.
func (e *Engine) waiting(st *Status) string {
	if len(st.Stages) == 0 || st.State != "running" {
		return ""
	}
	for _, w := range e.workers {
		if snap := w.snapshot.Load(); snap == nil || snap.joined == nil || !snap.joined.Load() {
			return fmt.Sprintf("worker %d waits for its share of the tasks", w.number)
		}
	}
	var missing []string
	for _, s := range st.Stages {
		for i := range s.Tasks {
			if t := &s.Tasks[i]; t.State == TaskRestoring || t.State == TaskWaiting {
				missing = append(missing, fmt.Sprintf("%s/%d", s.Stage, t.Partition))
			}
		}
	}
	if len(missing) == 0 {
		return ""
	}
	const named = 5
	text := "tasks are being restored: " + strings.Join(missing[:min(len(missing), named)], ", ")
	if more := len(missing) - named; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// NotReady says why the topology is not ready in this process; empty if it is. It is once every worker knows its share
// of the tasks and all of them have their stores and work. One that is ready is not any more while it restores a task that it
// is given later.
func (s *Status) NotReady() string {
	if s.State != "running" {
		return "it is " + s.State
	}
	return s.Waiting
}

// Restoring lists the tasks that are being restored, each with how far it is, in the order of stages and partitions.
func (s *Status) Restoring() (all []string) {
	for _, st := range s.Stages {
		for _, t := range st.Tasks {
			if t.State == TaskRestoring {
				all = append(all, fmt.Sprintf("stage %s partition %d: %s", st.Stage, t.Partition, t.Restore))
			}
		}
	}
	return all
}

// aheadMost is how far stream time may be ahead of the clock: as far as clocks of machines that send are off.
const aheadMost = 10 * time.Minute

// Ahead lists the tasks whose stream time is far ahead of the clock: records after the one that says so may be too late for
// their windows.
func (s *Status) Ahead(now time.Time) (all []string) {
	for _, st := range s.Stages {
		for _, t := range st.Tasks {
			if t.StreamTime != nil && t.StreamTime.Sub(now) > aheadMost {
				all = append(all, fmt.Sprintf("stage %s partition %d is at %s", st.Stage, t.Partition, t.StreamTime.UTC().Format(time.RFC3339)))
			}
		}
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

func (r *RestoreStatus) String() string {
	if r == nil || r.Total == 0 {
		return "its stores are being opened"
	}
	text := fmt.Sprintf("%d%%, %d records, %s in %s", min(100*r.Done/r.Total, 100), r.Records, sizeText(r.Bytes), r.Took.Round(100*time.Millisecond))
	if r.Left >= 0 {
		text += fmt.Sprintf(", about %s left", r.Left.Round(100*time.Millisecond))
	}
	return text
}

// sizeText is a number of bytes for people.
func sizeText(n int64) string {
	units := []string{"B", "kB", "MB", "GB"}
	size, i := float64(n), 0
	for ; size >= 1000 && i < len(units)-1; i++ {
		size /= 1000
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[i])
}

// StoreStatus is one store of a task.
type StoreStatus struct {
	Store   string `json:"store"`
	Kind    string `json:"kind"`
	Memory  bool   `json:"memory"`
	Entries int64  `json:"entries"` // -1: not known, which is so on disk
	Bytes   int64  `json:"bytes"`   // in memory or on disk; -1: not known
}
