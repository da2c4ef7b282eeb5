package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/engine"
)

// writeStages shows the stages with state of all topologies: their tasks, stores, and bolts.
func writeStages(w io.Writer, topologies []admin.TopologyStatus) error {
	rows := [][]string{{"\nSTAGE", "TASKS", "STREAM TIME", "BEHIND", "RECORDS", "ERRORS", "LATE", "DROPPED", "SIZE"}}
	for _, t := range topologies {
		for _, st := range t.Stages {
			rows = append(rows, stageRows(t, st)...)
		}
	}
	if len(rows) == 1 {
		return nil
	}
	return table(w, rows)
}

func stageRows(t admin.TopologyStatus, st engine.StageStatus) [][]string {
	at, behind := furthestBehind(st.Tasks)
	rows := [][]string{{t.Topology + "." + st.Stage, tasksText(st.Tasks), at, behind, "", "", "", "", sizeText(diskOf(st.Tasks))}}
	for _, s := range storesOf(st.Tasks) {
		rows = append(rows, []string{"  store " + s.Store, storeText(s), "", "", "", "", "", "", sizeText(s.Bytes)})
	}
	for _, b := range t.Bolts {
		if slices.Contains(st.Bolts, b.Bolt) {
			rows = append(rows, []string{"  bolt " + b.Bolt, "", "", "", count(b.Records), count(b.Errors), count(b.Late), count(b.Dropped), ""})
		}
	}
	return rows
}

// tasksText counts tasks by what they do, what works first.
func tasksText(tasks []engine.StageTask) string {
	n := make(map[engine.TaskState]int)
	for _, t := range tasks {
		n[t.State]++
	}
	var parts []string
	for _, state := range []engine.TaskState{engine.TaskRunning, engine.TaskRestoring, engine.TaskWaiting, engine.TaskStandby} {
		if n[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[state], state))
		}
	}
	if len(parts) == 0 {
		return "none here"
	}
	return strings.Join(parts, ", ")
}

// furthestBehind is the smallest stream time of the running tasks.
func furthestBehind(tasks []engine.StageTask) (at, behind string) {
	var oldest *engine.StageTask
	for i, t := range tasks {
		if t.StreamTime != nil && (oldest == nil || t.StreamTime.Before(*oldest.StreamTime)) {
			oldest = &tasks[i]
		}
	}
	if oldest == nil {
		return "", ""
	}
	return oldest.StreamTime.Local().Format(time.DateTime), brief(oldest.Behind)
}

func diskOf(tasks []engine.StageTask) (sum int64) {
	for _, t := range tasks {
		sum += t.DiskBytes
	}
	return sum
}

// storesOf adds the stores of tasks up by name; what is not known counts as nothing.
func storesOf(tasks []engine.StageTask) []engine.StoreStatus {
	var all []engine.StoreStatus
	for _, t := range tasks {
		for _, s := range t.Stores {
			i := slices.IndexFunc(all, func(o engine.StoreStatus) bool { return o.Store == s.Store })
			if i < 0 {
				s.Bytes = max(s.Bytes, 0)
				all = append(all, s)
				continue
			}
			all[i].Bytes += max(s.Bytes, 0)
		}
	}
	return all
}

func storeText(s engine.StoreStatus) string {
	if s.Memory {
		return s.Kind + ", in memory"
	}
	return s.Kind
}

// writeStageTrouble says what of the stages is not ready, or fails.
func writeStageTrouble(say func(format string, args ...any), t admin.TopologyStatus) {
	for _, b := range t.Bolts {
		if b.ScheduleErrors > 0 {
			say("%s of bolt %s failed; the log says why", plural(b.ScheduleErrors, "scheduled call", "scheduled calls"), b.Bolt)
		}
	}
}

// sizeText writes a number of bytes as a person wants to see it.
func sizeText(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/unit, 0
	for v >= 999.5 && i < 4 {
		v, i = v/unit, i+1
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %cB", v, "kMGTP"[i])
	}
	return fmt.Sprintf("%.0f %cB", v, "kMGTP"[i])
}
