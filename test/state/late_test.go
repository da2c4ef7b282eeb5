package main

import (
	"context"
	"testing"
	"testing/synctest"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/engine"
)

func TestMarkersOfCommitsWaitWhileTheyAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		l := &lateMarkers{say: func(line string) { said = append(said, line) }}
		ended := func(ctx context.Context, commit bool) *bool {
			is := new(bool)
			go func() { l.decided(ctx, "x", commit); *is = true }()
			synctest.Wait()
			return is
		}
		if !*ended(t.Context(), true) {
			t.Error("held without an order")
		}
		l.obey(orderHold)
		leaving, leave := context.WithCancel(t.Context())
		first, aborted, second := ended(t.Context(), true), ended(t.Context(), false), ended(leaving, true)
		if *first || !*aborted || *second {
			t.Errorf("commits ended: %v, %v; abort: %v", *first, *second, *aborted)
		}
		leave()
		if synctest.Wait(); *first || !*second {
			t.Errorf("when the broker closes: %v, %v", *first, *second)
		}
		l.obey(orderWrite)
		if synctest.Wait(); !*first || !*ended(t.Context(), true) {
			t.Error("held after the order to write")
		}
		if want := []string{sayHolding, sayHeld, sayHeld}; len(said) != len(want) || said[0] != want[0] || said[1] != want[1] {
			t.Errorf("it said %q, want %q", said, want)
		}
	})
}

func TestTargetsAreKnownWhenTheyAreOfAllTasks(t *testing.T) {
	status := func(states ...engine.StageTask) admin.Status {
		st := admin.Status{Topologies: []admin.TopologyStatus{{}}}
		st.Topologies[0].Stages = []engine.StageStatus{{Stage: "meet", Tasks: states}}
		return st
	}
	all := func(last engine.StageTask) admin.Status {
		tasks := make([]engine.StageTask, partitions)
		for i := range tasks {
			tasks[i].State = engine.TaskRunning
		}
		tasks[0] = last
		return status(tasks...)
	}
	restoring := func(total int64) engine.StageTask {
		return engine.StageTask{State: engine.TaskRestoring, Restore: &engine.RestoreStatus{Total: total}}
	}
	for _, c := range []struct {
		name   string
		status admin.Status
		want   bool
	}{
		{"no topology yet", admin.Status{}, false},
		{"no tasks yet", status(), false},
		{"some tasks", status(restoring(7)), false},
		{"one waits for its partitions", all(engine.StageTask{State: engine.TaskWaiting}), false},
		{"one has not asked yet", all(restoring(0)), false},
		{"one restores", all(restoring(7)), true},
		{"all run", all(engine.StageTask{State: engine.TaskRunning}), true},
	} {
		if got := targetsKnown(c.status); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
