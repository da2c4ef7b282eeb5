package kafkatest

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func produceCases() []testCase {
	cases := []testCase{
		{"acks all is answered with the first offset", produceAcksAll},
		{"acks 1 is answered with the first offset", produceAcksLeader},
		{"acks 0 is not answered and stored", produceAcksNone},
		{"acks 0 with an error ends the connection", produceAcksNoneError},
		{"acks 2 is refused", produceAcksInvalid},
		{"the answer tells the start of the log", produceLogStart},
		{"headers come back as they were, in order, doubles too", produceHeaders},
		{"null and empty keys and values stay what they are", produceNulls},
		{"times stay what the producer says", produceTimes},
		{"several partitions in one request fail one by one", producePartly},
		{"a batch above max.message.bytes is refused", produceTooLarge},
		{"a batch without records is refused", produceEmpty},
		{"a partition without a batch is refused", produceNothing},
		{"a wrong checksum is refused", produceBadCRC},
		{"an unknown magic is refused", produceBadMagic},
		{"two batches for one partition are refused", produceTwoBatches},
		{"a count of records that is not so is refused", produceWrongCount},
		{"a length beyond the batch is refused", produceWrongLength},
		{"a control batch of a client is refused", produceControl},
		{"an unknown topic is refused", produceUnknownTopic},
		{"an unknown partition is refused", produceUnknownPartition},
		{"a topic is unknown by an id that nobody has", produceUnknownID},
		{"a topic takes records by its id", produceByID},
		{"a compacted topic refuses a record without a key", produceNoKey},
		{"LogAppendTime replaces the producer's time", produceAppendTime},
		{"a time that is too far in the future is refused", produceFuture},
		{"the oldest version that is supported works", produceOldestVersion},
	}
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		cases = append(cases, testCase{"codec " + name + " comes back as it was", func(t *T) { produceCodec(t, codec) }})
	}
	slices.SortFunc(cases[27:], func(a, b testCase) int { return strings.Compare(a.name, b.name) })
	return cases
}

func produceAcksAll(t *T)    { produceAcks(t, -1) }
func produceAcksLeader(t *T) { produceAcks(t, 1) }

func produceAcks(t *T, acks int16) {
	t.Helper()
	topic := t.topic(1)
	for i := range int64(3) {
		req := produceRequest(topic, 0, plain("a", "b").bytes())
		req.Acks = acks
		res := onlyProduced(t, ask(t, req.RequestWith))
		t.ok("produce", res.ErrorCode)
		equal(t, "offset", res.BaseOffset, 2*i)
		equal(t, "time of append", res.LogAppendTime, -1)
	}
	t.wantValues(topic, 0, uncommitted, "a", "b", "a", "b", "a", "b")
}

func produceAcksNone(t *T) {
	topic := t.topic(1)
	c := t.dial()
	req := produceRequest(topic, 0, plain("a").bytes())
	req.Version, req.Acks = 9, 0
	if err := c.send(t.ctx, req); err != nil {
		t.Fatalf("send: %v", err)
	}
	t.eventually("the record", func() bool { return t.offsetAt(topic, 0, -1, uncommitted) == 1 })
	if !quiet(c) {
		t.Fatalf("an answer came, or the connection was closed")
	}
}

func produceAcksNoneError(t *T) {
	c := t.dial()
	req := produceRequest(t.unique("none"), 0, plain("a").bytes())
	req.Version, req.Acks = 9, 0
	if err := c.send(t.ctx, req); err != nil {
		t.Fatalf("send: %v", err)
	}
	c.wantHangUp(t)
}

func produceAcksInvalid(t *T) {
	req := produceRequest(t.topic(1), 0, plain("a").bytes())
	req.Acks = 2
	t.want("produce", onlyProduced(t, ask(t, req.RequestWith)).ErrorCode, kerr.InvalidRequiredAcks)
}

func produceLogStart(t *T) {
	topic := t.topic(1)
	t.produce(topic, 0, plain(counted(5)...))
	t.deleteRecords(topic, 3)
	equal(t, "log start", t.tryProduce(topic, 0, plain("a").bytes()).LogStartOffset, 3)
}

func produceHeaders(t *T) {
	topic := t.topic(1)
	b := plain("v")
	b.records[0].Headers = []kmsg.Header{{Key: "a", Value: []byte("1")}, {Key: "", Value: nil}, {Key: "a", Value: []byte{}}, {Key: "ä", Value: []byte{0, 255}}}
	t.produce(topic, 0, b)
	got := t.records(topic, 0, uncommitted)[0].headers
	same := slices.EqualFunc(got, b.records[0].Headers, func(a, b kmsg.Header) bool {
		return a.Key == b.Key && bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil)
	})
	if !same {
		t.Fatalf("headers: got %q, want %q", got, b.records[0].Headers)
	}
}

func produceNulls(t *T) {
	topic := t.topic(1)
	b := plain("", "", "")
	b.records[0].Key, b.records[0].Value = nil, nil
	b.records[1].Key, b.records[1].Value = []byte{}, []byte{}
	b.records[2].Key, b.records[2].Value = []byte("k"), nil
	t.produce(topic, 0, b)
	for i, got := range t.records(topic, 0, uncommitted) {
		want := b.records[i]
		if !bytes.Equal(got.key, want.Key) || (got.key == nil) != (want.Key == nil) || (got.value == nil) != (want.Value == nil) {
			t.Fatalf("record %d: got %#v = %#v, want %#v = %#v", i, got.key, got.value, want.Key, want.Value)
		}
	}
}

func produceTimes(t *T) {
	topic := t.topic(1, "retention.ms", "-1")
	when := time.UnixMilli(1_600_000_000_123)
	t.produce(topic, 0, plain("a").at(when))
	equal(t, "time", t.records(topic, 0, uncommitted)[0].timestamp, when.UnixMilli())
}

func producePartly(t *T) {
	topic := t.topic(2)
	req := produceRequest(topic, 0, plain("a").bytes())
	req.Topics[0].Partitions = append(req.Topics[0].Partitions,
		kmsg.ProduceRequestTopicPartition{Partition: 1, Records: plain("b").bytes()},
		kmsg.ProduceRequestTopicPartition{Partition: 7, Records: plain("c").bytes()})
	codes := map[int32]int16{}
	for _, p := range ask(t, req.RequestWith).Topics[0].Partitions {
		codes[p.Partition] = p.ErrorCode
	}
	equal(t, "answers", len(codes), 3)
	t.ok("partition 0", codes[0])
	t.ok("partition 1", codes[1])
	t.want("partition 7", codes[7], kerr.UnknownTopicOrPartition)
	t.wantValues(topic, 0, uncommitted, "a")
	t.wantValues(topic, 1, uncommitted, "b")
}

func produceTooLarge(t *T) {
	topic := t.topic(1, "max.message.bytes", "1000")
	t.want("produce", t.tryProduce(topic, 0, plain(strings.Repeat("x", 1000)).bytes()).ErrorCode, kerr.MessageTooLarge)
	t.produce(topic, 0, plain(strings.Repeat("x", 800)))
}

// wantRefused produces bytes and expects one of some errors, and nothing stored.
func (t *T) wantRefused(raw []byte, want ...*kerr.Error) {
	t.Helper()
	topic := t.topic(1)
	t.want("produce", t.tryProduce(topic, 0, raw).ErrorCode, want...)
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 0)
	t.produce(topic, 0, plain("a")) // nothing is broken
}

func produceEmpty(t *T)   { t.wantRefused(plain().bytes(), kerr.InvalidRecord, kerr.CorruptMessage) }
func produceNothing(t *T) { t.wantRefused([]byte{}, kerr.InvalidRecord, kerr.CorruptMessage) }
func produceBadMagic(t *T) {
	t.wantRefused(altered(plain("a").bytes(), 16, 9), kerr.CorruptMessage, kerr.InvalidRecord, kerr.UnsupportedForMessageFormat)
}
func produceTwoBatches(t *T) {
	t.wantRefused(append(plain("a").bytes(), plain("b").bytes()...), kerr.InvalidRecord)
}
func produceWrongCount(t *T) {
	t.wantRefused(altered(plain("a", "b").bytes(), 57, 0, 0, 0, 9), kerr.InvalidRecord, kerr.CorruptMessage)
}
func produceWrongLength(t *T) {
	t.wantRefused(altered(plain("a").bytes(), 8, 0, 0, 9, 0), kerr.CorruptMessage, kerr.InvalidRecord)
}
func produceControl(t *T) {
	t.wantRefused(altered(plain("a").bytes(), 21, 0, attrControl), kerr.InvalidRecord)
}

func produceBadCRC(t *T) {
	raw := plain("hello").bytes()
	raw[len(raw)-2] ^= 1
	t.wantRefused(raw, kerr.CorruptMessage)
}

func produceUnknownTopic(t *T) {
	t.want("produce", t.tryProduce(t.unique("none"), 0, plain("a").bytes()).ErrorCode, kerr.UnknownTopicOrPartition)
}

func produceUnknownPartition(t *T) {
	t.want("produce", t.tryProduce(t.topic(2), 2, plain("a").bytes()).ErrorCode, kerr.UnknownTopicOrPartition)
}

func produceUnknownID(t *T) {
	req := produceRequest("", 0, plain("a").bytes())
	req.Topics[0].TopicID = [16]byte{1, 2, 3}
	t.want("produce", onlyProduced(t, askOn(t, t.at(13), req.RequestWith)).ErrorCode, kerr.UnknownTopicID)
}

func produceByID(t *T) {
	topic := t.topic(1)
	req := produceRequest("", 0, plain("a").bytes())
	req.Topics[0].TopicID = t.metadata(topic).TopicID
	t.ok("produce", onlyProduced(t, askOn(t, t.at(13), req.RequestWith)).ErrorCode)
	t.wantValues(topic, 0, uncommitted, "a")
}

func produceNoKey(t *T) {
	topic := t.topic(1, "cleanup.policy", "compact")
	b := keyed("k", "1", "l", "2")
	b.records[1].Key = nil
	res := t.tryProduce(topic, 0, b.bytes())
	t.want("produce", res.ErrorCode, kerr.InvalidRecord)
	if len(res.ErrorRecords) != 1 || res.ErrorRecords[0].RelativeOffset != 1 {
		t.Fatalf("the record that is wrong is not named: %+v", res.ErrorRecords)
	}
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 0)
}

func produceAppendTime(t *T) {
	topic := t.topic(1, "message.timestamp.type", "LogAppendTime")
	before := time.Now().UnixMilli()
	res := t.tryProduce(topic, 0, plain("a").at(time.UnixMilli(1000)).bytes())
	t.ok("produce", res.ErrorCode)
	got := t.records(topic, 0, uncommitted)[0].timestamp
	if got < before || got != res.LogAppendTime {
		t.Fatalf("time: got %d (answered: %d), want one after %d", got, res.LogAppendTime, before)
	}
}

func produceFuture(t *T) {
	topic := t.topic(1)
	t.want("produce", t.tryProduce(topic, 0, plain("a").at(time.Now().Add(3*time.Hour)).bytes()).ErrorCode, kerr.InvalidTimestamp)
}

func produceOldestVersion(t *T) {
	topic := t.topic(1)
	t.ok("produce", onlyProduced(t, askOn(t, t.at(3), produceRequest(topic, 0, plain("a").bytes()).RequestWith)).ErrorCode)
	t.wantValues(topic, 0, uncommitted, "a")
}

// produceCodec goes through a client library, which brings the codecs.
func produceCodec(t *T, codec kgo.CompressionCodec) {
	topic := t.topic(1)
	client := t.client(kgo.ProducerBatchCompression(codec), kgo.DisableIdempotentWrite(), kgo.DefaultProduceTopic(topic))
	var records []*kgo.Record
	for _, v := range counted(200) {
		records = append(records, &kgo.Record{Value: []byte("a value that repeats itself " + v)})
	}
	if err := client.ProduceSync(t.ctx, records...).FirstErr(); err != nil {
		t.Fatalf("produce: %v", err)
	}
	equal(t, "end of the log", t.offsetAt(topic, 0, -1, uncommitted), 200)
	client = t.client(kgo.ConsumeTopics(topic))
	for got := 0; got < len(records); {
		fetches := client.PollFetches(t.ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("consume: %v", err)
		}
		for _, r := range fetches.Records() {
			equal(t, "value", string(r.Value), string(records[got].Value))
			got++
		}
	}
}

// client is a client library's client of the target.
func (t *T) client(options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(t.target.Seed)}, options...)...)
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	t.Cleanup(client.Close)
	return client
}
