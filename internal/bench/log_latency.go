package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// LogLatency is how long records of 100 bytes take from a producer that does not linger to a consumer, over 8 partitions.
type LogLatency struct {
	Rate int                      `json:"records_per_s"`
	Of   map[string]LogPercentile `json:"of"`
}

// LogPercentile is the median and the slowest hundredth. Of the rounds, medians.
type LogPercentile struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

func (b *logBench) latency(ctx context.Context) error {
	rounds := min(b.o.Rounds, 3)
	for _, rate := range []int{1000, 10_000, 50_000} {
		p50, p99 := map[string]Series{}, map[string]Series{}
		for round := range rounds {
			for _, name := range turn(b.all(), round) {
				took, err := b.delays(ctx, name, rate)
				if err != nil {
					return fmt.Errorf("%s at %d/s: %w", name, rate, err)
				}
				p50[name] = append(p50[name], millis(quantile(took, 0.5)))
				p99[name] = append(p99[name], millis(quantile(took, 0.99)))
			}
		}
		r := LogLatency{Rate: rate, Of: map[string]LogPercentile{}}
		for _, name := range b.all() {
			r.Of[name] = LogPercentile{P50: round(p50[name].Median(), 2), P99: round(p99[name].Median(), 2)}
			b.o.say("  %5d/s %-16s p50 %7.2f ms   p99 %7.2f ms", rate, name, r.Of[name].P50, r.Of[name].P99)
		}
		b.result.Latency = append(b.result.Latency, r)
	}
	return nil
}

// delays writes at a rate and returns how long each record took, sorted.
func (b *logBench) delays(ctx context.Context, name string, rate int) (took []time.Duration, err error) {
	err = b.with(ctx, name, func(p *process, c *cluster) error {
		topic := unique("latency")
		if err := c.topicOf(ctx, topic, partitions); err != nil {
			return err
		}
		if took, err = delaysOf(ctx, p.address, topic, rate, b.o.Span); err != nil {
			return err
		}
		return c.drop(ctx, topic)
	})
	return took, err
}

func delaysOf(ctx context.Context, address, topic string, rate int, span time.Duration) ([]time.Duration, error) {
	consumer, err := newLogClient(address, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	producer, err := newLogClient(address, kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	start := time.Now()
	warm := start.Add(span / 5)
	total := int(span.Seconds() * float64(rate))
	got := make(chan []time.Duration, 1)
	ctx, cancel := context.WithTimeout(ctx, span+30*time.Second)
	defer cancel()
	go func() { got <- receive(ctx, consumer, start, warm, total) }()
	if err := pace(ctx, producer, start, rate, total); err != nil {
		return nil, err
	}
	took := <-got
	if len(took) == 0 {
		return nil, errSilent
	}
	slices.Sort(took)
	return took, nil
}

// pace writes records at a rate, each with the time at which it was given to the client.
func pace(ctx context.Context, producer *kgo.Client, start time.Time, rate, total int) error {
	var failed atomic.Pointer[error]
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
		}
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for sent := 0; sent < total; {
		due := min(int(time.Since(start).Seconds()*float64(rate)), total)
		for ; sent < due; sent++ {
			value := make([]byte, 100)
			binary.BigEndian.PutUint64(value, uint64(time.Since(start)))
			producer.Produce(ctx, &kgo.Record{Value: value}, promise)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := producer.Flush(ctx); err != nil {
		return err
	}
	if lost := failed.Load(); lost != nil {
		return *lost
	}
	return nil
}

// receive reads all records; those written before warm do not count.
func receive(ctx context.Context, consumer *kgo.Client, start, warm time.Time, total int) []time.Duration {
	var took []time.Duration
	for n := 0; n < total && ctx.Err() == nil; {
		fetches := consumer.PollFetches(ctx)
		now := time.Since(start)
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			sent := time.Duration(binary.BigEndian.Uint64(r.Value))
			if start.Add(sent).After(warm) {
				took = append(took, now-sent)
			}
		})
	}
	return took
}
