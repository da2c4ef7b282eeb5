package engine

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/topology"
)

// TestATaskInPartsIsNamed: nobody works on it, so somebody has to be told.
func TestATaskInPartsIsNamed(t *testing.T) {
	var out bytes.Buffer
	plan := &topology.Plan{
		Inputs: []topology.Input{{Topic: "orders"}, {Topic: "users"}},
		Stages: []topology.Stage{{Name: "join", Inputs: []int{0, 1}, Stateful: true}},
	}
	s := newSession(&worker{plan: plan, log: slog.New(slog.NewTextHandler(&out, nil))})
	u := s.unitOf(&plan.Inputs[0], 3)
	u.join(plan, newTask(partition{"orders", 3}, &plan.Inputs[0]))
	now := time.Unix(1000, 0)
	lines := func() int { return strings.Count(out.String(), "a task stands still") }
	for _, step := range []struct {
		name string
		pass time.Duration
		want int
	}{
		{"when it has just come", 0, 0},
		{"before its patience ends", 9 * time.Second, 0},
		{"then", time.Second, 1},
		{"not at every tick", time.Second, 1},
		{"again after a while", time.Minute, 2},
	} {
		now = now.Add(step.pass)
		if s.notePartial(now); lines() != step.want {
			t.Fatalf("%s: said %d times; want %d", step.name, lines(), step.want)
		}
	}
	if text := out.String(); !strings.Contains(text, "stage=join partition=3 missing=[users]") {
		t.Errorf("it says %s", text)
	}
	u.becomeRestoring(func() {})
	if s.notePartial(now.Add(time.Hour)); lines() != 2 || len(s.partial) != 0 {
		t.Errorf("it goes on about a task that is whole")
	}
}
