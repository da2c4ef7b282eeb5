package kafka_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/server"
	"ravenswood.dev/internal/kafka"
)

// startWith runs a broker with options of the test's.
func startWith(t *testing.T, o broker.Options) (cfg kafka.Config, stop func()) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Listener.Addr, o.Log = "127.0.0.1:0", slog.New(slog.DiscardHandler)
	b, err := broker.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stop = func() { _ = b.Close() }
	t.Cleanup(stop)
	return kafka.Config{Brokers: []string{b.Addr()}, Log: slog.New(slog.DiscardHandler)}, stop
}

// hold leaves a transaction open under an id, with a record in a topic of its own.
func hold(t *testing.T, cfg kafka.Config, id string) {
	t.Helper()
	client := connect(t, cfg, kgo.TransactionalID(id))
	begin(t, client)
	produce(t, client, "held", 0, id)
}

// states are the transactions of ids as the broker has them.
func states(t *testing.T, cfg kafka.Config, ids ...string) map[string]string {
	t.Helper()
	all, err := kadm.NewClient(connect(t, cfg)).DescribeTransactions(t.Context(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, id := range ids {
		states[id] = all[id].State
	}
	return states
}

// dismiss is what the group does when the sessions of members time out. A client that was closed may still be joining.
func dismiss(t *testing.T, cfg kafka.Config, group string, ids ...string) {
	t.Helper()
	admin := kadm.NewClient(connect(t, cfg))
	becomes(t, func() string {
		if _, err := admin.LeaveGroup(t.Context(), kadm.LeaveGroup(group).InstanceIDs(ids...)); err != nil {
			return err.Error()
		}
		groups, err := admin.DescribeGroups(t.Context(), group)
		if err != nil || groups[group].State != "Empty" {
			return fmt.Sprint("the group is ", groups[group].State, err)
		}
		return ""
	})
}

// TestWhoNeverMetTheDeadEndsTheirTransactions: a member sleeps with a transaction open, all others restart, and when they
// are back it is out of the group. Nobody who is there has ever heard of it.
func TestWhoNeverMetTheDeadEndsTheirTransactions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		join func(t *testing.T, cfg kafka.Config, id string, second bool) *member // and waits until the group is at rest
	}{
		{"a group that shares tasks", func(t *testing.T, cfg kafka.Config, id string, second bool) *member {
			tk := joinTasks(t, cfg, &events{}, id, "host", 0)
			if second {
				becomes(t, wantDuties(tk, 0, 0, 2))
			} else {
				becomes(t, wantDuties(tk, 4, 0, 0))
			}
			becomes(t, func() string {
				if got := len(tk.partitions()); (got == 1) != second || got == 0 {
					return fmt.Sprintf("it has %d partitions", got)
				}
				return ""
			})
			return tk.member
		}},
		{"a group that shares partitions", func(t *testing.T, cfg kafka.Config, id string, _ bool) *member {
			m := joinGroup(t, cfg, id, []string{"orders"}, nil)
			for len(receive(t, "assignment", m.assigned)) == 0 {
			}
			return m
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := start(t)
			taskTopics(t, cfg)
			createTopic(t, cfg, "out", 1, nil)
			sleeper, other := c.join(t, cfg, "g.sleeper.0", false), c.join(t, cfg, "g.other.0", true)
			sleeper.Produce(t.Context(), &kgo.Record{Topic: "out", Value: []byte("open")})
			becomes(t, func() string {
				if s := states(t, cfg, "g.sleeper.0"); s["g.sleeper.0"] != "Ongoing" {
					return fmt.Sprint("the sleeper's transaction is ", s)
				}
				return ""
			})
			other.Close()
			sleeper.Close()
			dismiss(t, cfg, "g", "g.sleeper.0", "g.other.0") // their sessions time out

			begun := time.Now()
			back := c.join(t, cfg, "g.other.0", false)
			var read []string
			back.Produce(t.Context(), &kgo.Record{Topic: "out", Value: []byte("after")})
			if err := back.Commit(t.Context(), kafka.Offsets{"orders": {0: 0}}, noStep); err != nil {
				t.Fatal(err)
			}
			ctx := within(t, 15*time.Second) // a transaction times out after 25
			err := kafka.ReadToEnd(ctx, cfg, "out", nil, func(r *kgo.Record) error { read = append(read, string(r.Value)); return nil })
			if err != nil || !slices.Equal(read, []string{"after"}) {
				t.Fatalf("after %v the output reads %q: %v", time.Since(begun), read, err)
			}
		})
	}
}

// TestAMemberWithoutPartitionsEndsWhatItLeftOpen: it may have been given away while its owner restarted.
func TestAMemberWithoutPartitionsEndsWhatItLeftOpen(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "in", 1, nil)
	createTopic(t, cfg, "held", 1, nil)
	first := joinGroup(t, cfg, "g.first.0", []string{"in"}, nil)
	receive(t, "assignment", first.assigned)
	hold(t, cfg, "g.second.0")
	joinGroup(t, cfg, "g.second.0", []string{"in"}, nil)
	becomes(t, func() string {
		if s := states(t, cfg, "g.second.0"); s["g.second.0"] == "Ongoing" {
			return "its transaction is open"
		}
		return ""
	})
}

// TestOnlyTransactionsOfMembersThatAreGoneAreEnded: whoever is in a group is at work, and ids that are alike are not the same.
func TestOnlyTransactionsOfMembersThatAreGoneAreEnded(t *testing.T) {
	t.Parallel()
	cfg := start(t)
	createTopic(t, cfg, "in", 2, nil)
	createTopic(t, cfg, "other", 1, nil)
	createTopic(t, cfg, "held", 1, nil)
	live := joinGroup(t, cfg, "raven.g.live.0", []string{"in"}, inGroup("raven.g"))
	receive(t, "assignment", live.assigned)
	namesake := joinGroup(t, cfg, "raven.g.eu.live.0", []string{"other"}, inGroup("raven.g.eu"))
	receive(t, "assignment", namesake.assigned)
	for _, m := range []*member{live, namesake} {
		m.Produce(t.Context(), &kgo.Record{Topic: "held", Value: []byte("live")})
	}
	feed := connect(t, cfg, kgo.TransactionalID("raven.g.source.1"))
	commitAs(t, feed, "raven.g.source.1", "raven.g.source.1")
	begin(t, feed)
	produce(t, feed, "held", 0, "more")

	open := map[string]bool{ // whether it stays so
		"raven.g.live.0":      true,
		"raven.g.eu.live.0":   true,
		"raven.g.gone.0":      false,
		"raven.g.gone.at.x.1": false, // a process may have dots in its name
		"raven.g.orders":      true,  // a feed
		"raven.g.orders.x":    true,  // no number
		"raven.g.eu.7":        true,  // may be a feed of the other topology
		"raven.g.source.1":    true,  // has committed offsets under its own name
		"raven.gg.gone.0":     true,
		"raven.h.gone.0":      true,
		"somebody":            true,
	}
	var ids []string
	for id := range open {
		ids = append(ids, id)
		if s := states(t, cfg, id)[id]; s == "" {
			hold(t, cfg, id)
		}
	}
	becomes(t, func() string {
		for id, s := range states(t, cfg, ids...) {
			if s != "Ongoing" {
				return fmt.Sprintf("%s is %s before anything", id, s)
			}
		}
		return ""
	})

	newcomer := joinGroup(t, cfg, "raven.g.new.0", []string{"in"}, inGroup("raven.g"))
	for len(receive(t, "assignment", newcomer.assigned)) == 0 {
	}
	for id, s := range states(t, cfg, ids...) {
		if (s == "Ongoing") != open[id] {
			t.Errorf("the transaction of %s is %s", id, s)
		}
	}
	for _, m := range []*member{live, namesake} {
		if err := m.Commit(t.Context(), nil, noStep); err != nil {
			t.Errorf("a live member's transaction: %v", err)
		}
	}
}

func inGroup(group string) func(*member, *kafka.TransactorConfig) {
	return func(_ *member, tc *kafka.TransactorConfig) { tc.Group = group }
}

// commitAs commits an offset for a group that nobody has joined.
func commitAs(t *testing.T, client *kgo.Client, id, group string) {
	t.Helper()
	begin(t, client)
	produce(t, client, "held", 0, id)
	pid, epoch, err := client.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = id, group, pid, epoch
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic, rt.Partitions = "held", []kmsg.TxnOffsetCommitRequestTopicPartition{kmsg.NewTxnOffsetCommitRequestTopicPartition()}
	req.Topics = append(req.Topics, rt)
	if resp, err := req.RequestWith(t.Context(), client); err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(err, resp)
	}
	end(t, client, kgo.TryCommit)
}

// TestABrokerThatCannotTellWhoIsThereKeepsNobodyFromWorking: what is gained by looking for strangers is time.
func TestABrokerThatCannotTellWhoIsThereKeepsNobodyFromWorking(t *testing.T) {
	t.Parallel()
	unsupported := kmsg.NewPtrListTransactionsResponse()
	unsupported.ErrorCode = kerr.UnsupportedVersion.Code
	for _, c := range []struct {
		name  string
		kind  string
		fault server.Fault
	}{
		{"it does not know the request", "ListTransactions", server.Fault{Answer: unsupported}},
		{"it never answers", "ListTransactions", server.Fault{Delay: time.Minute}},
		{"it breaks the connection", "DescribeGroups", server.Fault{Drop: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg, _ := startWith(t, broker.Options{Hooks: server.Hooks{Fault: func(r server.Request) server.Fault {
				if r.Kind == c.kind {
					return c.fault
				}
				return server.Fault{}
			}}})
			createTopic(t, cfg, "in", 1, nil)
			createTopic(t, cfg, "held", 1, nil)
			hold(t, cfg, "g.gone.0")
			begun := time.Now()
			m := joinGroup(t, cfg, "g.w.0", []string{"in"}, nil)
			receive(t, "assignment", m.assigned)
			m.Produce(t.Context(), &kgo.Record{Topic: "held", Value: []byte("v")})
			if err := m.Commit(t.Context(), kafka.Offsets{"in": {0: 0}}, noStep); err != nil {
				t.Error(err)
			}
			if took := time.Since(begun); took > 12*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestTheRightsOfTheGuideAreEnough: docs/guides/kafka.md says which they are.
func TestTheRightsOfTheGuideAreEnough(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg, stop := startWith(t, broker.Options{Dir: dir, Security: server.Security{Authorize: true, SuperUsers: []acl.Principal{acl.Anonymous}}})
	createTopic(t, cfg, "in", 1, nil)
	createTopic(t, cfg, "held", 1, nil)
	rights := func(b *kadm.ACLBuilder, pattern kadm.ACLPattern, ops ...kadm.ACLOperation) {
		b = b.Allow("User:ANONYMOUS").AllowHosts("*").Operations(ops...).ResourcePatternType(pattern)
		if got, err := kadm.NewClient(connect(t, cfg)).CreateACLs(t.Context(), b); err != nil || got[0].Err != nil {
			t.Fatal(err, got)
		}
	}
	rights(kadm.NewACLs().Topics("in", "held"), kadm.ACLPatternLiteral, kadm.OpRead, kadm.OpWrite)
	rights(kadm.NewACLs().Groups("raven."), kadm.ACLPatternPrefixed, kadm.OpRead)
	rights(kadm.NewACLs().TransactionalIDs("raven."), kadm.ACLPatternPrefixed, kadm.OpWrite)
	hold(t, cfg, "raven.g.gone.0")
	hold(t, cfg, "other.g.gone.0")
	stop()

	cfg, _ = startWith(t, broker.Options{Dir: dir, Security: server.Security{Authorize: true}})
	m := joinGroup(t, cfg, "raven.g.w.0", []string{"in"}, inGroup("raven.g"))
	receive(t, "assignment", m.assigned)
	if s := states(t, cfg, "raven.g.gone.0")["raven.g.gone.0"]; s == "Ongoing" {
		t.Error("the transaction of a member that is gone is open")
	}
	m.Produce(t.Context(), &kgo.Record{Topic: "held", Value: []byte("v")})
	if err := m.Commit(t.Context(), kafka.Offsets{"in": {0: 0}}, noStep); err != nil {
		t.Error(err)
	}
}
