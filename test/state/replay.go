package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

// replayed is what a naive program makes of the input topics: what the tables must hold in the end.
type replayed struct {
	accounts  map[string]account
	transfers map[int64]transfer
	codes     map[int64]int64
	book      map[string]standing
	volumes   map[window]volume
}

// add is the naive program.
func (r *replayed) add(t transfer, at time.Time) {
	r.transfers[t.ID] = t
	for name, amount := range map[string]int64{t.From: -t.Amount, t.To: t.Amount} {
		so, w := r.book[name], windowOf(r.accounts[name].Region, at)
		if so.N == 0 {
			so.Balance = r.accounts[name].Opening
		}
		r.book[name] = standing{so.N + 1, so.Balance + amount}
		r.volumes[w] = volume{r.volumes[w].Count + 1, r.volumes[w].Moved + t.Amount}
	}
}

func replay(ctx context.Context, cfg kafka.Config) (*replayed, error) {
	r := &replayed{
		accounts: map[string]account{}, transfers: map[int64]transfer{}, codes: map[int64]int64{},
		book: map[string]standing{}, volumes: map[window]volume{},
	}
	err := readAll(ctx, cfg, topicAccounts, func(k *kgo.Record, a account) { r.accounts[string(k.Key)] = a })
	if err != nil {
		return nil, err
	}
	if err = readAll(ctx, cfg, topicConfirmations, func(_ *kgo.Record, c confirmation) { r.codes[c.ID] = c.Code }); err != nil {
		return nil, err
	}
	return r, readAll(ctx, cfg, topicTransfers, func(k *kgo.Record, t transfer) { r.add(t, k.Timestamp) })
}

// readAll visits the committed records of a topic that have a value.
func readAll[V any](ctx context.Context, cfg kafka.Config, topic string, visit func(*kgo.Record, V)) error {
	return kafka.ReadToEnd(ctx, cfg, topic, nil, func(k *kgo.Record) error {
		if k.Value == nil {
			return nil
		}
		v, err := decoded[V](k)
		if err == nil {
			visit(k, v)
		}
		return err
	})
}

func decoded[V any](k *kgo.Record) (v V, err error) {
	if err := json.Unmarshal(k.Value, &v); err != nil {
		return v, fmt.Errorf("read %s/%d/%d: %w", k.Topic, k.Partition, k.Offset, err)
	}
	return v, nil
}
