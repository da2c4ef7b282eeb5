package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// LogOnce is how fast a plain consume-transform-produce loop goes in transactions of 100 ms.
type LogOnce struct {
	Bytes      int                `json:"record_bytes"`
	Partitions int32              `json:"partitions"`
	PerS       map[string]float64 `json:"records_per_s"`
	Ratio      float64            `json:"ratio,omitempty"` // ours to kfake, both without fsync
	FsyncRatio float64            `json:"fsync_ratio,omitempty"`
	Spread     float64            `json:"spread"` // of ours
}

// LogCommits is how long the end of a small transaction takes, one after the other.
type LogCommits struct {
	Broker string  `json:"broker"`
	P50    float64 `json:"commit_p50_ms"`
	P99    float64 `json:"commit_p99_ms"`
}

func (b *logBench) exactlyOnce(ctx context.Context) error {
	for _, bytes := range []int{100, kilobyte} {
		if err := b.once(ctx, bytes); err != nil {
			return err
		}
	}
	for _, name := range b.all() {
		c, err := b.commits(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.o.say("  commit of 8 records over 8 partitions, %-16s p50 %6.2f ms   p99 %6.2f ms", name, c.P50, c.P99)
		b.result.Commits = append(b.result.Commits, c)
	}
	return nil
}

func (b *logBench) once(ctx context.Context, bytes int) error {
	rates, records := map[string]Series{}, b.records(bytes)
	inputs, err := b.inputs(ctx, bytes, records)
	if err != nil {
		return err
	}
	for round := range b.o.Rounds + 1 { // the first is to warm up
		for _, name := range turn(b.compared(), round) {
			rate, err := b.onceRate(ctx, name, inputs[name], int64(records))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if round > 0 {
				rates[name] = append(rates[name], rate)
			}
		}
	}
	r := LogOnce{
		Bytes: bytes, Partitions: partitions, PerS: medians(rates), Ratio: ratio(rates[ours], rates[kfake]),
		FsyncRatio: ratio(rates[oursSync], rates[kfake]), Spread: round(rates[ours].Spread(), 2),
	}
	least(&b.result.Least.ExactlyOnce, r.Ratio)
	b.o.say("  %4d B exactly-once %s ratio %.2f", bytes, b.list(r.PerS), r.Ratio)
	b.result.ExactlyOnce = append(b.result.ExactlyOnce, r)
	return nil
}

// inputs fills a topic on every broker.
func (b *logBench) inputs(ctx context.Context, bytes, records int) (map[string]string, error) {
	inputs, values := map[string]string{}, payloads(bytes)
	for _, name := range b.compared() {
		inputs[name] = unique("in")
		err := b.with(ctx, name, func(p *process, c *cluster) error {
			if err := c.topicOf(ctx, inputs[name], partitions); err != nil {
				return err
			}
			_, err := produceRate(ctx, p.address, inputs[name], "snappy", records, values)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return inputs, nil
}

// with calls f with a broker and clients of it.
func (b *logBench) with(ctx context.Context, name string, f func(*process, *cluster) error) error {
	p, err := b.broker(ctx, name)
	if err != nil {
		return err
	}
	c, err := p.cluster(b.o.Options)
	if err != nil {
		return err
	}
	defer c.release()
	return f(p, c)
}

func (b *logBench) onceRate(ctx context.Context, name, in string, records int64) (rate float64, err error) {
	err = b.with(ctx, name, func(_ *process, c *cluster) error {
		out := unique("out")
		if err := c.topicOf(ctx, out, partitions); err != nil {
			return err
		}
		way, err := c.referenceLoop(ctx, in, out, records)
		if err != nil {
			return err
		}
		rate = way.rate()
		return c.drop(ctx, out)
	})
	return rate, err
}

// commits ends small transactions, one after the other.
func (b *logBench) commits(ctx context.Context, name string) (LogCommits, error) {
	r := LogCommits{Broker: name}
	n := 300
	if b.o.Quick {
		n = 100
	}
	err := b.with(ctx, name, func(p *process, c *cluster) error {
		topic := unique("commits")
		if err := c.topicOf(ctx, topic, partitions); err != nil {
			return err
		}
		took, err := commitTimes(ctx, p.address, topic, n)
		if err != nil {
			return err
		}
		r.P50, r.P99 = millis(quantile(took, 0.5)), millis(quantile(took, 0.99))
		return c.drop(ctx, topic)
	})
	return r, err
}

// commitTimes are how long EndTransaction took, sorted. The records of a transaction are acknowledged before.
func commitTimes(ctx context.Context, address, topic string, n int) ([]time.Duration, error) {
	client, err := newLogClient(address, kgo.DefaultProduceTopic(topic), kgo.TransactionalID(topic), kgo.ProducerLinger(0),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var took []time.Duration
	for i := range n + n/10 { // the first tenth warms up
		if err := client.BeginTransaction(); err != nil {
			return nil, err
		}
		var records []*kgo.Record
		for p := range int32(partitions) {
			records = append(records, &kgo.Record{Partition: p, Value: []byte("a small record")})
		}
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := client.EndTransaction(ctx, kgo.TryCommit); err != nil {
			return nil, err
		}
		if i >= n/10 {
			took = append(took, time.Since(start))
		}
	}
	slices.Sort(took)
	return took, nil
}
