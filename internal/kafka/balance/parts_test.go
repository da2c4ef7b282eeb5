package balance

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTasksInPartsAreMadeWhole: a group that has shared out single partitions comes with tasks of which several members
// have parts. None may stay so: all let go, and one gets the whole.
func TestTasksInPartsAreMadeWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: rt, members: map[string]*worker{}, moved: map[Task]bool{}, disks: map[string]map[Task]int64{}}
		w.tasks = drawTasks(rt, rapid.IntRange(1, 3).Draw(rt, "stages"))
		for i := range rapid.IntRange(2, 5).Draw(rt, "members") {
			w.add(fmt.Sprintf("m%d", i), fmt.Sprintf("p%d", i))
		}
		inParts := 0
		for _, task := range w.tasks {
			owners := 0
			for _, m := range w.sorted() {
				if (!task.Loose() || owners == 0) && rapid.Bool().Draw(rt, "has") {
					m.owns[task] = true
					owners++
				}
			}
			if owners > 1 {
				inParts++
			}
		}
		for range 2 { // let go, and get
			w.roundOfParts()
		}
		for _, task := range w.tasks {
			if owners := w.ownersOf(task); len(owners) != 1 {
				rt.Fatalf("%v, one of %d in parts, is at %v after two rounds:\n%s", task, inParts, owners, w.describe())
			}
		}
		w.settle()
	})
}

// roundOfParts is a round in which tasks may have several owners: nobody gets what another has a part of.
func (w *world) roundOfParts() {
	w.t.Helper()
	before := map[Task][]string{}
	for _, task := range w.tasks {
		before[task] = w.ownersOf(task)
	}
	duties := Plan(w.input())
	for i, m := range w.sorted() {
		for _, task := range duties[i].Active {
			if slices.ContainsFunc(before[task], func(o string) bool { return o != m.id }) {
				w.t.Fatalf("%v is given to %s while %v have parts of it", task, m.id, before[task])
			}
		}
	}
	for i, m := range w.sorted() {
		m.follow(duties[i], nil, w.moved)
	}
}

func (w *world) ownersOf(task Task) (ids []string) {
	for _, id := range slices.Sorted(maps.Keys(w.members)) {
		if w.members[id].owns[task] {
			ids = append(ids, id)
		}
	}
	return ids
}
