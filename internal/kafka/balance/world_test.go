package balance

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// world is a group as it would be: members with disks, who do as they are told.
type world struct {
	t        *rapid.T
	standbys int
	tasks    []Task
	members  map[string]*worker
	disks    map[string]map[Task]int64 // by process: lag
	moved    map[Task]bool             // active tasks that changed from one living member to another
}

type worker struct {
	id, process string
	owns        map[Task]bool
	duties      Duties
	disk        map[Task]int64
}

func (w *world) add(id, process string) *worker {
	if w.disks[process] == nil {
		w.disks[process] = map[Task]int64{}
	}
	m := &worker{id: id, process: process, owns: map[Task]bool{}, disk: w.disks[process]}
	w.members[id] = m
	return m
}

func (w *world) sorted() []*worker {
	var list []*worker
	for _, id := range slices.Sorted(maps.Keys(w.members)) {
		list = append(list, w.members[id])
	}
	return list
}

func (w *world) input() Input {
	in := Input{Standbys: w.standbys, Tasks: w.tasks}
	for _, m := range w.sorted() {
		in.Members = append(in.Members, Member{
			ID: m.id, Process: m.process, Owns: slices.Collect(maps.Keys(m.owns)), Lags: maps.Clone(m.disk),
			Standby: m.duties.Standby, WarmUp: m.duties.WarmUp,
		})
	}
	return in
}

// round is one rebalance: everybody is told, lets go of what it lost, and takes what it got. It says whether another one
// must follow, because somebody let go of something or warms up.
func (w *world) round() (again bool) {
	before := map[Task]string{}
	for _, m := range w.members {
		for task := range m.owns {
			before[task] = m.id
		}
	}
	in := w.input()
	duties := Plan(in)
	w.check(in, duties, before)
	for i, m := range w.sorted() {
		again = m.follow(duties[i], before, w.moved) || again
	}
	return again
}

func (m *worker) follow(d Duties, before map[Task]string, moved map[Task]bool) (again bool) {
	active := setOf(d.Active)
	for task := range m.owns {
		if !active[task] {
			again = true
			moved[task] = true
			delete(m.owns, task)
		}
	}
	for task := range active {
		m.owns[task] = true
	}
	m.duties = d
	return again || len(d.WarmUp) > 0
}

// check holds one plan to the rules that hold in every round.
func (w *world) check(in Input, duties []Duties, before map[Task]string) {
	w.t.Helper()
	given := map[Task]string{}
	places := map[Task]map[string]string{} // by task, by process: which member has a copy
	for i, d := range duties {
		m := in.Members[i]
		for _, task := range d.Active {
			if given[task] != "" {
				w.t.Fatalf("%v is given to %s and to %s", task, given[task], m.ID)
			}
			given[task] = m.ID
			if owner := before[task]; owner != "" && owner != m.ID {
				w.t.Fatalf("%v is given to %s while %s still has it", task, m.ID, owner)
			}
		}
		for _, task := range slices.Concat(d.Active, d.Standby, d.WarmUp) {
			if task.Loose() {
				continue
			}
			if places[task] == nil {
				places[task] = map[string]string{}
			}
			if other := places[task][m.Process]; other != "" {
				w.t.Fatalf("process %s has two copies of %v, in %s and %s", m.Process, task, other, m.ID)
			}
			places[task][m.Process] = m.ID
		}
	}
	for _, task := range w.tasks {
		if !task.Loose() && len(places[task]) == 0 {
			w.t.Fatalf("%v is at nobody; who reads the map takes a stage for smaller than it is", task)
		}
	}
	for task, owner := range before {
		if given[task] == "" && !task.Loose() {
			w.checkHandover(task, owner, duties, in)
		}
	}
}

// checkHandover: an owner is told to let go only if somebody can go on at once.
func (w *world) checkHandover(task Task, owner string, duties []Duties, in Input) {
	w.t.Helper()
	for i, d := range duties {
		if slices.Contains(d.WarmUp, task) {
			if w.ready(task, in.Members[i]) {
				return
			}
		}
	}
	w.t.Fatalf("%s is told to let go of %v, for which nobody is ready", owner, task)
}

func (w *world) ready(task Task, m Member) bool {
	for _, other := range w.members {
		lag, ok := other.disk[task]
		if other.process == m.Process && (other.owns[task] || ok && lag <= CaughtUp) {
			return true
		}
	}
	return false
}

// pass is time: copies that somebody works on come closer, others fall behind.
func (w *world) pass(step int64) {
	for process, disk := range w.disks {
		tailed := map[Task]bool{}
		for _, m := range w.members {
			if m.process == process {
				maps.Copy(tailed, setOf(slices.Concat(m.duties.Active, m.duties.Standby, m.duties.WarmUp)))
			}
		}
		for task := range disk {
			if !tailed[task] {
				disk[task] += step / 10
			}
		}
		for task := range tailed {
			lag, ok := disk[task]
			if !ok {
				lag = 10 * step
			}
			if !task.Loose() {
				disk[task] = max(0, lag-step)
			}
		}
	}
}

// settle rebalances until nothing is left to do.
func (w *world) settle() {
	w.t.Helper()
	var rounds []string
	for range 200 {
		if !w.round() {
			w.checkSettled()
			return
		}
		rounds = append(rounds, w.describe())
		w.pass(20_000_000)
	}
	w.t.Log(rounds[len(rounds)-6:], w.disks)
	w.t.Fatalf("it does not settle:\n%s", w.describe())
}

func (w *world) describe() (s string) {
	for _, m := range w.sorted() {
		s += fmt.Sprintf("%s %s %+v\n", m.id, m.process, m.duties)
	}
	return s
}

// checkSettled: every task has one owner, members are even, standbys are where they should be, and asking again changes
// nothing.
func (w *world) checkSettled() {
	w.t.Helper()
	owner := map[Task]int{}
	standby := map[Task]int{}
	perStage, total := map[string][]int{}, []int{}
	for _, m := range w.sorted() {
		count := map[string]int{}
		for task := range m.owns {
			owner[task]++
			count[task.Stage]++
		}
		for _, task := range m.duties.Standby {
			standby[task]++
		}
		for _, task := range w.tasks {
			if task.Partition == 0 {
				perStage[task.Stage] = append(perStage[task.Stage], count[task.Stage])
			}
		}
		total = append(total, len(m.owns))
	}
	for stage, counts := range perStage {
		if slices.Max(counts)-slices.Min(counts) > 1 {
			w.t.Fatalf("stage %s is shared out as %v:\n%s", stage, counts, w.describe())
		}
	}
	if slices.Max(total)-slices.Min(total) > 1 {
		w.t.Fatalf("tasks are shared out as %v:\n%s", total, w.describe())
	}
	processes := map[string]bool{}
	for _, m := range w.members {
		processes[m.process] = true
	}
	for _, task := range w.tasks {
		if owner[task] != 1 {
			w.t.Fatalf("%v has %d owners", task, owner[task])
		}
		want := min(w.standbys, len(processes)-1)
		if task.Loose() {
			want = 0
		}
		if standby[task] != want {
			w.t.Fatalf("%v has %d standbys; want %d:\n%s", task, standby[task], want, w.describe())
		}
	}
	before := w.describe()
	if w.round(); w.describe() != before {
		w.t.Fatalf("asking again changes\n%sto\n%s", before, w.describe())
	}
}

func drawTasks(t *rapid.T, stages int) []Task {
	var tasks []Task
	for s := range stages {
		name := fmt.Sprintf("s%d", s)
		if rapid.Bool().Draw(t, "loose") {
			name = LooseStage(name).Name
		}
		for p := range rapid.IntRange(1, 12).Draw(t, "partitions") {
			tasks = append(tasks, Task{name, int32(p)})
		}
	}
	return tasks
}

// TestGroupsSettle: whatever happens to a group, and whenever, it comes to rest balanced, with its standbys, and no task
// ever has two owners or an owner that is not ready while there was one that was.
func TestGroupsSettle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: rt, standbys: rapid.IntRange(0, 2).Draw(rt, "standbys"), members: map[string]*worker{}, moved: map[Task]bool{}, disks: map[string]map[Task]int64{}}
		w.tasks = drawTasks(rt, rapid.IntRange(1, 4).Draw(rt, "stages"))
		next := 0
		join := func() {
			w.add(fmt.Sprintf("m%02d", next*7%31), fmt.Sprintf("p%d", rapid.IntRange(0, 5).Draw(rt, "process")))
			next++
		}
		join()
		for range rapid.IntRange(1, 8).Draw(rt, "events") {
			switch rapid.IntRange(0, 4).Draw(rt, "event") {
			case 0, 1:
				join()
			case 2: // a crash
				if len(w.members) > 1 {
					ids := slices.Sorted(maps.Keys(w.members))
					delete(w.members, rapid.SampledFrom(ids).Draw(rt, "crash"))
				}
			case 3: // a disk is lost
				m := rapid.SampledFrom(w.sorted()).Draw(rt, "disk")
				for task := range m.disk {
					m.disk[task] = 50_000_000
				}
			case 4:
				w.settle()
			}
			w.round()
			w.pass(rapid.Int64Range(0, 3_000_000).Draw(rt, "step"))
		}
		w.settle()
	})
}

// TestNothingMovesThatNeedNot: a newcomer gets its share from those who have most, and what a member leaves behind is all
// that moves.
func TestNothingMovesThatNeedNot(t *testing.T) {
	mayMove := map[int]int{1: 0, 2: 2, 3: 3}
	rapid.Check(t, func(rt *rapid.T) {
		stages := rapid.IntRange(1, 3).Draw(rt, "stages")
		w := &world{t: rt, standbys: rapid.IntRange(0, 1).Draw(rt, "standbys"), members: map[string]*worker{}, moved: map[Task]bool{}, disks: map[string]map[Task]int64{}}
		w.tasks = drawTasks(rt, stages)
		size := rapid.IntRange(2, 6).Draw(rt, "members")
		for i := range size {
			w.add(fmt.Sprintf("m%d", i), fmt.Sprintf("p%d", i))
		}
		w.settle()

		clear(w.moved)
		gone := w.members["m0"]
		delete(w.members, "m0")
		w.settle()
		for task := range gone.owns {
			delete(w.moved, task)
		}
		if len(w.moved) > mayMove[stages] {
			rt.Fatalf("when a member left, %d tasks of others moved, too", len(w.moved))
		}

		clear(w.moved)
		newcomer := w.add("m9", "p9")
		w.settle()
		for task := range newcomer.owns {
			delete(w.moved, task)
		}
		if len(w.moved) > mayMove[stages] {
			rt.Fatalf("when a member came, %d tasks of others moved, too:\n%s", len(w.moved), w.describe())
		}
	})
}

// BenchmarkPlan is a member that joins a large group.
func BenchmarkPlan(b *testing.B) {
	const members, tasks = 100, 4000
	in := Input{Standbys: 1}
	for i := range members {
		in.Members = append(in.Members, Member{ID: fmt.Sprintf("m%03d", i), Process: fmt.Sprintf("p%d", i/2), Lags: map[Task]int64{}})
	}
	for i := range tasks {
		task := Task{fmt.Sprintf("s%d", i%4), int32(i / 4)}
		in.Tasks = append(in.Tasks, task)
		if owner := i % (members - 1); true {
			in.Members[owner].Owns = append(in.Members[owner].Owns, task)
			other := (owner + 2) % (members - 1)
			in.Members[other].Standby = append(in.Members[other].Standby, task)
			in.Members[other].Lags[task] = 0
		}
	}
	for b.Loop() {
		Plan(in)
	}
}
