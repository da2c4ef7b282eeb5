package engine

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	archive "ravenswood.dev/internal/engine/snapshot"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
)

// A store that reaches where the log ended at a time had everything at that time.
func TestAKeeperConfirmsWhatHasReachedAnEarlierEnd(t *testing.T) {
	l := newLogged(t, t.TempDir(), "a")
	l.write("t.count.changelog", "a1", "b1")
	s := l.take()
	start := time.Now().Truncate(time.Millisecond).Add(-time.Hour)
	if err := anew(s, "count", start); err != nil {
		t.Fatal(err)
	}
	look := func(next int64) time.Time {
		if err := s.Load("count", nil, next); err != nil {
			t.Fatal(err)
		}
		l.keeper.look(t.Context())
		return s.Current("count")
	}
	before := time.Now().Truncate(time.Millisecond)
	if got := look(0); !got.Equal(start) {
		t.Errorf("at first it was current at %v, want %v", got, start)
	}
	after := time.Now()
	l.write("t.count.changelog", "c1")
	if got := look(1); !got.Equal(start) {
		t.Errorf("on its way it was current at %v, want %v", got, start)
	}
	if got := look(2); got.Before(before) || got.After(after) {
		t.Errorf("at the end that the log had then it was current at %v, want between %v and %v", got, before, after)
	}
}

// What was away for longer than the log keeps deletions stays known as such, however far it has read since.
func TestAKeeperConfirmsNothingThatHasMissedDeletions(t *testing.T) {
	l := newLogged(t, t.TempDir(), "a")
	l.write("t.count.changelog", "a1", "b1")
	s := l.take()
	long := time.Now().Truncate(time.Millisecond).Add(-30 * time.Hour)
	if err := anew(s, "count", long); err != nil {
		t.Fatal(err)
	}
	if err := s.Load("count", nil, 2); err != nil {
		t.Fatal(err)
	}
	l.keeper.look(t.Context())
	l.keeper.look(t.Context())
	if got := s.Current("count"); !got.Equal(long) {
		t.Errorf("it was current at %v, want %v", got, long)
	}
}

// The marks of transactions are behind the last record: without this a stop of a weekend would make every store begin anew.
func TestAStoreIsPassedOverWhatHoldsNothingForIt(t *testing.T) {
	for _, c := range []struct {
		name     string
		then     func(*logged) // when the last transaction was committed
		at       int64         // of the counts: 1 is the record, 2 its mark
		confirms bool
	}{
		{"nothing but the mark", func(*logged) {}, 2, true},
		{"another record", func(l *logged) { l.write("t.count.changelog", "b1"); l.write("in", "b1") }, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLogged(t, t.TempDir(), "a")
			l.writeTransaction("in", "t.count.changelog")
			s := l.take()
			start := time.Now().Truncate(time.Millisecond).Add(-time.Hour)
			for _, name := range []string{"count", "table"} {
				if err := anewAt(s, name, start, 1); err != nil {
					t.Fatal(err)
				}
			}
			c.then(l)
			for range 4 {
				l.keeper.look(t.Context())
			}
			if at := s.Checkpoint("count"); at != c.at {
				t.Errorf("the counts stand at %d, want %d", at, c.at)
			}
			if at := s.Checkpoint("table"); at != 1 {
				t.Errorf("the table stands at %d, which is not what is committed of its input", at)
			}
			for _, name := range []string{"count", "table"} {
				if got := s.Current(name); got.After(start) != c.confirms {
					t.Errorf("store %q was current at %v, at first at %v", name, got, start)
				}
			}
		})
	}
}

// writeTransaction writes a record to each topic, which puts a mark behind it.
func (l *logged) writeTransaction(topics ...string) {
	l.t.Helper()
	cl, err := kgo.NewClient(append(l.cfg.Options(), kgo.TransactionalID("x"))...)
	if err != nil {
		l.t.Fatal(err)
	}
	defer cl.Close()
	err = cl.BeginTransaction()
	for _, topic := range topics {
		if err == nil {
			err = cl.ProduceSync(l.t.Context(), &kgo.Record{Topic: topic, Key: []byte("a"), Value: []byte("1")}).FirstErr()
		}
	}
	if err == nil {
		err = cl.EndTransaction(l.t.Context(), kgo.TryCommit)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// A process tells the group what it has on disk before it has opened any of it.
func TestWhatIsOnDiskAtTheStartIsToldToTheGroup(t *testing.T) {
	task := kafka.Task{Stage: "s"}
	for _, c := range []struct {
		name string
		then func(l *logged, s *store.State) error // before the stop
		lag  int64
	}{
		{"nearly all", func(*logged, *store.State) error { return nil }, 2},
		{"away for longer than deletions are kept: all is to be read", func(_ *logged, s *store.State) error {
			return anewAt(s, "count", time.Now().Add(-30*time.Hour), 3)
		}, 5},
		{"never read", func(_ *logged, s *store.State) error { return s.Reset("count") }, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l := newLogged(t, dir, "a")
			l.states.begin(time.Now())
			l.write("t.count.changelog", "a1", "b1", "c1")
			if err := c.then(l, l.restored(0)); err != nil {
				t.Fatal(err)
			}
			l.states.give(unitID{})
			l.disconnect()
			l.write("t.count.changelog", "d1", "e1")

			next := &logged{t: t, cfg: l.cfg}
			next.connect(dir, "a")
			next.keeper.begin(t.Context())
			if lag, ok := next.lags()[task]; !ok || lag != c.lag {
				t.Errorf("it tells a lag of %d, %v; want %d", lag, ok, c.lag)
			}
			next.take()
			if lag, ok := next.lags()[task]; ok {
				t.Errorf("of what is in use it tells what it was at the start: %d", lag)
			}
			other := &logged{t: t, cfg: l.cfg}
			other.connect(dir, "b")
			other.keeper.begin(t.Context())
			if lags := other.lags(); len(lags) != 0 {
				t.Errorf("another process of the same data folder tells %v", lags)
			}
		})
	}
}

// anewAt leaves a store as it is at an offset, current at a time.
func anewAt(s *store.State, name string, current time.Time, at int64) error {
	if err := anew(s, name, current); err != nil {
		return err
	}
	return s.Load(name, nil, at)
}

// A copy that has missed deletions is made anew: when it is begun, and when it is found to be one.
func TestACopyThatHasMissedDeletionsIsMadeAnew(t *testing.T) {
	long := time.Now().Add(-30 * time.Hour)
	nothing := func(*store.State) error { return nil }
	spoil := func(at int64) func(*store.State) error {
		return func(s *store.State) error {
			if err := anew(s, "count", long); err != nil {
				return err
			}
			return s.Load("count", []store.Change{{Key: []byte("x"), Value: []byte("stale")}}, at)
		}
	}
	for _, c := range []struct {
		name          string
		before, while func(*store.State) error
		found         bool // by the keeper
	}{
		{"before it begins", spoil(1), nothing, false},
		{"while it is kept", nothing, spoil(2), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLogged(t, t.TempDir(), "a")
			l.write("t.count.changelog", "a9", "b8")
			s := l.take()
			if err := c.before(s); err != nil {
				t.Fatal(err)
			}
			l.states.give(unitID{})
			l.standbys.set(0, map[unitID]bool{{}: true})
			l.await("a copy", func() bool { _, stale := l.standbys.look(unitID{}); return stale != nil && stale.Records == 0 })
			if err := c.while(s); err != nil {
				t.Fatal(err)
			}
			l.await("a copy without what was deleted", func() bool {
				if c.found {
					l.keeper.look(t.Context())
				}
				return contents(s, "count") == "a=9 b=8 "
			})
			if since := time.Since(s.Current("count")); since > time.Hour {
				t.Errorf("it was current %v ago", since)
			}
		})
	}
}

func (l *logged) await(what string, condition func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) { // sleep: polls a condition with a deadline
		if time.Now().After(deadline) {
			l.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// What the engine says of a snapshot decides whether it is fetched.
func TestWhichSnapshotsTheChangelogCanMakeUpFor(t *testing.T) {
	l := newLogged(t, t.TempDir(), "a")
	l.write("t.count.changelog", "a1", "b1")
	l.write("in", "a1", "b1")
	long, now := time.Now().Add(-30*time.Hour), time.Now()
	fresh := l.Engine.snapshots.fresh(t.Context(), unitID{})
	for _, c := range []struct {
		name string
		archive.Store
		want bool
	}{
		{"of now", archive.Store{Name: "count", Checkpoint: 1, Current: now}, true},
		{"of long ago", archive.Store{Name: "count", Checkpoint: 1, Current: long}, false},
		{"of long ago, and nothing was written", archive.Store{Name: "count", Checkpoint: 2, Current: long}, true},
		{"a table, which is rid of what was deleted", archive.Store{Name: "table", Checkpoint: 1, Current: long}, true},
		{"a table ahead of its topic", archive.Store{Name: "table", Checkpoint: 3, Current: now}, false},
		{"of a store that is no more", archive.Store{Name: "sum", Checkpoint: 1, Current: now}, false},
	} {
		if got := fresh(c.Store); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
