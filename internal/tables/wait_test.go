package tables_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/tables"
	"ravenswood.dev/internal/topology"
	client "ravenswood.dev/stream/tables"
)

const long = 20 * time.Second // that a test never takes

// slow is a question that waits for a token, under way.
type slow struct {
	t    *testing.T
	done chan error
	got  client.Answer
}

func askAfter(t *testing.T, p *process, key, token string) *slow {
	t.Helper()
	parsed, err := client.ParseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	s := &slow{t: t, done: make(chan error, 1)}
	go func() {
		var err error
		s.got, err = p.client.Table("shop", "users").Get(t.Context(), []byte(key), client.Ask{After: parsed, Wait: long})
		s.done <- err
	}()
	return s
}

// waits makes sure that the question has not been answered. It gives it a moment to be wrong in.
func (s *slow) waits(why string) {
	s.t.Helper()
	select {
	case err := <-s.done:
		s.t.Fatalf("answered with %q, %v, although %s", s.got.Value, err, why)
	case <-time.After(60 * time.Millisecond):
	}
}

func (s *slow) answers(want string) {
	s.t.Helper()
	select {
	case err := <-s.done:
		if err != nil || string(s.got.Value) != want {
			s.t.Fatalf("got %q, %v, want %q", s.got.Value, err, want)
		}
	case <-time.After(long):
		s.t.Fatal("the question still waits")
	}
}

// TestAQuestionWaitsForARecordOfTheTablesOwnTopic asks elsewhere than where the task is.
func TestAQuestionWaitsForARecordOfTheTablesOwnTopic(t *testing.T) {
	c := newCluster(t, 2, 1)
	owner := c.processes[1]
	s := c.own(t, owner, 0)
	put(t, s, `"old"`)
	owner.move("users", 0, 5)
	ask := askAfter(t, c.processes[0], "k", "users/0@5")
	ask.waits("record 5 is not committed")
	put(t, s, `"new"`)
	owner.move("users", 0, 6)
	ask.answers(`"new"`)
}

// TestAQuestionWaitsHopByHop follows a record through the stage before the table: the stage that reads it must have
// committed, and then the table's own must have come to where the topic between them ended at that moment.
func TestAQuestionWaitsHopByHop(t *testing.T) {
	for _, where := range []string{"the first stage runs elsewhere", "the first stage runs here"} {
		t.Run(where, func(t *testing.T) {
			c := newCluster(t, 2, 2)
			const between = "shop.users.repartition"
			c.log.create(between, 2)
			p := c.ownerOf("k")
			owner := c.processes[1]
			s := c.own(t, owner, p)
			c.own(t, owner, 1-p)
			put(t, s, `"old"`)
			committed := func(next int64) {
				if where == "the first stage runs here" {
					owner.move("orders", 0, next)
				} else {
					c.log.commit("orders", 0, next)
				}
			}
			for n := range int32(2) {
				owner.move(between, n, 0)
				owner.move("users", n, 0)
			}
			committed(7)
			ask := askAfter(t, c.processes[0], "k", "orders/0@7")
			ask.waits("the stage that reads orders has not come to it")
			write(t, c.log, between, p, 3)
			write(t, c.log, between, 1-p, 3)
			committed(8)
			ask.waits("the table has read nothing of what came of it")
			owner.move(between, p, 2)
			ask.waits("the table has read two of three records")
			put(t, s, `"new"`)
			owner.move(between, p, 3) // the other partition does not matter
			ask.answers(`"new"`)
		})
	}
}

func write(t *testing.T, log *memoryLog, topic string, partition int32, n int) {
	t.Helper()
	for range n {
		r := tables.Named(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Key: []byte("k")})
		if err := log.Write(t.Context(), []*kgo.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWaitsThatEndWithoutAnAnswer(t *testing.T) {
	c := newCluster(t, 1, 1)
	p := c.processes[0]
	put(t, c.own(t, p, 0), `1`)
	p.move("users", 0, 5)
	c.log.create("shop.users.repartition", 1)
	cases := []struct {
		name, token string
		want        client.Code
	}{
		{"the table has it", "users/0@4", ""},
		{"a record of another partition", "users/3@77", ""},
		{"the table does not get it in time", "users/0@5", client.TooEarly},
		{"a stage before does not", "orders/0@5", client.TooEarly},
		{"a topic of another stage", "other/0@5", client.BadRequest},
		{"a topic nobody knows", "elsewhere/0@5", client.BadRequest},
		{"one topic that leads there and one that does not", "other/0@5,users/0@4", ""},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			token, err := client.ParseToken(tc.token)
			if err != nil {
				t.Fatal(err)
			}
			ask := client.Ask{After: token, Wait: 30 * time.Millisecond}
			if _, err := p.client.Table("shop", "users").Get(t.Context(), []byte("k"), ask); code(err) != tc.want {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if _, err := p.client.Table("shop", "users").Range(t.Context(), client.Range{Ask: ask}); code(err) != tc.want {
				t.Errorf("range: got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestACopyNeverAnswersForAToken has a copy that is behind, and an owner who is gone.
func TestACopyNeverAnswersForAToken(t *testing.T) {
	c := newCluster(t, 2, 1)
	restore(t, c, c.processes[1])
	put(t, c.standby(t, c.processes[0], 0), `"copy"`)
	token := client.NewToken(client.Coordinate{Topic: "users", Partition: 0, Offset: 1})
	if _, err := c.processes[0].client.Table("shop", "users").Get(t.Context(), []byte("k"), client.Ask{After: token, Wait: time.Millisecond}); err == nil {
		t.Error("got an answer")
	}
}

// TestAWaitGoesRoundWhatComesBack lets the table's own stage write to a topic that a stage reads whose output it reads
// in turn, as a join by another key does.
func TestAWaitGoesRoundWhatComesBack(t *testing.T) {
	c := newCluster(t, 1, 1)
	p := c.processes[0]
	p.plan.Sinks = append(p.plan.Sinks, topology.Sink{Name: "asks", Topic: "shop.asks.repartition", Repartition: true})
	p.plan.Bolts[1].Next = [][]topology.Target{{{Sink: true, Index: 2}}}
	p.plan.Inputs = append(p.plan.Inputs, topology.Input{Name: "asks", Topic: "shop.asks.repartition", Stage: 0, Repartition: true, Next: []topology.Target{{Index: 0}}})
	c.log.create("shop.users.repartition", 1)
	c.log.create("shop.asks.repartition", 1)
	s := c.own(t, p, 0)
	put(t, s, `"old"`)
	p.move("users", 0, 0)
	p.move("shop.users.repartition", 0, 0)
	p.move("shop.asks.repartition", 0, 0)
	ask := askAfter(t, p, "k", "users/0@0")
	write(t, c.log, "shop.asks.repartition", 0, 1)
	p.move("users", 0, 1)
	ask.waits("the question it sent has not been read")
	write(t, c.log, "shop.users.repartition", 0, 1)
	p.move("shop.asks.repartition", 0, 1)
	ask.waits("the answer has not come back")
	put(t, s, `"new"`)
	p.move("shop.users.repartition", 0, 1)
	ask.answers(`"new"`)
}

// TestGlobalTablesAreAskedWhereTheQuestionIs waits for a record of the table's topic.
func TestGlobalTablesAreAskedWhereTheQuestionIs(t *testing.T) {
	c := newCluster(t, 1, 2)
	p := c.processes[0]
	countries := p.client.Table("shop", "countries")
	ask := client.Ask{Wait: time.Millisecond}
	if _, err := countries.Get(t.Context(), []byte("de"), ask); code(err) != client.NotReady {
		t.Errorf("got %v", err)
	}
	s, err := store.Open(store.Options{Specs: []store.Spec{{Name: "countries"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	commit(t, s, func(s *store.State) {
		s.KeyValue("countries").Put([]byte("de"), store.Entry{Value: []byte("Germany"), Time: at(1)})
	})
	p.change(func() { p.global = s })
	p.move("countries", 1, 3)
	ask.After = client.NewToken(client.Coordinate{Topic: "countries", Partition: 1, Offset: 3})
	if _, err := countries.Get(t.Context(), []byte("de"), ask); code(err) != client.TooEarly {
		t.Errorf("got %v", err)
	}
	p.move("countries", 1, 4)
	if a, err := countries.Get(t.Context(), []byte("de"), ask); err != nil || string(a.Value) != "Germany" {
		t.Errorf("got %+v, %v", a, err)
	}
	if page, err := countries.Range(t.Context(), client.Range{}); err != nil || len(page.Entries) != 1 {
		t.Errorf("got %+v, %v", page, err)
	}
}
