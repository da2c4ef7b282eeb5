package engine

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	g.tables["rates"] = []*globalTable{{plan: plan, state: state}}
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

// A topic may be kept whole in two ways, such as with its history for one join and without for another.
func TestTwoGlobalTablesOfATopicAreBothFed(t *testing.T) {
	for _, begin := range []int64{-1, 1} { // how far one of them had come before
		l := newLogged(t, t.TempDir(), "a")
		l.write("in", "a1", "b2")
		l.plan.Globals = []topology.Global{
			{Name: "one", Topic: "in", Store: store.Spec{Name: "one"}}, {Name: "two", Topic: "in", Store: store.Spec{Name: "two", Memory: true}},
		}
		if begin >= 0 {
			opts := store.Options{
				Dir: filepath.Join(l.states.dir, "globals", "one"), Identity: "t/global/one", Specs: []store.Spec{{Name: "one"}, {Name: "one@0"}},
				Origins: map[string]string{"one": "in@" + l.topicIDs["in"], "one@0": "in@" + l.topicIDs["in"]},
			}
			state, err := store.Open(opts)
			if err == nil {
				err = errors.Join(state.Load("one", []store.Change{{Key: []byte("a"), Value: []byte("1")}}, 0), anewAt(state, "one@0", time.Now(), begin), state.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := l.globals.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.write("in", "c3")
		for _, name := range []string{"one", "two"} {
			l.await(name, func() bool { return contents(l.globals.named(name).state, name) == "a=1 b=2 c=3 " })
		}
		if n := len(l.globals.kept()); n != 2 {
			t.Errorf("the keeper looks after %d partitions of tables, want 2", n)
		}
	}
}
