package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/proof"
)

const (
	txnTimeout = 2 * time.Second // what is left open is aborted by the broker after that
	txnLate    = 3 * time.Second // a client that comes back after that is too late, unless a restart gave it time
	stepLimit  = 30 * time.Second
)

// transactor is a producer of transactions over several partitions and topics. It ends them in every way there is, and
// writes down in its book what it was told.
type transactor struct {
	cfg        kafka.Config
	book       *book
	topics     []string
	partitions int
	rng        *rand.Rand

	client *kgo.Client // nil when there must be a new one
	life   int         // counts transactional ids
	late   sync.WaitGroup
}

// run makes transactions until ctx is done. The last one is ended.
func (t *transactor) run(ctx context.Context) error {
	defer t.late.Wait()
	defer t.drop()
	for ctx.Err() == nil {
		if err := t.renew(); err != nil {
			return err
		}
		t.one(context.WithoutCancel(ctx))
		proof.Sleep(ctx, time.Duration(t.rng.IntN(20))*time.Millisecond)
	}
	return nil
}

func (t *transactor) drop() {
	if t.client != nil {
		t.client.Close()
		t.client = nil
	}
}

// renew makes a client if there is none. Under a known transactional id it takes over from the one before.
func (t *transactor) renew() (err error) {
	if t.client != nil {
		return nil
	}
	t.client, err = kgo.NewClient(append(t.cfg.Options(), impatient(),
		kgo.TransactionalID(fmt.Sprintf("crash-%d-%d", t.book.producer, t.life)),
		kgo.TransactionTimeout(txnTimeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)...)
	return err
}

// impatient makes a client ask again at once when the broker is gone, so that much is on its way at every kill.
func impatient() kgo.Opt {
	return kgo.RetryBackoffFn(func(tries int) time.Duration {
		return min(time.Duration(tries)*10*time.Millisecond, 100*time.Millisecond)
	})
}

// one makes a transaction and ends it, or leaves it.
func (t *transactor) one(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	records := 2 + t.rng.IntN(9)
	number := t.book.begin(records)
	if err := t.client.BeginTransaction(); err != nil {
		t.drop()
		return
	}
	written := t.write(ctx, number, records)
	switch dice := t.rng.IntN(40); {
	case !written || dice < 5:
		t.abort(ctx, number)
	case dice == 5: // its timeout ends it
		t.life++
		t.drop()
	case dice == 6: // the next client of this id ends it
		t.drop()
	case dice == 7:
		t.commitLate(number)
	default:
		t.commit(ctx, t.client, number, t.drop)
	}
}

// write sends the records and waits for the answers; it returns whether all were written.
func (t *transactor) write(ctx context.Context, number, records int) bool {
	var mu sync.Mutex
	failed := false
	for i := range records {
		r := part{Producer: t.book.producer, Txn: number, Index: i}.
			record(t.topics[t.rng.IntN(len(t.topics))], t.rng.Int32N(int32(t.partitions)))
		t.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			failed = failed || err != nil
		})
		if t.rng.IntN(8) == 0 {
			proof.Sleep(ctx, time.Duration(t.rng.IntN(30))*time.Millisecond)
		}
	}
	err := t.client.Flush(ctx)
	mu.Lock()
	defer mu.Unlock()
	return err == nil && !failed
}

func (t *transactor) abort(ctx context.Context, number int) {
	t.book.end(number, aborted)
	err := t.client.AbortBufferedRecords(ctx)
	if err == nil {
		err = t.client.EndTransaction(ctx, kgo.TryAbort)
	}
	if err != nil {
		t.drop()
	}
}

func (t *transactor) commit(ctx context.Context, client *kgo.Client, number int, failed func()) {
	t.book.end(number, unknown)
	if err := client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		failed()
		return
	}
	t.book.end(number, committed)
}

// commitLate leaves the transaction with its client, which comes back when its time is up, like one that was paused.
// Another goes on under a new id.
func (t *transactor) commitLate(number int) {
	client := t.client
	t.client = nil
	t.life++
	t.late.Go(func() {
		defer client.Close()
		time.Sleep(txnLate)
		ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
		defer cancel()
		t.commit(ctx, client, number, func() {})
	})
}
