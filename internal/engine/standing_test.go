package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

func TestWhetherAStoreCanGoOnWhereItStands(t *testing.T) {
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		name string
		standing
		want string
		lag  int64
	}{
		{"nothing in it", standing{at: -1, start: 3, end: 10, to: 10, keeps: day}, "", 7},
		{"a little behind", standing{at: 8, current: now.Add(-time.Hour), start: 3, end: 10, to: 10, keeps: day}, "", 2},
		{"ahead of the log", standing{at: 11, current: now, start: 3, end: 10, to: 10, keeps: day}, aheadOfLog, 7},
		{"ahead of what is committed of its input", standing{at: 9, current: now, start: 3, end: 10, to: 8, keeps: day}, aheadOfLog, 5},
		{"at what is committed of its input", standing{at: 8, current: now, start: 3, end: 10, to: 8, keeps: day}, "", 0},
		{"the log begins behind it", standing{at: 2, current: now, start: 3, end: 10, to: 10, keeps: day}, cutOff, 7},
		{"away for long", standing{at: 8, current: now.Add(-22 * time.Hour), start: 3, end: 10, to: 10, keeps: day}, awayTooLong, 7},
		{"away for nearly as long", standing{at: 8, current: now.Add(-20 * time.Hour), start: 3, end: 10, to: 10, keeps: day}, "", 2},
		{"away for long, and nothing was written", standing{at: 10, current: now.Add(-99 * day), start: 3, end: 10, to: 10, keeps: day}, "", 0},
		{"an input, away for long, behind what is committed", standing{at: 8, current: now.Add(-2 * day), start: 3, end: 10, to: 8, keeps: day}, awayTooLong, 5},
		{"nobody knows since when", standing{at: 8, start: 3, end: 10, to: 10, keeps: day}, awayTooLong, 7},
		{"current in the future: a clock is wrong", standing{at: 8, current: now.Add(4 * time.Hour), start: 3, end: 10, to: 10, keeps: day}, awayTooLong, 7},
		{"current in a moment: clocks differ", standing{at: 8, current: now.Add(time.Minute), start: 3, end: 10, to: 10, keeps: day}, "", 2},
		{"deletions are kept for ever", standing{at: 8, current: now.Add(-99 * day), start: 3, end: 10, to: 10}, "", 2},
		{"deletions are not kept", standing{at: 8, current: now.Add(-time.Second), start: 3, end: 10, to: 10, keeps: leastTombstones}, awayTooLong, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.unfit(now); got != c.want {
				t.Errorf("unfit says %q, want %q", got, c.want)
			}
			if got := c.standing.lag(now); got != c.lag {
				t.Errorf("the lag is %d, want %d", got, c.lag)
			}
		})
	}
}

func TestHowLongATopicKeepsDeletions(t *testing.T) {
	for _, c := range []struct {
		policy, ms string
		want       time.Duration
	}{
		{"delete", "1000", 0},
		{"", "1000", 0},
		{"compact", "1000", time.Second},
		{"compact,delete", "1000", time.Second},
		{"compact", "0", leastTombstones},
		{"compact", "", 24 * time.Hour},
		{"compact", "soon", 24 * time.Hour},
		{"compact", "9223372036854775807", 0},
	} {
		if got := keepsDeletions(map[string]string{cleanupPolicy: c.policy, deleteRetention: c.ms}); got != c.want {
			t.Errorf("%q, %q: %v, want %v", c.policy, c.ms, got, c.want)
		}
	}
}

func TestASetOfHashesHasWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		added := rapid.SliceOf(rapid.StringN(0, 3, -1)).Draw(t, "added")
		var h hashes
		for _, k := range added {
			h.add([]byte(k))
		}
		h.pack()
		for _, k := range append(added, "another") {
			if h.has([]byte(k)) != slices.Contains(added, k) {
				t.Fatalf("has %q: %v", k, !slices.Contains(added, k))
			}
		}
	})
}

// logged is an engine that is connected to a broker and has two stores: "table", which is a copy of the topic "in", and
// "count" with a changelog of its own.
type logged struct {
	*Engine
	t         *testing.T
	cfg       kafka.Config
	snapshots string // where they are kept from the next connect on
}

func newLogged(t *testing.T, dir string, id string) *logged {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	l := &logged{t: t, cfg: kafka.Config{Brokers: []string{b.Addr()}, Log: slog.New(slog.DiscardHandler)}}
	l.connect(dir, id)
	return l
}

func (l *logged) connect(dir, id string) {
	l.t.Helper()
	compacted := map[string]string{cleanupPolicy: "compact"}
	admin, err := kafka.NewAdmin(l.cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.EnsureTopics(l.t.Context(), []kafka.TopicWish{{Name: "in", Partitions: 1, Config: compacted}, {Name: "t.count.changelog", Partitions: 1, Config: compacted}}); err != nil {
		l.t.Fatal(err)
	}
	p := &topology.Plan{
		Name: "t", Group: "g", Inputs: []topology.Input{{Topic: "in"}},
		Topics: []topology.Topic{{Name: "in"}, {Name: "t.count.changelog"}},
		Stages: []topology.Stage{{Name: "s", Stateful: true, Inputs: []int{0}, Partitions: 1, Stores: []topology.Store{
			{Spec: store.Spec{Name: "count"}, Changelog: "t.count.changelog"}, {Spec: store.Spec{Name: "table"}, Changelog: "in", Source: true},
		}}},
	}
	p.Topics[0].Spec.Partitions, p.Topics[1].Spec.Partitions = 1, 1
	if l.Engine, err = New(p, Env{Kafka: l.cfg, ID: id, StateDir: dir, Snapshots: l.snapshots}); err != nil {
		l.t.Fatal(err)
	}
	if err := l.Engine.connect(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(l.disconnect)
}

func (l *logged) write(topic string, values ...string) {
	l.t.Helper()
	cl, err := kgo.NewClient(l.cfg.Options()...)
	if err != nil {
		l.t.Fatal(err)
	}
	defer cl.Close()
	for _, kv := range values {
		r := &kgo.Record{Topic: topic, Key: []byte(kv[:1])}
		if len(kv) > 1 {
			r.Value = []byte(kv[1:])
		}
		if err := cl.ProduceSync(l.t.Context(), r).FirstErr(); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *logged) take() *store.State {
	l.t.Helper()
	s, err := l.states.take(l.t.Context(), unitID{})
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// restored restores the stores to what is written, and the table to what is committed of it.
func (l *logged) restored(committed int64) *store.State {
	l.t.Helper()
	u := &unit{stage: &l.plan.Stages[0], progress: &restoreProgress{began: time.Now()}}
	if err := l.restore(l.t.Context(), u, kafka.Offsets{"in": {0: committed}}); err != nil {
		l.t.Fatal(err)
	}
	return u.state
}

func contents(s *store.State, name string) (text string) {
	for k, e := range s.Reader().KeyValue(name).Range(nil, nil) {
		text += fmt.Sprintf("%s=%s ", k, e.Value)
	}
	return text
}

// After a reset of a stage's tables its offsets go back, while a folder or a snapshot may be of before.
func TestATableThatIsAheadOfItsInputBeginsAnew(t *testing.T) {
	l := newLogged(t, t.TempDir(), "a")
	l.write("in", "a1", "b1", "a2", "c1")
	if got := contents(l.restored(4), "table"); got != "a=2 b=1 c=1 " {
		t.Fatalf("the table has %q", got)
	}
	l.states.give(unitID{})
	s := l.restored(2)
	if got := contents(s, "table"); got != "a=1 b=1 " || s.Checkpoint("table") != 2 {
		t.Errorf("after the offsets went back it has %q and stands at %d", got, s.Checkpoint("table"))
	}
}

// What the topics don't have any more was deleted while the stores were away, and so were the deletions.
func TestWhatWasDeletedMeanwhileGoes(t *testing.T) {
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	for _, c := range []struct {
		name         string
		current      time.Time
		count, table string
	}{
		{"away for long", ago(30 * time.Hour), "a=9 b=8 ", "a=old b=1 "},
		{"nobody knows for how long", time.Time{}, "a=9 b=8 ", "a=old b=1 "},
		{"away for a short time", ago(time.Hour), "a=9 b=8 x=stale ", "a=old b=1 x=stale "},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLogged(t, t.TempDir(), "a")
			l.write("in", "a1", "b1", "a2", "y") // y was deleted, too, and that is still there
			l.write("t.count.changelog", "a9", "b8")
			s := l.take()
			for name, at := range map[string]int64{"count": 1, "table": 1} {
				changes := []store.Change{{Key: []byte("a"), Value: []byte("old")}, {Key: []byte("x"), Value: []byte("stale")}, {Key: []byte("y"), Value: []byte("stale")}}
				if name == "count" {
					changes = []store.Change{{Key: []byte("a"), Value: []byte("9")}, {Key: []byte("x"), Value: []byte("stale")}}
				}
				if err := s.Load(name, changes, at); err != nil {
					t.Fatal(err)
				}
				if !c.current.IsZero() {
					if err := s.Confirm(name, c.current); err != nil {
						t.Fatal(err)
					}
				}
			}
			l.states.give(unitID{})
			s = l.restored(2)
			if got := contents(s, "count"); got != c.count {
				t.Errorf("the counts are %q, want %q", got, c.count)
			}
			want := c.table
			if c.name == "away for a short time" {
				want += "y=stale " // it is told of that by what it reads next
			}
			if got := contents(s, "table"); got != want || s.Checkpoint("table") != 2 {
				t.Errorf("the table is %q at %d, want %q", got, s.Checkpoint("table"), want)
			}
			if got := s.Current("count"); time.Since(got) > time.Minute {
				t.Errorf("after restoring the counts were current at %v", got)
			}
		})
	}
}

func TestACommitSaysThatStoresWithALogOfTheirOwnAreCurrent(t *testing.T) {
	l := newLogged(t, t.TempDir(), "a")
	u := &unit{stage: &l.plan.Stages[0], state: l.take()}
	noon := time.Now().Truncate(time.Millisecond)
	for _, c := range []struct{ at, want time.Time }{
		{noon, noon}, {noon.Add(confirmEvery - 1), noon}, {noon.Add(confirmEvery), noon.Add(confirmEvery)},
	} {
		if err := u.confirm(c.at); err != nil {
			t.Fatal(err)
		}
		if got := u.state.Current("count"); !got.Equal(c.want) {
			t.Errorf("after a commit at %v the counts were current at %v, want %v", c.at, got, c.want)
		}
	}
	if got := u.state.Current("table"); !got.IsZero() {
		t.Errorf("the table, whose input goes on, was current at %v", got)
	}
}

// An emptying that a crash has cut short must not leave a table without what was read before.
func TestAGlobalTableIsReadAnewIfAPartOfItMustBe(t *testing.T) {
	now := time.Now()
	tp := func(n int32) kafka.TopicPartition { return kafka.TopicPartition{Topic: "in", Partition: n} }
	for _, c := range []struct {
		name  string
		spoil func(*globalTable) error
		want  string
	}{
		{"it fits", func(*globalTable) error { return nil }, "a=1 "},
		{"one partition was emptied when the process died", func(g *globalTable) error { return anew(g.state, g.cursor(0), now) }, ""},
		{"one partition was away for long", func(g *globalTable) error {
			if err := g.state.Reset(g.cursor(1)); err != nil {
				return err
			}
			return g.state.Load(g.cursor(1), nil, 5) // current: not known
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &globalTable{plan: &topology.Global{Name: "g", Store: store.Spec{Name: "g"}}, ends: map[kafka.TopicPartition]int64{tp(0): 9, tp(1): 9}}
			opts := store.Options{Specs: []store.Spec{{Name: "g"}, {Name: g.cursor(0)}, {Name: g.cursor(1)}}, Identity: "g", Dir: t.TempDir()}
			var err error
			if g.state, err = store.Open(opts); err != nil {
				t.Fatal(err)
			}
			defer g.state.Close()
			steps := []error{
				g.state.Load("g", []store.Change{{Key: []byte("a"), Value: []byte("1")}}, 0),
				g.state.Load(g.cursor(0), nil, 5), g.state.Load(g.cursor(1), nil, 5),
				g.state.Confirm(g.cursor(0), now), g.state.Confirm(g.cursor(1), now),
				c.spoil(g),
				g.fit(nil, 24*time.Hour, now, slog.New(slog.DiscardHandler)),
			}
			for _, err := range steps {
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := contents(g.state, "g"); got != c.want {
				t.Errorf("the table has %q, want %q", got, c.want)
			}
			for n := range int32(2) {
				if at := g.state.Checkpoint(g.cursor(n)); (at == -1) != (c.want == "") {
					t.Errorf("partition %d is read from %d", n, at)
				}
			}
		})
	}
}

// However many tasks a process takes over, only so many logs are read at once; a task that has nothing to read begins to work.
func TestRestoresWaitForTheirTurnUnlessThereIsNothingToRead(t *testing.T) {
	l := newLogged(t, t.TempDir(), "a")
	l.write("t.count.changelog", "a9")
	for range restoresAtOnce {
		l.restoring <- struct{}{}
	}
	restore := func(ctx context.Context) error {
		defer func() { l.states.give(unitID{}) }()
		u := &unit{stage: &l.plan.Stages[0], progress: &restoreProgress{began: time.Now()}}
		return l.restore(ctx, u, kafka.Offsets{})
	}
	hasty, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := restore(hasty); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of turn: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- restore(t.Context()) }()
	<-l.restoring
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	l.restoring <- struct{}{}
	if err := restore(t.Context()); err != nil {
		t.Errorf("with nothing to read: %v", err)
	}
}
