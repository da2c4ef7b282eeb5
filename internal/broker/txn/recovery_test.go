package txn_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/txn"
)

var (
	a0 = txn.TopicPartition{Topic: "a", Partition: 0}
	b0 = txn.TopicPartition{Topic: "b", Partition: 0}
)

// decided is a commit of x by 4/1 whose epoch grew, in a-0 from 10 and in b-0 from 20.
func decided() txn.Decide {
	return txn.Decide{
		ID: "x", ProducerID: 4, Epoch: 2, Commit: true, Bumped: true,
		Partitions: []txn.DecidedPartition{{TopicPartition: a0, First: 10}, {TopicPartition: b0, First: 20}},
		After: txn.Entry{
			Version: 1, ID: "x", State: "PrepareCommit", ProducerID: 4, Epoch: 2, LastEpoch: 1, PreviousID: -1, NextID: -1, TimeoutMillis: 60_000,
		},
	}
}

func TestDecisionsOutliveAPartitionThatCannotBeMarked(t *testing.T) {
	c := txn.NewCoordinator(txn.Options{})
	restore(t, c, decided())
	c.RestoreClosed(b0)
	c.RestoreOpen(a0, txn.OpenTransaction{ProducerID: 4, Epoch: 1, First: 10})
	missing := c.Recover(someday)
	want := []txn.Missing{{TopicPartition: a0, First: 10, ProducerID: 4, Epoch: 2, Commit: true, ID: "x"}}
	if !reflect.DeepEqual(missing, want) {
		t.Fatalf("missing %+v, want %+v", missing, want)
	}
	if got := owed(c); !reflect.DeepEqual(got, []txn.TopicPartition{a0, b0}) && !reflect.DeepEqual(got, []txn.TopicPartition{b0, a0}) {
		t.Fatalf("kept for %v, want both", got)
	}
	c.Marked(missing[0])
	if got := owed(c); !reflect.DeepEqual(got, []txn.TopicPartition{b0}) {
		t.Fatalf("kept for %v, want b-0", got)
	}
	if _, _, err := c.InitProducerID(someday, txn.InitRequest{ID: "x", Timeout: time.Minute, Producer: txn.NoProducer}); err != nil {
		t.Fatal(err)
	}
	next := again(t, c)
	next.RestoreOpen(b0, txn.OpenTransaction{ProducerID: 4, Epoch: 1, First: 20})
	if got := next.Recover(someday); len(got) != 1 || !got[0].Commit || got[0].Orphan {
		t.Fatalf("the start after finds %+v", got)
	}
	if d, err := next.Describe("x"); err != nil || d.State != txn.Empty || d.Producer.Epoch != 3 {
		t.Fatalf("got %+v, %v", d, err)
	}
	next.Forget("b")
	if got := owed(next); len(got) != 0 {
		t.Fatalf("kept for a deleted topic: %v", got)
	}
}

func restore(t *testing.T, c *txn.Coordinator, d txn.Decide) {
	t.Helper()
	if err := c.RestoreDecide(d); err != nil {
		t.Fatal(err)
	}
}

// owed lists the partitions that a checkpoint keeps decisions for.
func owed(c *txn.Coordinator) []txn.TopicPartition {
	var all []txn.TopicPartition
	_, _, decisions := c.Checkpoint()
	for _, d := range decisions {
		for _, p := range d.Partitions {
			all = append(all, p.TopicPartition)
		}
	}
	return all
}

// again is a start from the checkpoint of c.
func again(t *testing.T, c *txn.Coordinator) *txn.Coordinator {
	t.Helper()
	next := txn.NewCoordinator(txn.Options{})
	reserved, entries, decisions := c.Checkpoint()
	next.RestoreReserved(reserved)
	for _, e := range entries {
		if err := next.Restore(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range decisions {
		restore(t, next, d)
	}
	return next
}

func TestACheckpointKeepsADecisionOnItsWay(t *testing.T) {
	w := newWorld()
	p, _ := w.init("x", time.Minute, txn.NoProducer)
	if err := w.produce("x", p, a0, 0, true, "r"); err != nil {
		t.Fatal(err)
	}
	_, fx, err := w.c.EndTxn(w.now, txn.EndRequest{ID: "x", Producer: p, Commit: true, Bump: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, entries, decisions := w.c.Checkpoint(); len(decisions) != 0 || entries[0].State != "Ongoing" || entries[0].Epoch != 0 {
		t.Fatalf("before the journal has it: %+v, %+v", decisions, entries)
	}
	d := *fx.Decide
	d.Partitions[0].First = 0
	w.c.Journaled(d)
	if _, entries, decisions := w.c.Checkpoint(); len(decisions) != 1 || decisions[0].Partitions[0].First != 0 || len(entries) != 0 {
		t.Fatalf("after: %+v, %+v", decisions, entries)
	}
	w.checkpoint()
	if missing, err := w.restart(false); err != nil || len(missing) != 1 || !missing[0].Commit {
		t.Fatalf("the start finds %+v, %v", missing, err)
	}
}

func TestRestoreOpen(t *testing.T) {
	cases := map[string]struct {
		open   txn.OpenTransaction
		orphan bool
		commit bool
		epoch  int16 // of the marker, or of the ongoing transaction
		state  txn.State
		now    int16 // epoch of x after the start
	}{
		"named by the decision":           {txn.OpenTransaction{ProducerID: 4, Epoch: 1, First: 10}, false, true, 2, txn.CompleteCommit, 2},
		"begins elsewhere, older epoch":   {txn.OpenTransaction{ProducerID: 4, Epoch: 1, First: 9}, true, false, 2, txn.CompleteCommit, 2},
		"the transaction after it":        {txn.OpenTransaction{ProducerID: 4, Epoch: 2, First: 30}, false, false, 0, txn.Ongoing, 2},
		"after it, at the same offset":    {txn.OpenTransaction{ProducerID: 4, Epoch: 2, First: 10}, false, false, 0, txn.Ongoing, 2},
		"an epoch that the journal lacks": {txn.OpenTransaction{ProducerID: 4, Epoch: 7, First: 30}, true, false, 7, txn.CompleteCommit, 8},
		"a producer that nobody knows":    {txn.OpenTransaction{ProducerID: 99, Epoch: 7, First: 30}, true, false, 7, txn.CompleteCommit, 2},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			c := txn.NewCoordinator(txn.Options{})
			restore(t, c, decided())
			c.RestoreOpen(a0, k.open)
			missing := c.Recover(someday)
			switch {
			case k.epoch == 0 && len(missing) != 0:
				t.Fatalf("missing %+v", missing)
			case k.epoch > 0 && (len(missing) != 1 || missing[0].Orphan != k.orphan || missing[0].Commit != k.commit || missing[0].Epoch != k.epoch):
				t.Fatalf("missing %+v", missing)
			}
			if d, _ := c.Describe("x"); d.State != k.state || d.Producer.Epoch != k.now {
				t.Fatalf("x is %+v", d)
			}
			if p, _ := c.NewProducer(); p.ID <= k.open.ProducerID || p.ID <= 4 {
				t.Fatalf("producer id %d is given out twice", p.ID)
			}
		})
	}
}

func TestRestoreRefusesWhatItDoesNotKnow(t *testing.T) {
	good, other := decided(), decided()
	other.After.ID = "y"
	early := decided()
	early.After.State = "Ongoing"
	for name, payload := range map[string][]byte{
		"not JSON": []byte("{"), "another version": []byte(`{"v":2,"id":"x","state":"Empty"}`), "no id": []byte(`{"v":1,"state":"Empty"}`),
		"no such state": []byte(`{"v":1,"id":"x","state":"Emptyish"}`),
	} {
		if e, err := txn.ParseEntry(payload); err == nil {
			t.Errorf("%s: %+v", name, e)
		}
		if d, err := txn.ParseDecide(payload); err == nil {
			t.Errorf("%s as a decision: %+v", name, d)
		}
	}
	c := txn.NewCoordinator(txn.Options{})
	if c.Restore(good.After) == nil || c.RestoreDecide(other) == nil || c.RestoreDecide(early) == nil {
		t.Error("a state without its decision, or a decision without its state, was taken")
	}
}

// FuzzReplay feeds bytes as entries of the journal; nothing panics, whatever follows.
func FuzzReplay(f *testing.F) {
	d, err := json.Marshal(decided())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d)
	f.Add([]byte(`{"v":1,"id":"x","state":"Ongoing","producer":4,"epoch":2,"lastEpoch":-1,"previous":-1,"next":-1,"timeout":1}`))
	f.Fuzz(func(_ *testing.T, b []byte) {
		c := txn.NewCoordinator(txn.Options{})
		if e, err := txn.ParseEntry(b); err == nil {
			_ = c.Restore(e)
		}
		if d, err := txn.ParseDecide(b); err == nil {
			_ = c.RestoreDecide(d)
		}
		c.RestoreOpen(a0, txn.OpenTransaction{ProducerID: 4, Epoch: 2, First: 10})
		for _, m := range c.Recover(someday) {
			c.Marked(m)
		}
		_, entries, decisions := c.Checkpoint()
		for range decisions {
			c.Forget("a")
		}
		for _, e := range entries {
			_, fx, _ := c.InitProducerID(someday, txn.InitRequest{ID: e.ID, Timeout: time.Second, Producer: txn.NoProducer})
			if fx.Decide != nil {
				c.Decided(e.ID)
			}
		}
		c.Tick(someday.Add(10_000 * time.Hour))
	})
}

func TestErrorsForOlderClients(t *testing.T) {
	cases := map[string]struct {
		key         kmsg.Key
		version     int16
		given, want error
	}{
		"a writer is never told that it is fenced": {kmsg.Produce, 12, kerr.ProducerFenced, kerr.InvalidProducerEpoch},
		"a new writer knows abortable":             {kmsg.Produce, 11, kerr.TransactionAbortable, kerr.TransactionAbortable},
		"an old one does not":                      {kmsg.Produce, 10, kerr.TransactionAbortable, kerr.InvalidTxnState},
		"an old one waits otherwise":               {kmsg.Produce, 11, kerr.ConcurrentTransactions, kerr.NotEnoughReplicas},
		"fenced, new":                              {kmsg.EndTxn, 2, kerr.ProducerFenced, kerr.ProducerFenced},
		"fenced, old":                              {kmsg.EndTxn, 1, kerr.ProducerFenced, kerr.InvalidProducerEpoch},
		"another request":                          {kmsg.Fetch, 0, kerr.ProducerFenced, kerr.ProducerFenced},
		"no error":                                 {kmsg.Produce, 3, nil, nil},
	}
	for name, c := range cases {
		if got := txn.ErrorFor(c.key, c.version, c.given); got != c.want { //nolint:errorlint // kerr gives the very value
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestTransactionsThatOthersDecideAreRefused(t *testing.T) {
	c := txn.NewCoordinator(txn.Options{})
	for want, r := range map[error]txn.InitRequest{
		kerr.TransactionalIDAuthorizationFailed: {ID: "x", Timeout: time.Second, Producer: txn.NoProducer, Enable2PC: true},
		kerr.UnsupportedVersion:                 {ID: "x", Timeout: time.Second, Producer: txn.NoProducer, KeepPrepared: true},
	} {
		if _, _, err := c.InitProducerID(someday, r); err != want { //nolint:errorlint // kerr gives the very value
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestWhilePreparedEverybodyWaits(t *testing.T) {
	for name, bump := range map[string]bool{"epoch stays": false, "epoch grows": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			p, _ := w.init("x", time.Minute, txn.NoProducer)
			if _, err := w.c.AddPartitions(w.now, "x", p, []txn.TopicPartition{a0}); err != nil {
				t.Fatal(err)
			}
			end := txn.EndRequest{ID: "x", Producer: p, Commit: true, Bump: bump}
			if _, _, err := w.c.EndTxn(w.now, end); err != nil {
				t.Fatal(err)
			}
			d, _ := w.c.Describe("x")
			_, _, again := w.c.EndTxn(w.now, end)
			_, _, init := w.c.InitProducerID(w.now, txn.InitRequest{ID: "x", Timeout: time.Minute, Producer: txn.NoProducer})
			foreign := txn.InitRequest{ID: "x", Timeout: time.Minute, Producer: txn.Producer{ID: 77}}
			if _, _, err := w.c.InitProducerID(w.now, foreign); err != kerr.ProducerFenced { //nolint:errorlint // kerr gives the very value
				t.Errorf("somebody else waits for nothing: %v", err)
			}
			join := w.c.Join(w.now, "x", d.Producer, b0, true)
			group := w.c.JoinGroup(w.now, "x", d.Producer, "g", true)
			for what, err := range map[string]error{"EndTxn": again, "InitProducerId": init, "Join": join, "JoinGroup": group} {
				if err != kerr.ConcurrentTransactions { //nolint:errorlint // kerr gives the very value
					t.Errorf("%s: %v", what, err)
				}
			}
			w.c.Decided("x")
			if err := w.c.Join(w.now, "x", d.Producer, b0, true); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestGroupsOfATransactionAreBounded(t *testing.T) {
	w := newWorld()
	p, _ := w.init("x", time.Minute, txn.NoProducer)
	for i := range 1000 {
		if err := w.c.JoinGroup(w.now, "x", p, fmt.Sprint(i), true); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.c.JoinGroup(w.now, "x", p, "one more", true); err != kerr.InvalidRequest { //nolint:errorlint // kerr gives the very value
		t.Errorf("one more: %v", err)
	}
	if err := w.c.JoinGroup(w.now, "x", p, "7", true); err != nil {
		t.Errorf("one that is in: %v", err)
	}
}

func TestIDsExpireInTheirOrderAfterAStart(t *testing.T) {
	c := txn.NewCoordinator(txn.Options{Expiration: time.Hour})
	for i, id := range []string{"a young one", "one that is old"} {
		updated := someday.Add(time.Duration(-i) * time.Minute).UnixMilli()
		if err := c.Restore(txn.Entry{Version: 1, ID: id, State: "Empty", ProducerID: int64(i), PreviousID: -1, NextID: -1, UpdatedMillis: updated}); err != nil {
			t.Fatal(err)
		}
	}
	c.Recover(someday)
	if _, dead := c.Tick(someday.Add(time.Hour - time.Minute)); len(dead) != 1 || dead[0].ID != "one that is old" {
		t.Fatalf("forgotten: %+v", dead)
	}
}

func TestAReservationThatFailedIsAskedForAgain(t *testing.T) {
	c := txn.NewCoordinator(txn.Options{})
	_, first := c.NewProducer()
	_, second := c.NewProducer()
	if first.Reserve != 1000 || second.Reserve != 1001 {
		t.Fatalf("asked for %d, then %d", first.Reserve, second.Reserve)
	}
	if reserved, _, _ := c.Checkpoint(); reserved != 1001 {
		t.Fatalf("a checkpoint drops what was asked for: %d", reserved)
	}
	c.Reserved(first.Reserve)
	for range 998 {
		if _, fx := c.NewProducer(); fx.Reserve != 0 {
			t.Fatalf("asked for %d", fx.Reserve)
		}
	}
	if _, fx := c.NewProducer(); fx.Reserve != 2000 {
		t.Fatalf("asked for %d", fx.Reserve)
	}
}
