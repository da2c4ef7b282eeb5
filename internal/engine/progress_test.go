package engine

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/telemetry"
	"ravenswood.dev/internal/topology"
)

func TestARestoreSaysHowFarItIsAndHowLongItTakes(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		name        string
		done, total int64
		took, left  time.Duration
	}{
		{"before anything is read", 0, 0, time.Second, -1},
		{"half", 500, 1000, 10 * time.Second, 10 * time.Second},
		{"nearly all", 999, 1000, 999 * time.Second, time.Second},
		{"all", 1000, 1000, 10 * time.Second, 0},
		{"more than was there when it began", 1100, 1000, 11 * time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &restoreProgress{began: now.Add(-c.took)}
			p.done.Store(c.done)
			p.total.Store(c.total)
			got := p.status(now)
			off := (got.Left - c.left).Abs()
			if got.Took != c.took || off > time.Millisecond || (got.Left < 0) != (c.left < 0) || got.Done != c.done || got.Total != c.total {
				t.Errorf("%+v, want %s taken and %s left", got, c.took, c.left)
			}
		})
	}
}

// stageful is an engine with tasks in every state, which does not run.
func stageful(t *testing.T, now time.Time) *Engine {
	t.Helper()
	plan := &topology.Plan{
		Name: "t", Bolts: []topology.Bolt{{Name: "b", Late: true}},
		Stages: []topology.Stage{{Name: "plain"}, {Name: "totals", Stateful: true, Bolts: []int{0}}},
	}
	e := &Engine{plan: plan, workers: []*worker{{}, {}, {}}, bolts: []*boltStats{{name: "b"}}}
	e.state.Store("running")
	e.states = newStates(plan, t.TempDir(), e.originOf, slog.New(slog.DiscardHandler))
	e.standbys = newStandbys(e)
	follower, err := kafka.NewFollower(kafka.FollowerConfig{Config: kafka.Config{Brokers: []string{"127.0.0.1:1"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(follower.Close)
	e.standbys.follower = follower
	e.standbys.copies[unitID{1, 3}] = &standbyCopy{}
	e.standbys.copies[unitID{1, 0}] = &standbyCopy{} // not stopped yet: the task is here now
	progress := &restoreProgress{began: now.Add(-time.Minute)}
	progress.records.Store(7)
	e.workers[0].snapshot.Store(&snapshot{units: []unitSnapshot{
		{id: unitID{1, 2}, phase: created},
		{id: unitID{1, 0}, phase: restoring, progress: progress},
	}})
	e.workers[2].snapshot.Store(&snapshot{units: []unitSnapshot{
		{id: unitID{1, 1}, worker: 2, phase: operating, streamTime: now.Add(-time.Second)},
	}})
	return e
}

func TestTheStatusShowsTasksInEveryState(t *testing.T) {
	now := time.Unix(1000, 0)
	e := stageful(t, now)
	got := e.stageStatus(now)
	if len(got) != 1 || got[0].Stage != "totals" {
		t.Fatalf("the stages with state are %+v", got)
	}
	want := []StageTask{
		{Partition: 0, State: TaskRestoring},
		{Partition: 1, State: TaskRunning, Worker: 2, Behind: time.Second},
		{Partition: 2, State: TaskWaiting},
		{Partition: 3, State: TaskStandby, Worker: -1},
	}
	if len(got[0].Tasks) != len(want) {
		t.Fatalf("the tasks are %+v", got[0].Tasks)
	}
	for i, task := range got[0].Tasks {
		if task.Partition != want[i].Partition || task.State != want[i].State || task.Worker != want[i].Worker || task.Behind != want[i].Behind {
			t.Errorf("task %d is %+v, want %+v", i, task, want[i])
		}
	}
	if r := got[0].Tasks[0].Restore; r == nil || r.Records != 7 || r.Took != time.Minute {
		t.Errorf("the restore is %+v", r)
	}
}

func TestATopologyIsReadyWhenAllItsTasksWork(t *testing.T) {
	e := stageful(t, time.Now())
	status := func() Status {
		st := Status{State: "running", Stages: e.stageStatus(time.Now())}
		st.Waiting = e.waiting(&st)
		return st
	}
	expect := func(when, want string) {
		t.Helper()
		st := status()
		if got := st.NotReady(); got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	expect("before a worker has joined", "worker 0 waits for its share of the tasks")
	joined := new(atomic.Bool)
	joined.Store(true)
	share := func(units ...unitSnapshot) *snapshot { return &snapshot{joined: joined, units: units} }
	e.workers[0].snapshot.Store(share(e.workers[0].snapshot.Load().units...))
	e.workers[1].snapshot.Store(share())
	e.workers[2].snapshot.Store(share(e.workers[2].snapshot.Load().units...))
	expect("while tasks wait and restore", "tasks are being restored: totals/0, totals/2")
	st := status()
	if got := st.Restoring(); len(got) != 1 || !strings.HasPrefix(got[0], "stage totals partition 0: ") {
		t.Errorf("restoring are %q", got)
	}
	e.workers[0].snapshot.Store(share(unitSnapshot{id: unitID{1, 0}, phase: operating}, unitSnapshot{id: unitID{1, 2}, phase: operating}))
	expect("when all work", "")
	joined.Store(false)
	expect("in a session that has not been told its share", "worker 0 waits for its share of the tasks")
}

func TestARestoreInWords(t *testing.T) {
	for want, r := range map[string]*RestoreStatus{
		"its stores are being opened":                         nil,
		"25%, 1200 records, 123.5 MB in 20s, about 1m0s left": {Records: 1200, Bytes: 123_456_789, Done: 1300, Total: 5200, Took: 20 * time.Second, Left: time.Minute},
		"0%, 0 records, 0 B in 1.5s":                          {Total: 10, Took: 1500 * time.Millisecond, Left: -1},
		"100%, 11 records, 999 B in 2s, about 0s left":        {Records: 11, Bytes: 999, Done: 11, Total: 10, Took: 2 * time.Second},
	} {
		if got := r.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTheNumbersOfStagesAreForPrometheusToo(t *testing.T) {
	e := stageful(t, time.Now())
	for range 2 {
		e.bolts[0].late.ScheduleErrors.Add(1)
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(newCollector(e))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]int)
	for _, f := range families {
		have[f.GetName()] = len(f.GetMetric())
	}
	for name, want := range map[string]int{
		telemetry.StageTasks: 4, telemetry.TaskStreamTime: 1, telemetry.StandbyLag: 1, telemetry.RestoreLeft: 1,
		telemetry.RestoredBytes: 1, telemetry.TaskDisk: 4, telemetry.BoltSchedules: 1,
		telemetry.OpenTransaction: 1,
	} {
		if have[name] != want {
			t.Errorf("%s has %d values, want %d", name, have[name], want)
		}
	}
}
