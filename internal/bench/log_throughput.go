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
		produced, consumed := map[string]Series{}, map[string]Series{}
		values := payloads(shape.bytes)
		for round := range b.o.Rounds + 1 { // the first is to warm up
			for _, name := range turn(b.compared(), round) {
				wrote, read, err := b.flow(ctx, name, shape, values)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if round > 0 {
					produced[name], consumed[name] = append(produced[name], wrote), append(consumed[name], read)
				}
			}
		}
		b.result.Throughput = append(b.result.Throughput, b.rates(shape, produced, consumed))
	}
	return nil
}

func (b *logBench) rates(shape logShape, produced, consumed map[string]Series) LogRates {
	r := LogRates{
		Bytes: shape.bytes, Partitions: shape.partitions, Codec: shape.codec, Produce: medians(produced), Consume: medians(consumed),
		ProduceRatio: ratio(produced[ours], produced[kfake]), ConsumeRatio: ratio(consumed[ours], consumed[kfake]),
		FsyncRatio: ratio(produced[oursSync], produced[kfake]), ProduceSpread: round(produced[ours].Spread(), 2),
	}
	least(&b.result.Least.Produce, r.ProduceRatio)
	least(&b.result.Least.Consume, r.ConsumeRatio)
	b.o.say("  %4d B %2d partitions %-6s  produce %s ratio %.2f   consume %s ratio %.2f", r.Bytes, r.Partitions, r.Codec,
		b.list(r.Produce), r.ProduceRatio, b.list(r.Consume), r.ConsumeRatio)
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
func (b *logBench) flow(ctx context.Context, name string, shape logShape, values [][]byte) (wrote, read float64, err error) {
	p, err := b.broker(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	c, err := p.cluster(b.o.Options)
	if err != nil {
		return 0, 0, err
	}
	defer c.release()
	topic := unique("flow")
	if err := c.topicOf(ctx, topic, shape.partitions); err != nil {
		return 0, 0, err
	}
	records := b.records(shape.bytes)
	if wrote, err = produceRate(ctx, p.address, topic, shape.codec, records, values); err != nil {
		return 0, 0, err
	}
	if read, err = consumeRate(ctx, p.address, topic, records); err != nil {
		return 0, 0, err
	}
	return wrote, read, c.drop(ctx, topic)
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
