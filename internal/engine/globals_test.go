package engine

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// A table that can't be written stands still: bolts would look into the past for ever.
func TestAGlobalTableThatFailsStopsTheTopology(t *testing.T) {
	plan := &topology.Global{Name: "rates", Topic: "rates"}
	plan.Store.Name = "rates"
	state, err := store.Open(store.Options{Identity: "t/global/rates", Specs: []store.Spec{plan.Store, {Name: "rates@0"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := state.Close(); err != nil { // as one whose disk is full: it takes nothing
		t.Fatal(err)
	}
	working, cancel := context.WithCancelCause(t.Context())
	g := newGlobals(&Engine{log: slog.New(slog.DiscardHandler), cancel: cancel})
	g.tables["rates"] = &globalTable{plan: plan, state: state}
	tp := kafka.TopicPartition{Topic: "rates"}
	if err := g.apply(batchOf(tp, "k")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("apply: %v", err)
	}
	if err := g.awaitWhole(t.Context()); !errors.Is(err, store.ErrClosed) || !strings.Contains(err.Error(), `"rates"`) {
		t.Errorf("whoever waits for it hears %v", err)
	}
	g.watch(t.Context())
	if cause := context.Cause(working); !errors.Is(cause, store.ErrClosed) {
		t.Errorf("the topology goes on: %v", cause)
	}
}
