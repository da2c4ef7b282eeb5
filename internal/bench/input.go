package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// kilobyte is the size of an event in the benchmarks of throughput.
const kilobyte = 1024

// fill writes records to a topic and waits until all are there.
func (c *cluster) fill(ctx context.Context, topic string, n int, record func(i int) (key, value []byte)) error {
	client, err := kgo.NewClient(append(c.cfg.Options(), kgo.MaxBufferedRecords(50_000), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))...)
	if err != nil {
		return err
	}
	defer client.Close()
	var failed atomic.Pointer[error]
	for i := range n {
		key, value := record(i)
		client.Produce(ctx, &kgo.Record{Topic: topic, Key: key, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		return fmt.Errorf("fill topic %q: %w", topic, err)
	}
	if err := failed.Load(); err != nil {
		return fmt.Errorf("fill topic %q: %w", topic, *err)
	}
	return nil
}

// events makes events of one kilobyte of JSON over 10,000 keys: some fields, nested ones, and text that compresses as
// text does. The same seed makes the same events.
func events() func(i int) (key, value []byte) {
	chance := rand.New(rand.NewPCG(1, 2))
	texts := make([]string, 64)
	for i := range texts {
		texts[i] = words(chance, kilobyte)
	}
	return func(i int) (key, value []byte) {
		user := chance.IntN(10_000)
		head := fmt.Sprintf(`{"id":"m-%09d","userId":"u%d","time":"2026-01-02T03:04:05.%06dZ","value":%d,`+
			`"address":{"city":"%s","zip":"%05d"},"tags":["a%d","b%d"],"text":"`,
			i, user, i%1_000_000, chance.IntN(1000), vocabulary[chance.IntN(len(vocabulary))], chance.IntN(100_000), chance.IntN(100), chance.IntN(100))
		text := texts[chance.IntN(len(texts))]
		return fmt.Appendf(nil, "u%d", user), []byte(head + text[:kilobyte-len(head)-2] + `"}`)
	}
}

var vocabulary = strings.Fields(`raven wood stream event topic offset record commit worker bolt spout sink route service
	version table window join lane key value order once transaction broker client group member partition`)

func words(chance *rand.Rand, size int) string {
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "%s %x ", vocabulary[chance.IntN(len(vocabulary))], chance.IntN(1<<16))
	}
	return b.String()
}
