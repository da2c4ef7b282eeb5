package node

import (
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/engine"
)

// TestAStreamTimeOfTheFutureIsACondition: a clock that is some minutes off is none.
func TestAStreamTimeOfTheFutureIsACondition(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		at   time.Time
		want string
	}{
		{"no record yet", time.Time{}, ""},
		{"behind", now.Add(-time.Hour), ""},
		{"some minutes ahead", now.Add(9 * time.Minute), ""},
		{"next year", now.AddDate(1, 0, 0), "stage count partition 3 is at 2027-11-21T12:00:00Z: a record said so"},
	} {
		t.Run(c.name, func(t *testing.T) {
			task := engine.StageTask{Partition: 3}
			if !c.at.IsZero() {
				task.StreamTime = &c.at
			}
			got := inFuture(engine.Status{Topology: "t", Stages: []engine.StageStatus{{Stage: "count", Tasks: []engine.StageTask{task}}}}, now)
			if (len(got) == 1) != (c.want != "") || c.want != "" && !strings.HasPrefix(got[0].Text, c.want) {
				t.Errorf("got %+v, want %q", got, c.want)
			}
		})
	}
}
