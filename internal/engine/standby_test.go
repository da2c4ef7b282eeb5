package engine

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// copied is a copy of a task with two stores in memory, of which the follower knows only what a test tells it.
type copied struct {
	*standbys
	id    unitID
	state *store.State
	y     kafka.TopicPartition // the changelog of the second store
}

func newCopied(t *testing.T, batch func(kafka.Batch) error) *copied {
	t.Helper()
	st := topology.Stage{Name: "a", Stateful: true}
	for _, n := range []string{"x", "y"} {
		s := topology.Store{Changelog: "t." + n + ".changelog"}
		s.Name, s.Memory = n, true
		st.Stores = append(st.Stores, s)
	}
	e := &Engine{plan: &topology.Plan{Name: "t", Stages: []topology.Stage{st}}, log: slog.New(slog.DiscardHandler)}
	e.states = newStates(e.plan, t.TempDir(), func(topology.Store) string { return "" }, e.log)
	s := newStandbys(e)
	e.standbys = s
	f, err := kafka.NewFollower(kafka.FollowerConfig{Config: kafka.Config{Brokers: []string{"127.0.0.1:1"}, Log: e.log}, Batch: batch, Lost: s.lost})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	s.follower = f
	c := &copied{standbys: s, y: kafka.TopicPartition{Topic: "t.y.changelog"}}
	c.lend(t)
	return c
}

// lend makes the task's State a copy's.
func (c *copied) lend(t *testing.T) {
	t.Helper()
	var err error
	if c.state, err = c.engine.states.take(t.Context(), c.id); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.copies[c.id] = &standbyCopy{state: c.state}
	c.follows[c.y] = followed{c.id, "y", c.state}
}

func batchOf(tp kafka.TopicPartition, key string) kafka.Batch {
	return kafka.Batch{Topic: tp.Topic, Partition: tp.Partition, Next: 1, Records: []*kgo.Record{{Key: []byte(key), Value: []byte("v"), Timestamp: time.Now()}}}
}

func TestABatchThatComesAfterACopyWasTakenOverIsNothing(t *testing.T) {
	c := newCopied(t, nil)
	if _, ok := c.forget(c.id, nil); !ok {
		t.Fatal("there is no copy")
	}
	if err := c.apply(batchOf(c.y, "k")); err != nil {
		t.Errorf("apply: %v", err)
	}
	if at := c.state.Checkpoint("y"); at > 0 {
		t.Errorf("the store that somebody else has now stands at %d", at)
	}
}

// The follower drops a partition whose batch can't be written.
func TestACopyThatIsNotFollowedHasNotCaughtUp(t *testing.T) {
	c := newCopied(t, func(kafka.Batch) error { return errors.New("the disk is full") })
	if lags := c.lags(); len(lags) != 0 {
		t.Errorf("the group is told %v", lags)
	}
	if _, stale := c.look(c.id); stale.Records != -1 {
		t.Errorf("an answer would say that it misses %d records, want that nobody knows", stale.Records)
	}
}

func TestACopyThatFailedGivesItsStateBack(t *testing.T) {
	c := newCopied(t, nil)
	c.failed(followed{c.id, "y", c.state}, errors.New("the disk is full"))
	if _, err := c.engine.states.take(t.Context(), c.id); err != nil { // waits for it
		t.Error(err)
	}
	if state, _ := c.look(c.id); state != nil {
		t.Error("there is a copy still")
	}
}

// What keeps a folder from being opened may pass, such as a full disk; the group may have nothing to say for days.
func TestACopyThatCouldNotBeOpenedIsTriedAgain(t *testing.T) {
	c := newCopied(t, nil)
	c.stop(c.id)
	st := &c.engine.plan.Stages[0]
	st.Stores = []topology.Store{{Spec: store.Spec{Name: "z"}}} // on disk
	c.engine.states.close(c.id)
	c.pause = 5 * time.Millisecond
	folder := c.engine.states.folder(c.id)
	if err := errors.Join(os.MkdirAll(filepath.Dir(folder), 0o750), os.WriteFile(folder, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	tried := make(chan struct{}, 1)
	c.engine.log = slog.New(onMessage(func() {
		select {
		case tried <- struct{}{}:
		default:
		}
	}))
	c.set(0, map[unitID]bool{c.id: true})
	<-tried
	<-tried
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) { // sleep: polls a condition with a deadline
		if state, _ := c.look(c.id); state != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no copy")
		}
	}
}

// The owner gets the State in the moment in which a store of the copy is about to be emptied, if it can.
func TestNoStoreIsEmptiedThatHasBeenTakenOver(t *testing.T) {
	c := newCopied(t, nil)
	owned := make(chan *store.State, 1)
	take := func() {
		c.stop(c.id)
		state, err := c.engine.states.take(t.Context(), c.id)
		change := store.Change{Store: "y", Key: []byte("k"), Value: []byte("v"), Time: time.Now()}
		if err := errors.Join(err, state.Load("y", []store.Change{change}, 1)); err != nil {
			t.Error(err)
		}
		owned <- state
	}
	c.engine.log = slog.New(onMessage(func() {
		go take()
		select { // it can't: this is as long as it is given
		case state := <-owned:
			owned <- state
		case <-time.After(100 * time.Millisecond):
		}
	}))
	c.renew(c.y, c.state)
	if at := (<-owned).Checkpoint("y"); at != 1 {
		t.Errorf("the owner's store stands at %d, want 1", at)
	}
}

// onMessage is a log that does something at each message.
type onMessage func()

func (onMessage) Enabled(context.Context, slog.Level) bool    { return true }
func (m onMessage) Handle(context.Context, slog.Record) error { m(); return nil }
func (m onMessage) WithAttrs([]slog.Attr) slog.Handler        { return m }
func (m onMessage) WithGroup(string) slog.Handler             { return m }
