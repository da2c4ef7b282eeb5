package stage_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/stage"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

type nothing struct{}

// picky passes on what it likes, counts what it does not, and tells why if told to.
type picky struct {
	c             processor.Context
	tells         bool
	late, dropped uint64
}

func (p *picky) Late() uint64    { return p.late }
func (p *picky) Dropped() uint64 { return p.dropped }

func (p *picky) Open(c processor.Context) error {
	p.c = c
	c.Schedule(processor.WallClock, time.Second, func(time.Time) error { return errors.New("no") })
	return nil
}

func (p *picky) Process(_ int, r *record.Record) error {
	switch v := string(r.Value); v {
	case "bad":
		return errors.New("bad")
	case "late":
		p.late++
		p.tell(v)
	case "no-key":
		p.dropped++
		p.tell(v)
	case "stale":
		p.tell(v)
	default:
		p.c.Emit(0, r)
	}
	return nil
}

func (p *picky) tell(reason string) {
	if d, ok := p.c.(interface{ Dropped(string) }); ok && p.tells {
		d.Dropped(reason)
	}
}

// around hides what is in it, but for Unwrap.
type around struct{ processor.Processor }

func (a around) Unwrap() processor.Processor { return a.Processor }

// task is a picky processor as the only bolt of a task.
func task(t *testing.T, p processor.Processor, now func() time.Time) (*stage.Task, *stage.Counts) {
	t.Helper()
	state, err := store.Open(store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	def := component.DefineProcessor[nothing](component.Spec{Name: "picky"}, nil, nil,
		func(*nothing, component.Env) (processor.Processor, error) { return p, nil })
	plan := &topology.Plan{
		Bolts:  []topology.Bolt{{Name: "picky", Component: def, Config: def.NewConfig(), Late: true, Next: [][]topology.Target{{{Sink: true}}}}},
		Stages: []topology.Stage{{Bolts: []int{0}, Stateful: true}},
		Sinks:  []topology.Sink{{Name: "out"}},
	}
	counts := new(stage.Counts)
	task, err := stage.New(stage.Config{
		Plan: plan, State: state, Now: now, Log: slog.New(slog.DiscardHandler),
		Env:    func(string) component.Env { return component.Env{} },
		Counts: func(int) *stage.Counts { return counts },
	})
	if err != nil {
		t.Fatal(err)
	}
	return task, counts
}

func TestADroppedRecordIsCountedOnceHoweverAProcessorSaysSo(t *testing.T) {
	for _, c := range []struct {
		name string
		make func() processor.Processor
		want map[string]int64
	}{
		{"it counts", func() processor.Processor { return &picky{} }, map[string]int64{"late": 2, "incomplete": 1}},
		{"it counts within another", func() processor.Processor { return around{&picky{}} }, map[string]int64{"late": 2, "incomplete": 1}},
		{"it counts and tells", func() processor.Processor { return &picky{tells: true} }, map[string]int64{"late": 2, "no-key": 1}},
		{"it only tells", func() processor.Processor { return struct{ processor.Processor }{&picky{tells: true}} }, map[string]int64{"late": 2, "no-key": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			late, counts := task(t, c.make(), time.Now)
			for i, v := range []string{"good", "late", "bad", "no-key", "stale", "late", "good"} {
				_, err := late.Process(context.Background(), []stage.Work{{Record: &record.Record{Value: []byte(v)}}})
				if (err != nil) != (v == "bad") {
					t.Fatalf("record %d %q: %v", i, v, err)
				}
				late.Tally()
			}
			if err := late.Close(); err != nil {
				t.Fatal(err)
			}
			if got := counts.Dropped(); !maps.Equal(got, c.want) {
				t.Errorf("dropped %v, want %v", got, c.want)
			}
			if n, bad := counts.Records.Load(), counts.Errors.Load(); n != 7 || bad != 1 {
				t.Errorf("%d records and %d errors, want 7 and 1", n, bad)
			}
		})
	}
}

func TestAScheduledFunctionThatFailsIsCounted(t *testing.T) {
	now := time.Unix(1000, 0)
	late, counts := task(t, &picky{}, func() time.Time { return now })
	for range 3 {
		now = now.Add(time.Second)
		if _, err := late.Punctuate(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if n := counts.ScheduleErrors.Load(); n != 3 {
		t.Errorf("%d calls failed, want 3", n)
	}
}
