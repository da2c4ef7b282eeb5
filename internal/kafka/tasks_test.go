package kafka_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

// tasker is a member that shares tasks and notes what it is told, in order.
type tasker struct {
	*member
	events *events

	mu     sync.Mutex
	lags   map[kafka.Task]int64
	latest kafka.Assignment
	told   int
	owned  map[kafka.TopicPartition]bool
}

// events is what happened to all members of a test, in order.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

func (tk *tasker) setLag(task kafka.Task, lag int64) {
	tk.mu.Lock()
	defer tk.mu.Unlock()
	tk.lags[task] = lag
}

func (tk *tasker) assignment() kafka.Assignment {
	tk.mu.Lock()
	defer tk.mu.Unlock()
	return tk.latest
}

func (tk *tasker) partitions() []string {
	tk.mu.Lock()
	defer tk.mu.Unlock()
	var list []string
	for tp := range tk.owned {
		list = append(list, fmt.Sprintf("%s/%d", tp.Topic, tp.Partition))
	}
	slices.Sort(list)
	return list
}

var joinStage = kafka.Stage{Name: "join", Topics: []string{"orders", "users"}}

func joinTasks(t *testing.T, cfg kafka.Config, e *events, id, host string, standbys int) *tasker {
	t.Helper()
	tk := &tasker{events: e, lags: map[kafka.Task]int64{}, owned: map[kafka.TopicPartition]bool{}}
	take := func(p map[string][]int32, have bool) {
		tk.mu.Lock()
		defer tk.mu.Unlock()
		for topic, ns := range p {
			for _, n := range ns {
				if tp := (kafka.TopicPartition{Topic: topic, Partition: n}); have {
					tk.owned[tp] = true
					e.add("%s has %s/%d", id, topic, n)
				} else if delete(tk.owned, tp); true {
					e.add("%s let go of %s/%d", id, topic, n)
				}
			}
		}
	}
	tk.member = joinGroup(t, cfg, id, []string{"orders", "users", "loose"}, func(_ *member, tc *kafka.TransactorConfig) {
		tc.Assigned = func(_ context.Context, p map[string][]int32) error { take(p, true); return nil }
		tc.Revoked = func(p map[string][]int32) { take(p, false) }
		tc.Lost = tc.Revoked
		tc.Tasks = &kafka.Tasks{
			Stages: []kafka.Stage{joinStage}, Standbys: standbys, Host: host, Process: id,
			Lags: func() map[kafka.Task]int64 {
				tk.mu.Lock()
				defer tk.mu.Unlock()
				return maps.Clone(tk.lags)
			},
			OnTasks: func(a kafka.Assignment) {
				tk.mu.Lock()
				defer tk.mu.Unlock()
				tk.latest = a
				tk.told++
			},
		}
	})
	return tk
}

func taskTopics(t *testing.T, cfg kafka.Config) {
	t.Helper()
	createTopic(t, cfg, "orders", 4, nil)
	createTopic(t, cfg, "users", 4, nil)
	createTopic(t, cfg, "loose", 3, nil)
}

// becomes polls until what says that nothing is wrong.
func becomes(t *testing.T, what func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		wrong := what()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(wrong)
		}
		time.Sleep(10 * time.Millisecond) // sleep: between two looks at the condition
	}
}

func wantDuties(tk *tasker, active, standby, warmUp int) func() string {
	return func() string {
		a := tk.assignment()
		if len(a.Active) == active && len(a.Standby) == standby && len(a.WarmUp) == warmUp {
			return ""
		}
		return fmt.Sprintf("it has %+v; want %d active, %d standby, %d warm-up", a.Duties, active, standby, warmUp)
	}
}

// TestATaskMovesWhenItsNewOwnerHasCaughtUp is the life of a group: one member has everything, another comes, warms up,
// and takes over its share, every task with all of its partitions and never before the first has let go.
func TestATaskMovesWhenItsNewOwnerHasCaughtUp(t *testing.T) {
	t.Parallel()
	cfg, e := start(t), &events{}
	taskTopics(t, cfg)
	a := joinTasks(t, cfg, e, "a", "hostA", 0)
	becomes(t, wantDuties(a, 4, 0, 0))
	becomes(t, func() string {
		if got := a.partitions(); len(got) != 11 {
			return fmt.Sprintf("the only member has %v", got)
		}
		return ""
	})

	b := joinTasks(t, cfg, e, "b", "hostB", 0)
	becomes(t, wantDuties(b, 0, 0, 2))
	becomes(t, func() string { // the group is at rest: the follow-up that gave it a partition without state is over
		if got := b.partitions(); len(got) != 1 {
			return fmt.Sprintf("while it warms up it has %v", got)
		}
		return ""
	})
	told := b.assignment()
	for _, task := range told.WarmUp {
		b.setLag(task, kafka.CaughtUp)
	}
	becomes(t, wantDuties(b, 2, 0, 0))
	becomes(t, wantDuties(a, 2, 0, 0))
	if !slices.Equal(b.assignment().Active, told.WarmUp) {
		t.Errorf("it warmed up %v and got %v", told.WarmUp, b.assignment().Active)
	}
	becomes(t, func() string {
		if n, m := len(a.partitions()), len(b.partitions()); n+m == 11 && max(n, m) == 6 {
			return ""
		}
		return fmt.Sprintf("the partitions are shared out as %v and %v", a.partitions(), b.partitions())
	})
	for _, tk := range []*tasker{a, b} {
		checkWhole(t, tk)
		becomes(t, func() string {
			hosts := map[string]string{}
			for _, p := range tk.assignment().Members {
				hosts[p.ID] = fmt.Sprint(p.Host, " ", len(p.Active))
			}
			if want := map[string]string{"a": "hostA 2", "b": "hostB 2"}; !maps.Equal(hosts, want) {
				return fmt.Sprintf("it knows %v; want %v", hosts, want)
			}
			return ""
		})
	}
	checkOneOwner(t, e)
}

// checkWhole: the partitions of a task are together.
func checkWhole(t *testing.T, tk *tasker) {
	t.Helper()
	var want []string
	for _, task := range tk.assignment().Active {
		for _, topic := range joinStage.Topics {
			want = append(want, fmt.Sprintf("%s/%d", topic, task.Partition))
		}
	}
	slices.Sort(want)
	got := slices.DeleteFunc(tk.partitions(), func(p string) bool { return p < "orders" })
	if !slices.Equal(got, want) {
		t.Errorf("it has %v; its tasks are %v", got, want)
	}
}

// checkOneOwner replays what happened: nobody gets a partition that another has.
func checkOneOwner(t *testing.T, e *events) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	owner := map[string]string{}
	for _, event := range e.list {
		var id, partition string
		if _, err := fmt.Sscanf(event, "%s has %s", &id, &partition); err == nil {
			if owner[partition] != "" {
				t.Errorf("%s, which %s still had", event, owner[partition])
			}
			owner[partition] = id
			continue
		}
		if _, err := fmt.Sscanf(event, "%s let go of %s", &id, &partition); err != nil || owner[partition] != id {
			t.Errorf("%s, which it did not have", event)
		}
		delete(owner, partition)
	}
}

func TestAStandbyTakesOverWhenAMemberLeaves(t *testing.T) {
	t.Parallel()
	cfg, e := start(t), &events{}
	taskTopics(t, cfg)
	a := joinTasks(t, cfg, e, "a", "hostA", 1)
	becomes(t, wantDuties(a, 4, 0, 0))
	b := joinTasks(t, cfg, e, "b", "hostB", 1)
	becomes(t, wantDuties(b, 0, 2, 2)) // two of them to become the owner of, and all to have a copy of
	for n := range int32(4) {
		b.setLag(kafka.Task{Stage: "join", Partition: n}, 0)
	}
	becomes(t, wantDuties(b, 2, 2, 0))
	becomes(t, wantDuties(a, 2, 2, 0))
	if err := a.CloseAndLeave(t.Context()); err != nil {
		t.Fatal(err)
	}
	becomes(t, wantDuties(b, 4, 0, 0))
}

// TestTheTransactionOfAMemberThatIsGoneIsEnded: whoever takes its tasks over would wait for it in every changelog, and for
// its offsets, until it times out.
func TestTheTransactionOfAMemberThatIsGoneIsEnded(t *testing.T) {
	t.Parallel()
	cfg, e := start(t), &events{}
	taskTopics(t, cfg)
	createTopic(t, cfg, "changelog", 1, nil)
	a := joinTasks(t, cfg, e, "a", "hostA", 1)
	becomes(t, wantDuties(a, 4, 0, 0))
	b := joinTasks(t, cfg, e, "b", "hostB", 1)
	becomes(t, wantDuties(b, 0, 2, 2))

	a.Produce(t.Context(), &kgo.Record{Topic: "changelog", Value: []byte("open")})
	ends := func(list func(context.Context, ...string) (map[kafka.TopicPartition]int64, error)) int64 {
		at, err := list(t.Context(), "changelog")
		if err != nil {
			t.Fatal(err)
		}
		return at[kafka.TopicPartition{Topic: "changelog"}]
	}
	of := admin(t, cfg)
	becomes(t, func() string {
		if end, stable := ends(of.EndOffsets), ends(of.StableOffsets); end != 1 || stable != 0 {
			return fmt.Sprintf("the changelog ends at %d, stable is %d", end, stable)
		}
		return ""
	})
	a.Close() // without a word: the transaction stays open
	begun := time.Now()
	if _, err := kadm.NewClient(connect(t, cfg)).LeaveGroup(t.Context(), kadm.LeaveGroup("g").InstanceIDs("a")); err != nil {
		t.Fatal(err)
	}
	becomes(t, wantDuties(b, 4, 0, 0))
	if end, stable := ends(of.EndOffsets), ends(of.StableOffsets); end != 2 || stable != 2 {
		t.Errorf("%v after it was gone the changelog ends at %d, stable is %d", time.Since(begun), end, stable)
	}
}

// TestAMemberThatMovedIsKnownAtItsNewPlace: a static member that comes back is given what it had, without a rebalance.
func TestAMemberThatMovedIsKnownAtItsNewPlace(t *testing.T) {
	t.Parallel()
	for _, restarted := range []string{"the leader", "another"} {
		t.Run(restarted, func(t *testing.T) {
			cfg, e := start(t), &events{}
			taskTopics(t, cfg)
			a := joinTasks(t, cfg, e, "a", "hostA", 1)
			becomes(t, wantDuties(a, 4, 0, 0))
			b := joinTasks(t, cfg, e, "b", "hostB", 1)
			becomes(t, wantDuties(b, 0, 2, 2))
			stays, moves, id := b, a, "a"
			if restarted == "another" {
				stays, moves, id = a, b, "b"
			}
			moves.Close()
			joinTasks(t, cfg, &events{}, id, "elsewhere", 1)
			becomes(t, func() string {
				members := stays.assignment().Members
				i := slices.IndexFunc(members, func(p kafka.Peer) bool { return p.ID == id && p.Host == "elsewhere" })
				if i < 0 {
					return fmt.Sprintf("the other member knows %+v", members)
				}
				return ""
			})
		})
	}
}

// TestAGroupChangesToTasksWhenItsLastOldMemberIsGone is a rolling upgrade.
func TestAGroupChangesToTasksWhenItsLastOldMemberIsGone(t *testing.T) {
	t.Parallel()
	cfg, e := start(t), &events{}
	said := &text{}
	cfg.Log = slog.New(slog.NewTextHandler(said, nil))
	taskTopics(t, cfg)
	topics := []string{"orders", "users", "loose"}
	old := []*member{joinGroup(t, cfg, "old0", topics, nil), joinGroup(t, cfg, "old1", topics, nil)}
	for _, m := range old {
		receive(t, "assignment", m.assigned)
	}
	a := joinTasks(t, cfg, e, "a", "hostA", 0)
	b := joinTasks(t, cfg, e, "b", "hostB", 0)
	becomes(t, func() string {
		if n, m := len(a.partitions()), len(b.partitions()); n < 2 || m < 2 {
			return fmt.Sprintf("the new members have %d and %d partitions", n, m)
		}
		return ""
	})
	if a.told+b.told > 0 {
		t.Error("told of tasks while there are members that know none")
	}
	if n := said.count("the group shares out single partitions"); n != 2 {
		t.Errorf("why tasks may stand still is said %d times by two members", n)
	}
	for _, m := range old {
		if err := m.CloseAndLeave(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	becomes(t, func() string {
		n, m := len(a.assignment().Active), len(b.assignment().Active)
		if n+m == 4 && len(a.partitions())+len(b.partitions()) == 11 {
			return ""
		}
		return fmt.Sprintf("the tasks are shared out as %+v and %+v", a.assignment().Duties, b.assignment().Duties)
	})
	checkWhole(t, a)
	checkWhole(t, b)
	checkOneOwner(t, e)
}

// text is what was logged.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

// Write is part of io.Writer.
func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) count(line string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Count(t.b.String(), line)
}

// TestForeignToolsCanDescribeTheGroup: the protocol is Kafka's own for consumers.
func TestForeignToolsCanDescribeTheGroup(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	taskTopics(t, cfg)
	a := joinTasks(t, cfg, &events{}, "a", "hostA", 0)
	becomes(t, wantDuties(a, 4, 0, 0))
	groups, err := kadm.NewClient(connect(t, cfg)).DescribeGroups(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	g := groups["g"]
	if g.Protocol != "raven-tasks" || len(g.Members) != 1 {
		t.Fatalf("the group is %+v", g)
	}
	joined, ok := g.Members[0].Join.AsConsumer()
	if !ok || !slices.Equal(joined.Topics, []string{"loose", "orders", "users"}) {
		t.Errorf("it joined with %+v", joined)
	}
	assigned, ok := g.Members[0].Assigned.AsConsumer()
	if !ok || len(assigned.Topics) != 3 {
		t.Errorf("it was assigned %+v", assigned)
	}
}
