package batch_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/batch"
)

var codecs = map[batch.Codec]kgo.CompressionCodec{
	batch.None:   kgo.NoCompression(),
	batch.Gzip:   kgo.GzipCompression(),
	batch.Snappy: kgo.SnappyCompression(),
	batch.LZ4:    kgo.Lz4Compression(),
	batch.Zstd:   kgo.ZstdCompression(),
}

// samples are the records that produced sends.
func samples(n int) []*kgo.Record {
	at := time.UnixMilli(1_700_000_000_000)
	var rs []*kgo.Record
	for i := range n {
		r := kgo.KeySliceRecord([]byte(fmt.Sprintf("key-%d", i%7)), bytes.Repeat([]byte{byte('a' + i%26)}, i%300))
		r.Timestamp = at.Add(time.Duration(i*37%101) * time.Millisecond)
		switch i % 5 {
		case 1:
			r.Key = nil
		case 2:
			r.Value = nil
		case 3:
			r.Headers = []kgo.RecordHeader{{Key: "one", Value: []byte("1")}, {Key: "", Value: nil}}
		}
		rs = append(rs, r)
	}
	return rs
}

// produced is the batch that a Kafka client makes of records. A first one, of a record of its own, lets the client learn
// of the topic, so that it has all the others when it is told to send.
func produced(t testing.TB, c batch.Codec, records []*kgo.Record) []byte {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	var mu sync.Mutex
	var raw []byte
	cluster.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		raw = slices.Clone(r.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Records)
		return nil, nil, false
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("t"),
		kgo.ProducerBatchCompression(codecs[c]), kgo.ManualFlushing(), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, rs := range [][]*kgo.Record{{kgo.StringRecord("first")}, records} {
		for _, r := range rs {
			client.Produce(ctx, r, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("produce: %v", err)
				}
			})
		}
		if err := client.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if h, err := batch.Parse(raw); err != nil || int(h.Records) != len(records) {
		t.Fatalf("the client sent %d of %d records last: %v", h.Records, len(records), err)
	}
	return raw
}

// everyCodec runs a test with a batch of each codec.
func everyCodec(t *testing.T, n int, f func(t *testing.T, c batch.Codec, raw []byte, sent []*kgo.Record)) {
	for c := batch.None; c <= batch.Zstd; c++ {
		t.Run(c.String(), func(t *testing.T) {
			sent := samples(n)
			raw := produced(t, c, sent)
			h, err := batch.Parse(raw)
			if err != nil || h.Codec() != c {
				t.Fatalf("got codec %v, %v", h.Codec(), err)
			}
			f(t, c, raw, sent)
		})
	}
}

// read collects the records of a batch.
func read(t testing.TB, raw []byte) []batch.Record {
	t.Helper()
	var rs []batch.Record
	for r, err := range batch.Records(raw, 1<<20) {
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

// same compares a record with what was sent.
func same(t *testing.T, got batch.Record, want *kgo.Record) {
	t.Helper()
	if got.Timestamp != want.Timestamp.UnixMilli() || !equal(got.Key, want.Key) || !equal(got.Value, want.Value) || len(got.Headers) != len(want.Headers) {
		t.Fatalf("got %+v, sent %+v", got, want)
	}
	for i, h := range got.Headers {
		if h.Key != want.Headers[i].Key || !equal(h.Value, want.Headers[i].Value) {
			t.Fatalf("got header %+v, sent %+v", h, want.Headers[i])
		}
	}
}

func equal(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

func TestReadsWhatAClientMade(t *testing.T) {
	everyCodec(t, 200, func(t *testing.T, _ batch.Codec, raw []byte, sent []*kgo.Record) {
		h, err := batch.Validate(raw, batch.Rules{})
		if err != nil {
			t.Fatal(err)
		}
		var want kmsg.RecordBatch
		if err := want.ReadFrom(raw); err != nil {
			t.Fatal(err)
		}
		got := kmsg.RecordBatch{
			FirstOffset: h.BaseOffset, Length: int32(h.Bytes - 12), PartitionLeaderEpoch: h.LeaderEpoch, Magic: 2, CRC: int32(h.CRC),
			Attributes: h.Attributes, LastOffsetDelta: h.LastOffsetDelta, FirstTimestamp: h.FirstTimestamp, MaxTimestamp: h.MaxTimestamp,
			ProducerID: h.ProducerID, ProducerEpoch: h.ProducerEpoch, FirstSequence: h.BaseSequence, NumRecords: h.Records, Records: want.Records,
		}
		if !bytes.Equal(got.AppendTo(nil), raw) {
			t.Fatalf("header %+v is not that of %+v", h, want)
		}
		rs := read(t, raw)
		if len(rs) != len(sent) {
			t.Fatalf("%d records of %d", len(rs), len(sent))
		}
		for i, r := range rs {
			if r.Offset != int64(i) {
				t.Fatalf("record %d at offset %d", i, r.Offset)
			}
			same(t, r, sent[i])
		}
	})
}

func TestKeepLeavesTheRestAsItWas(t *testing.T) {
	everyCodec(t, 200, func(t *testing.T, c batch.Codec, raw []byte, sent []*kgo.Record) {
		batch.SetBase(raw, 1000, 7)
		before, _ := batch.Parse(raw)
		kept, err := batch.Keep(raw, 1<<20, func(r batch.Record) bool { return r.Offset%3 == 0 })
		if err != nil {
			t.Fatal(err)
		}
		h, err := batch.Parse(kept)
		if err != nil || batch.Check(kept) != nil || h.Codec() != c {
			t.Fatalf("%+v: %v, %v", h, err, batch.Check(kept))
		}
		rs := read(t, kept)
		var latest int64
		for i, r := range rs {
			if r.Offset != 1002+int64(3*i) {
				t.Fatalf("record %d is at %d", i, r.Offset)
			}
			same(t, r, sent[r.Offset-1000])
			latest = max(latest, r.Timestamp)
		}
		want := before
		want.Records, want.MaxTimestamp, want.Bytes, want.CRC = int32(len(rs)), latest, h.Bytes, h.CRC
		if h != want || len(rs) != 66 {
			t.Fatalf("got %+v with %d records, want %+v", h, len(rs), want)
		}
	})
}

func TestKeepOfAllAndNone(t *testing.T) {
	everyCodec(t, 20, func(t *testing.T, _ batch.Codec, raw []byte, _ []*kgo.Record) {
		all, err := batch.Keep(raw, 1<<20, func(batch.Record) bool { return true })
		if err != nil || !bytes.Equal(all, raw) {
			t.Fatalf("keeping all changed the batch: %v", err)
		}
		none, err := batch.Keep(raw, 1<<20, func(batch.Record) bool { return false })
		h, parse := batch.Parse(none)
		if err != nil || parse != nil || len(none) != batch.HeaderBytes || h.Records != 0 || h.LastOffsetDelta != 19 || batch.Check(none) != nil {
			t.Fatalf("keeping none left %+v: %v, %v", h, err, parse)
		}
		if got := read(t, none); len(got) != 0 {
			t.Fatalf("an empty batch has records %v", got)
		}
	})
}

func TestKeysAreAskedForInEveryCodec(t *testing.T) {
	everyCodec(t, 20, func(t *testing.T, c batch.Codec, raw []byte, _ []*kgo.Record) {
		if _, err := batch.Validate(raw, batch.Rules{Keys: true}); !isErr(err, batch.ErrInvalid) {
			t.Errorf("records without a key: %v", err)
		}
		keyed := samples(20)
		for _, r := range keyed {
			r.Key = []byte("k")
		}
		if _, err := batch.Validate(produced(t, c, keyed), batch.Rules{Keys: true}); err != nil {
			t.Errorf("records with keys: %v", err)
		}
	})
}

func TestABombIsRefusedInEveryCodec(t *testing.T) {
	for c := batch.Gzip; c <= batch.Zstd; c++ {
		t.Run(c.String(), func(t *testing.T) {
			raw := produced(t, c, []*kgo.Record{kgo.SliceRecord(make([]byte, 900_000))})
			if _, err := batch.Validate(raw, batch.Rules{InflatedBytes: 500_000}); !isErr(err, batch.ErrTooLarge) {
				t.Errorf("Validate: %v", err)
			}
			if _, err := batch.Validate(raw, batch.Rules{InflatedBytes: 901_000}); err != nil {
				t.Errorf("Validate within the bound: %v", err)
			}
			var err error
			for _, err = range batch.Records(raw, 500_000) {
			}
			if !isErr(err, batch.ErrTooLarge) {
				t.Errorf("Records: %v", err)
			}
			if _, err := batch.Keep(raw, 500_000, nil); !isErr(err, batch.ErrTooLarge) {
				t.Errorf("Keep: %v", err)
			}
		})
	}
}

func TestDamageIsSeenInEveryByte(t *testing.T) {
	raw := produced(t, batch.None, samples(3))
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		_, err := batch.Validate(bad, batch.Rules{})
		if free := i < 8 || i >= 12 && i < 16; free != (err == nil) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
}
