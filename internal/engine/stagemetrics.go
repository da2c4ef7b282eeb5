package engine

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/internal/telemetry"
)

// stageMeasures are the numbers of stages with state.
var stageMeasures = []measure{
	{telemetry.BoltDropped, "Records a bolt has not passed on, by reason; those that were late are at its port late, too.", prometheus.CounterValue, []string{telemetry.LabelBolt, telemetry.LabelReason}},
	{telemetry.BoltSchedules, "Calls of a bolt's scheduled functions that failed.", prometheus.CounterValue, []string{telemetry.LabelBolt}},
	{telemetry.StageTasks, "Tasks and standbys of this process, by what they do.", prometheus.GaugeValue, []string{telemetry.LabelStage, telemetry.LabelState}},
	{telemetry.TaskStreamTime, "Greatest event time of a task, as Unix time.", prometheus.GaugeValue, ofTask},
	{telemetry.TaskDisk, "Disk space of a task's stores.", prometheus.GaugeValue, ofTask},
	{telemetry.StandbyLag, "Records of its changelogs that a standby has not got yet.", prometheus.GaugeValue, ofTask},
	{telemetry.StoreBytes, "What a store takes, in memory or on disk, over the tasks and standbys of this process.", prometheus.GaugeValue, []string{telemetry.LabelStage, telemetry.LabelStore}},
	{telemetry.RestoreLeft, "Offsets of its changelogs that a restoring task has to go through yet.", prometheus.GaugeValue, ofTask},
	{telemetry.RestoreSeconds, "Time that a restoring task needs yet, at the pace so far.", prometheus.GaugeValue, ofTask},
	{telemetry.RestoredBytes, "Bytes that a restoring task has read of its changelogs.", prometheus.GaugeValue, ofTask},
}

var ofTask = []string{telemetry.LabelStage, telemetry.LabelTask}

// sendFunc gives one number to Prometheus.
type sendFunc func(name string, value float64, labels ...string)

func sendStages(st *Status, send sendFunc) {
	for _, b := range st.Bolts {
		for reason, n := range b.DroppedBy {
			send(telemetry.BoltDropped, float64(n), b.Bolt, reason)
		}
	}
	for _, stage := range st.Stages {
		sendStage(&stage, send)
		for _, name := range stage.Bolts {
			for _, b := range st.Bolts {
				if b.Bolt == name {
					send(telemetry.BoltSchedules, float64(b.ScheduleErrors), name)
				}
			}
		}
	}
}

func sendStage(st *StageStatus, send sendFunc) {
	states := map[TaskState]int{TaskWaiting: 0, TaskRestoring: 0, TaskRunning: 0, TaskStandby: 0}
	stores := make(map[string]int64)
	for _, t := range st.Tasks {
		states[t.State]++
		for _, s := range t.Stores {
			stores[s.Store] += max(s.Bytes, 0)
		}
		sendTask(st.Stage, &t, send)
	}
	for state, n := range states {
		send(telemetry.StageTasks, float64(n), st.Stage, string(state))
	}
	for name, n := range stores {
		send(telemetry.StoreBytes, float64(n), st.Stage, name)
	}
}

func sendTask(stage string, t *StageTask, send sendFunc) {
	n := strconv.Itoa(int(t.Partition))
	send(telemetry.TaskDisk, float64(t.DiskBytes), stage, n)
	if t.StreamTime != nil {
		send(telemetry.TaskStreamTime, float64(t.StreamTime.UnixMilli())/1000, stage, n)
	}
	if t.State == TaskStandby && t.Lag >= 0 {
		send(telemetry.StandbyLag, float64(t.Lag), stage, n)
	}
	if r := t.Restore; r != nil {
		send(telemetry.RestoreLeft, float64(max(r.Total-r.Done, 0)), stage, n)
		send(telemetry.RestoredBytes, float64(r.Bytes), stage, n)
		if r.Left >= 0 {
			send(telemetry.RestoreSeconds, r.Left.Seconds(), stage, n)
		}
	}
}
