package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// transfers is a producer that writes each value to both topics in one transaction, and aborts every third.
type transfers struct {
	t         *testing.T
	mu        sync.Mutex
	committed map[string]bool // acknowledged
	unknown   map[string]bool // the end was asked for, the answer never came
	next      int
}

// run works on one broker until ctx is done or the broker is gone.
func (x *transfers) run(ctx context.Context, addr string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID("transfers"), kgo.TransactionTimeout(30*time.Second))
	if err != nil {
		x.t.Error(err)
		return
	}
	// What is on its way to a dead broker ends with its client only.
	defer context.AfterFunc(ctx, client.Close)()
	for ctx.Err() == nil {
		if err := x.one(ctx, client); err != nil {
			return
		}
	}
}

func (x *transfers) one(ctx context.Context, client *kgo.Client) error {
	x.next++
	value, commit := fmt.Sprint(x.next), x.next%3 != 0
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	for _, topic := range []string{"left", "right"} {
		if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(value)}).FirstErr(); err != nil {
			return err
		}
	}
	if commit {
		x.set(x.unknown, value, true)
	}
	if err := client.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		return err
	}
	if commit {
		x.set(x.unknown, value, false)
		x.set(x.committed, value, true)
	}
	return nil
}

func (x *transfers) set(m map[string]bool, value string, to bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if to {
		m[value] = true
	} else {
		delete(m, value)
	}
}

// check compares what is readable with what was committed.
func (x *transfers) check(addr string) {
	x.t.Helper()
	for _, topic := range []string{"left", "right"} {
		got := read(x.t, addr, topic)
		for v, n := range got {
			if n != 1 || !x.committed[v] && !x.unknown[v] {
				x.t.Fatalf("%s: %q is there %d times; committed %v, unknown %v", topic, v, n, x.committed[v], x.unknown[v])
			}
		}
		for v := range x.committed {
			if got[v] != 1 {
				x.t.Fatalf("%s: %q was committed and is not there", topic, v)
			}
		}
	}
}

func TestKilledBrokerShowsCommittedTransactionsOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := &transfers{t: t, committed: map[string]bool{}, unknown: map[string]bool{}}
	for round := range 6 {
		c := startChild(t, dir)
		if round == 0 {
			createTopic(t, c.addr, "left", 1)
			createTopic(t, c.addr, "right", 1)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { x.run(ctx, c.addr) })
		time.Sleep(time.Duration(50+round*37) * time.Millisecond) // sleep: the kill comes at any moment of a transaction
		c.end(os.Kill)
		cancel()
		work.Wait()
	}
	b := start(t, options(dir))
	x.check(b.Addr())
	if len(x.committed) < 20 {
		t.Fatalf("only %d transactions were committed", len(x.committed))
	}
	t.Log(len(x.committed), "committed,", len(x.unknown), "unknown")
}

// TestOpenTransactionsOfAKilledBrokerStayAborted: the second kill is the one that made them readable.
func TestOpenTransactionsOfAKilledBrokerStayAborted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startChild(t, dir)
	createTopic(t, c.addr, "t", 1)
	id := kgo.TransactionalID("x")
	txn := connect(t, c.addr, id)
	if err := txn.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, txn, "t", "open")
	c.end(os.Kill)

	c = startChild(t, dir)
	txn = connect(t, c.addr, id)
	if err := txn.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, txn, "t", "committed")
	if err := txn.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	c.end(os.Kill)

	b := start(t, options(dir))
	if got := read(t, b.Addr(), "t"); len(got) != 1 || got["committed"] != 1 {
		t.Fatalf("read %v", got)
	}
}

// TestProducersOfAKilledBrokerCannotGoOnInTheMiddle: their transaction was aborted, so they must not commit its end.
func TestProducersOfAKilledBrokerCannotGoOnInTheMiddle(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	c := startChild(t, o.Dir)
	createTopic(t, c.addr, "t", 1)
	txn := connect(t, c.addr, kgo.TransactionalID("x"))
	if err := txn.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, txn, "t", "first half")
	c.end(os.Kill)
	o.Addr = c.addr // where the producer looks for it
	b := start(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	half := txn.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("second half")}).FirstErr()
	if end := txn.EndTransaction(ctx, kgo.TryCommit); half == nil && end == nil {
		t.Fatal("it committed")
	} else {
		t.Log(errors.Join(half, end))
	}
	if got := read(t, b.Addr(), "t"); len(got) != 0 {
		t.Fatalf("read %v", got)
	}
}

// TestTornEndsAreCutOff cuts files as a kill in the middle of a write does.
func TestTornEndsAreCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startChild(t, dir)
	createTopic(t, c.addr, "t", 1)
	txn := connect(t, c.addr, kgo.TransactionalID("x"))
	for i := range 10 {
		if err := txn.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, txn, "t", fmt.Sprint(i))
		if err := txn.EndTransaction(t.Context(), kgo.TransactionEndTry(i%2 == 0)); err != nil {
			t.Fatal(err)
		}
	}
	c.end(os.Kill)
	for _, name := range []string{"partitions/t-0/0.idx", "pids.log"} {
		cut(t, filepath.Join(dir, "data", name), 7)
	}
	segment := filepath.Join(dir, "data", "partitions/t-0/0.dat")
	f, err := os.OpenFile(segment, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00\xff half a batch"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b := start(t, options(dir))
	produce(t, connect(t, b.Addr()), "t", "after")
	if got := read(t, b.Addr(), "t"); len(got) != 6 || got["8"] != 1 || got["after"] != 1 {
		t.Fatalf("read %v", got)
	}
}

func cut(t *testing.T, name string, bytes int64) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, info.Size()-bytes); err != nil {
		t.Fatal(err)
	}
}

// TestRepeatedBatchesAfterAKillAreRecognised: the producer retries what it has no answer for.
func TestRepeatedBatchesAfterAKillAreRecognised(t *testing.T) {
	t.Parallel()
	o := options(t.TempDir())
	c := startChild(t, o.Dir)
	createTopic(t, c.addr, "t", 1)
	client := connect(t, c.addr)
	total := 0
	for round := range 4 {
		var sent sync.WaitGroup
		for range 3000 {
			sent.Add(1)
			total++
			client.Produce(t.Context(), &kgo.Record{Topic: "t", Value: fmt.Append(nil, total)}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
				sent.Done()
			})
			if total%1000 == 500 {
				time.Sleep(time.Duration(round) * time.Millisecond) // sleep: batches of different sizes are on their way
			}
		}
		c.end(os.Kill)
		c = startChildAt(t, o.Dir, c.addr)
		sent.Wait()
	}
	got := read(t, c.addr, "t")
	for v, n := range got {
		if n != 1 {
			t.Fatalf("%q is there %d times", v, n)
		}
	}
	if len(got) != total {
		t.Fatalf("%d of %d are there", len(got), total)
	}
}
