package tables

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What a topic may refuse a record for.
var (
	ErrTooLarge = errors.New("a record is larger than the topic takes (max.message.bytes)")
	ErrWrongAge = errors.New("the time of a record is further from now than the topic takes (message.timestamp.after.max.ms, message.timestamp.before.max.ms)")
)

// Batches of a topic that does not say how large they may be, the most that is sent whatever it says, and the least that
// the client can be told.
const (
	batchUsual = 1_000_012
	batchMost  = 16 << 20
	batchLeast = 1 << 10
)

// learntFor is how long what a topic says is believed.
const learntFor = 10 * time.Second

// writers write records in batches of what their topics take. A client takes one size for good, so there is one for each.
// They may be used concurrently.
type writers struct {
	options []kgo.Opt

	mu     sync.Mutex
	bySize map[int32]*kgo.Client // GUARDED_BY(mu)
	sizes  map[string]learnt     // by topic; GUARDED_BY(mu)
}

// learnt is the batch size of a topic.
type learnt struct {
	bytes int32
	at    time.Time
}

func newWriters(options []kgo.Opt) (*writers, error) {
	w := &writers{options: options, bySize: map[int32]*kgo.Client{}, sizes: map[string]learnt{}}
	_, err := w.client(batchUsual) // it also asks how large batches may be
	return w, err
}

func (w *writers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.bySize {
		c.Close()
	}
}

// client is the one for batches of a size, made if need be.
func (w *writers) client(bytes int32) (*kgo.Client, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.bySize[bytes]; c != nil {
		return c, nil
	}
	c, err := kgo.NewClient(slices.Concat(w.options, []kgo.Opt{kgo.ProducerBatchMaxBytes(bytes)})...)
	if err != nil {
		return nil, fmt.Errorf("open writer of records: %w", err)
	}
	w.bySize[bytes] = c
	return c, nil
}

// write writes records and returns when all of them are there, or one is refused.
func (w *writers) write(ctx context.Context, records []*kgo.Record) error {
	byTopic := map[string][]*kgo.Record{}
	for _, r := range records {
		byTopic[r.Topic] = append(byTopic[r.Topic], r)
	}
	for _, topic := range slices.Sorted(maps.Keys(byTopic)) {
		c, err := w.client(w.size(ctx, topic))
		if err == nil {
			err = c.ProduceSync(ctx, byTopic[topic]...).FirstErr()
		}
		if err != nil {
			w.forget(topic)
			return refusal(err)
		}
	}
	return nil
}

// refusal says in words what a topic does not take.
func refusal(err error) error {
	switch {
	case errors.Is(err, kerr.MessageTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, kerr.InvalidTimestamp):
		return fmt.Errorf("%w: %w", ErrWrongAge, err)
	}
	return noTopic(err)
}

// size is how large a batch of a topic may be, as the log says.
func (w *writers) size(ctx context.Context, topic string) int32 {
	w.mu.Lock()
	known, asker := w.sizes[topic], w.bySize[batchUsual]
	w.mu.Unlock()
	if time.Since(known.at) < learntFor {
		return known.bytes
	}
	bytes, ok := describedSize(ctx, asker, topic)
	if ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.sizes) >= sizesMax {
			clear(w.sizes)
		}
		w.sizes[topic] = learnt{bytes, time.Now()}
	}
	return bytes
}

// sizesMax bounds what is remembered of topics, whose names come from strangers.
const sizesMax = 1000

// describedSize asks the log. Where it does not say, as to somebody who may only write, the usual has to do.
func describedSize(ctx context.Context, asker *kgo.Client, topic string) (bytes int32, ok bool) {
	described, err := kadm.NewClient(asker).DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return batchUsual, false
	}
	for _, d := range described {
		for _, c := range d.Configs {
			if n, err := strconv.ParseInt(c.MaybeValue(), 10, 32); c.Key == "max.message.bytes" && err == nil {
				return int32(min(max(n, batchLeast), batchMost)), true
			}
		}
	}
	return batchUsual, false
}

func (w *writers) forget(topic string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.sizes, topic)
}
