package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// LogRates are how fast records of one kind are written and read, in records a second.
type LogRates struct {
	Bytes         int                `json:"record_bytes"`
	Partitions    int32              `json:"partitions"`
	Codec         string             `json:"codec"`
	Produce       map[string]float64 `json:"produce_per_s"`
	Consume       map[string]float64 `json:"consume_per_s"`
	ProduceRatio  float64            `json:"produce_ratio,omitempty"` // ours to kfake, both without fsync
	ConsumeRatio  float64            `json:"consume_ratio,omitempty"`
	FsyncRatio    float64            `json:"produce_fsync_ratio,omitempty"` // ours with group commit to kfake without fsync
	ProduceSpread float64            `json:"produce_spread"`                // of ours
	ProduceCPU    map[string]float64 `json:"produce_broker_ns_per_record"`  // that the broker computed: other programs disturb it less
	ConsumeCPU    map[string]float64 `json:"consume_broker_ns_per_record"`
}

// A flowed is one round of a broker: records a second, and nanoseconds that the broker computed for each.
type flowed struct{ produced, consumed, produceCPU, consumeCPU float64 }

// flows are the rounds of all brokers.
type flows struct{ produced, consumed, produceCPU, consumeCPU map[string]Series }

func newFlows() flows {
	return flows{map[string]Series{}, map[string]Series{}, map[string]Series{}, map[string]Series{}}
}

func (f flows) add(name string, one flowed) {
	f.produced[name] = append(f.produced[name], one.produced)
	f.consumed[name] = append(f.consumed[name], one.consumed)
	f.produceCPU[name] = append(f.produceCPU[name], one.produceCPU)
	f.consumeCPU[name] = append(f.consumeCPU[name], one.consumeCPU)
}

// A shape is what the records of a measurement are like.
type logShape struct {
	bytes      int
	partitions int32
	codec      string
}

func (b *logBench) shapes() []logShape {
	codecs := []string{"none", "snappy"} // what Java clients do unless told otherwise, and what Go clients do
	if b.o.Quick {
		codecs = codecs[:1]
	}
	var all []logShape
	for _, codec := range codecs {
		for _, bytes := range []int{100, kilobyte} {
			for _, partitions := range []int32{1, 8, 16} {
				all = append(all, logShape{bytes, partitions, codec})
			}
		}
	}
	return all
}

// records is how many make a round of about a second or two.
func (b *logBench) records(bytes int) int {
	if b.o.Records > 0 {
		return b.o.Records
	}
	megabytes := 240
	if bytes >= kilobyte {
		megabytes = 600
	}
	if b.o.Quick {
		megabytes /= 3
	}
	return megabytes << 20 / bytes
}

func (b *logBench) throughput(ctx context.Context) error {
	for _, shape := range b.shapes() {
		all := newFlows()
		values := payloads(shape.bytes)
		for round := range b.o.Rounds + 1 { // the first is to warm up
			for _, name := range turn(b.compared(), round) {
				one, err := b.flow(ctx, name, shape, values)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if round > 0 {
					all.add(name, one)
				}
			}
		}
		b.result.Throughput = append(b.result.Throughput, b.rates(shape, all))
	}
	return nil
}

func (b *logBench) rates(shape logShape, all flows) LogRates {
	r := LogRates{
		Bytes: shape.bytes, Partitions: shape.partitions, Codec: shape.codec, Produce: medians(all.produced), Consume: medians(all.consumed),
		ProduceRatio: ratio(all.produced[ours], all.produced[kfake]), ConsumeRatio: ratio(all.consumed[ours], all.consumed[kfake]),
		FsyncRatio: ratio(all.produced[oursSync], all.produced[kfake]), ProduceSpread: round(all.produced[ours].Spread(), 2),
		ProduceCPU: medians(all.produceCPU), ConsumeCPU: medians(all.consumeCPU),
	}
	least(&b.result.Least.Produce, r.ProduceRatio)
	least(&b.result.Least.Consume, r.ConsumeRatio)
	b.o.say("  %4d B %2d partitions %-6s  produce %s ratio %.2f   consume %s ratio %.2f", r.Bytes, r.Partitions, r.Codec,
		b.list(r.Produce), r.ProduceRatio, b.list(r.Consume), r.ConsumeRatio)
	b.o.say("    ns computed per record      %v   %v", r.ProduceCPU, r.ConsumeCPU)
	return r
}

// list shows rates in thousands, in the order of the brokers.
func (b *logBench) list(rates map[string]float64) (text string) {
	for _, name := range b.compared() {
		text += fmt.Sprintf("%s %.0fk ", name, rates[name]/1000)
	}
	return text
}

func medians(all map[string]Series) map[string]float64 {
	out := map[string]float64{}
	for name, s := range all {
		out[name] = round(s.Median(), 0)
	}
	return out
}

// flow writes a topic as fast as one producer can, reads it with one consumer, and removes it.
func (b *logBench) flow(ctx context.Context, name string, shape logShape, values [][]byte) (got flowed, err error) {
	err = b.with(ctx, name, func(p *process, c *cluster) error {
		topic, records := unique("flow"), b.records(shape.bytes)
		if err := c.topicOf(ctx, topic, shape.partitions); err != nil {
			return err
		}
		begin := p.computed()
		if got.produced, err = produceRate(ctx, p.address, topic, shape.codec, records, values); err != nil {
			return err
		}
		middle := p.computed()
		if got.consumed, err = consumeRate(ctx, p.address, topic, records); err != nil {
			return err
		}
		got.produceCPU = float64(middle-begin) / float64(records)
		got.consumeCPU = float64(p.computed()-middle) / float64(records)
		return c.drop(ctx, topic)
	})
	return got, err
}

// produceRate writes records and returns how many a second were acknowledged.
func produceRate(ctx context.Context, address, topic, codec string, records int, values [][]byte) (float64, error) {
	client, err := newLogClient(address,
		kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codecOf(codec)),
		kgo.ProducerBatchMaxBytes(1_000_000), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	if err := client.Ping(ctx); err != nil {
		return 0, err
	}
	var failed atomic.Pointer[error]
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
		}
	}
	start := time.Now()
	for i := range records {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("produce: %w", context.Cause(ctx))
		}
		client.Produce(ctx, &kgo.Record{Value: values[i%len(values)]}, promise)
	}
	if err := client.Flush(ctx); err != nil {
		return 0, fmt.Errorf("produce: %w", err)
	}
	if lost := failed.Load(); lost != nil {
		return 0, fmt.Errorf("produce: %w", *lost)
	}
	return float64(records) / time.Since(start).Seconds(), nil
}

// consumeRate reads a topic from its beginning and returns how many records a second came.
func consumeRate(ctx context.Context, address, topic string, records int) (float64, error) {
	client, err := newLogClient(address, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, err
	}
	defer client.Close()
	start := time.Now()
	for n := 0; n < records; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return 0, fmt.Errorf("consume: %w", err)
		}
		n += fetches.NumRecords()
	}
	return float64(records) / time.Since(start).Seconds(), nil
}

// newLogClient makes a client of one broker with nothing but the client's own defaults.
func newLogClient(address string, more ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(address), kgo.ClientID("raven-bench"), kgo.MetadataMinAge(50 * time.Millisecond)}, more...)...)
}

func codecOf(name string) kgo.CompressionCodec {
	if name == "snappy" {
		return kgo.SnappyCompression()
	}
	return kgo.NoCompression()
}

// payloads makes different values of one size that compress as JSON does.
func payloads(bytes int) [][]byte {
	chance := rand.New(rand.NewPCG(3, 4))
	text := words(chance, 1<<16)
	values := make([][]byte, 1<<16)
	for i := range values {
		head := fmt.Sprintf(`{"id":%d,"user":"u%d","v":%d,"t":"`, i, chance.IntN(10_000), chance.IntN(1<<20))
		at := chance.IntN(len(text) - bytes)
		values[i] = []byte(head + text[at:at+bytes-len(head)-2] + `"}`)
	}
	return values
}

// topicOf makes a topic of so many partitions.
func (c *cluster) topicOf(ctx context.Context, name string, n int32) error {
	made, err := kadm.NewClient(c.client).CreateTopic(ctx, n, 1, nil, name)
	if err == nil {
		err = made.Err
	}
	if err != nil {
		return fmt.Errorf("create topic %q: %w", name, err)
	}
	return nil
}

// release closes the clients of a cluster that goes on.
func (c *cluster) release() {
	c.client.Close()
	c.admin.Close()
}
