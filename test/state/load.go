package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

// load is those who use the bank. It writes to the broker past all proxies, with an idempotent producer that tries for
// ever: what it sent is there once.
type load struct {
	client   *kgo.Client
	accounts int
	rate     int // transfers a second
	rng      *rand.Rand
	version  int64
	sent     atomic.Int64 // transfers; their ids are 1 to this
	refused  atomic.Int64
}

const (
	opening = 1_000_000 // of every account
	regions = 5
	late    = 2 * time.Second // by so much at most a transfer's time is before that of another sent earlier

	loadPatience = 60 * time.Second
)

func newLoad(cfg kafka.Config, o options) (*load, error) {
	client, err := kgo.NewClient(append(cfg.Options(), kgo.MaxBufferedRecords(200_000))...)
	if err != nil {
		return nil, fmt.Errorf("open load: %w", err)
	}
	return &load{client: client, accounts: o.accounts, rate: o.rate, rng: rand.New(rand.NewPCG(o.seed, 7))}, nil
}

// open writes the table of accounts.
func (l *load) open(ctx context.Context) error {
	for i := range l.accounts {
		l.account(i, time.Now().Add(-time.Minute))
	}
	return l.flush(ctx)
}

func (l *load) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadPatience)
	defer cancel()
	if err := l.client.Flush(ctx); err != nil {
		return fmt.Errorf("write load: %w", err)
	}
	return nil
}

// run sends until ctx is done.
func (l *load) run(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	begin, from := time.Now(), l.sent.Load()
	for ctx.Err() == nil {
		for due := from + int64(time.Since(begin).Seconds()*float64(l.rate)); l.sent.Load() < due; {
			l.any()
		}
		l.version++
		l.account(l.rng.IntN(l.accounts), time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// any sends a transfer between any two accounts.
func (l *load) any() {
	from := l.rng.IntN(l.accounts)
	to := (from + 1 + l.rng.IntN(l.accounts-1)) % l.accounts
	l.transfer(from, to, 1+l.rng.Int64N(100))
}

// round moves something from every account to the next: whatever a store holds shows once more.
func (l *load) round() {
	for i := range l.accounts {
		l.transfer(i, (i+1)%l.accounts, 1)
	}
}

func (l *load) transfer(from, to int, amount int64) {
	id := l.sent.Add(1)
	at := time.Now().Add(-time.Duration(l.rng.Int64N(int64(late))))
	l.send(topicTransfers, transferKey(id), transfer{ID: id, From: accountName(from), To: accountName(to), Amount: amount}, at)
	l.send(topicConfirmations, transferKey(id), confirmation{ID: id, Code: l.rng.Int64N(1000)}, at.Add(time.Duration(l.rng.Int64N(int64(late)))))
}

func (l *load) account(i int, at time.Time) {
	l.send(topicAccounts, accountName(i), account{Region: fmt.Sprintf("region-%d", i%regions), Opening: opening, Version: l.version}, at)
}

func (l *load) send(topic, key string, value any, at time.Time) {
	raw, _ := json.Marshal(value) // plain numbers and text
	r := &kgo.Record{Topic: topic, Key: []byte(key), Value: raw, Timestamp: at}
	l.client.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
		if err != nil {
			l.refused.Add(1)
		}
	})
}
