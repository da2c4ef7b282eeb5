package stage_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/stage"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

// keeper keeps the last value of a key, and twice of it when it is called by the clock.
type keeper struct {
	c     processor.Context
	store store.KeyValue
}

func (k *keeper) Open(c processor.Context) error {
	k.c, k.store = c, c.KeyValue("last")
	c.Schedule(processor.WallClock, time.Second, func(time.Time) error {
		e, _ := k.store.Get([]byte("k"))
		k.store.Put([]byte("k"), store.Entry{Value: append(e.Value, e.Value...), Time: e.Time})
		return nil
	})
	return nil
}

func (k *keeper) Process(_ int, r *record.Record) error {
	k.store.Put(r.Key, store.Entry{Value: r.Value, Time: r.Time})
	k.c.Emit(0, r)
	return nil
}

// TestAnEntryAboveWhatItsChangelogTakesIsUndone: by a record, which fails, or by a scheduled function.
func TestAnEntryAboveWhatItsChangelogTakesIsUndone(t *testing.T) {
	state, err := store.Open(store.Options{Specs: []store.Spec{{Name: "last", Memory: true}}})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	def := component.DefineProcessor[nothing](component.Spec{Name: "keeper"}, nil, nil,
		func(*nothing, component.Env) (processor.Processor, error) { return &keeper{}, nil })
	plan := &topology.Plan{
		Bolts: []topology.Bolt{{Name: "b", Component: def, Config: def.NewConfig(), Late: true, Next: [][]topology.Target{{{Sink: true}}}}},
		Stages: []topology.Stage{{Bolts: []int{0}, Stateful: true, Stores: []topology.Store{
			{Spec: store.Spec{Name: "last", Memory: true}, Bolt: "b", Changelog: "t.last.changelog"}}}},
		Sinks: []topology.Sink{{Name: "out"}},
	}
	now, counts := time.Unix(1000, 0), new(stage.Counts)
	task, err := stage.New(stage.Config{
		Plan: plan, State: state, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Env:       func(string) component.Env { return component.Env{} },
		Counts:    func(int) *stage.Counts { return counts },
		MaxChange: func(string) int { return 10 },
	})
	if err != nil {
		t.Fatal(err)
	}
	write := func(value string) error {
		_, err := task.Process(context.Background(), []stage.Work{{Record: &record.Record{Key: []byte("k"), Value: []byte(value), Time: now}}})
		return err
	}
	if err := write("five5"); err != nil {
		t.Fatal(err)
	}
	var failed *stage.Error
	if err := write("ten of them"); !errors.As(err, &failed) || failed.Bolt != "b" || !strings.Contains(err.Error(), `"t.last.changelog"`) {
		t.Errorf("a large value: %v", err)
	}
	now = now.Add(time.Minute)
	if _, err := task.Punctuate(context.Background()); err != nil { // 1 + 5 + 5 bytes
		t.Fatal(err)
	}
	if e, _ := state.KeyValue("last").Get([]byte("k")); string(e.Value) != "five5" || counts.ScheduleErrors.Load() != 1 {
		t.Errorf("it holds %q, %d calls failed", e.Value, counts.ScheduleErrors.Load())
	}
}
