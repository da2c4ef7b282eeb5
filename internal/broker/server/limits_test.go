package server

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/disk"
)

func withSettings(set map[string]string) func(*Options) {
	return func(o *Options) { o.Settings = set }
}

// limit sets a quota of everybody.
func limit(t *testing.T, addr, entity, key string, value float64) {
	t.Helper()
	r := kmsg.NewPtrAlterClientQuotasRequest()
	r.Entries = []kmsg.AlterClientQuotasRequestEntry{{
		Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: entity}},
		Ops:    []kmsg.AlterClientQuotasRequestEntryOp{{Key: key, Value: value}},
	}}
	response, err := r.RequestWith(timeout(t), client(t, addr))
	if err != nil || response.Entries[0].ErrorCode != 0 {
		t.Fatal(response, err)
	}
}

func produceRequest(batch []byte) *kmsg.ProduceRequest {
	r := kmsg.NewPtrProduceRequest()
	r.SetVersion(9)
	r.Acks, r.TimeoutMillis = -1, 1000
	r.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch}}}}
	return r
}

// oneRecord is a batch of about so many bytes.
func oneRecord(size int) []byte {
	record := kmsg.Record{Value: bytes.Repeat([]byte{'x'}, size)}
	body := record.AppendTo(nil)[1:]
	record.Length = int32(len(body))
	return rawBatch(0, 1, record.AppendTo(nil))
}

func topicServer(t *testing.T, change ...func(*Options)) (*Server, string) {
	t.Helper()
	s, addr := start(t, disk.NewMemory(), change...)
	if _, err := s.createTopic(t.Context(), "t", 1, map[string]string{"max.message.bytes": "104857600"}); err != nil {
		t.Fatal(err)
	}
	return s, addr
}

// rate measures bytes per second after the burst that a quota allows at once.
func rate(t *testing.T, quota float64, once func() (bytes int, throttleMillis int32)) {
	t.Helper()
	throttled := false
	for used := 0.0; used < quota; { // the burst
		n, _ := once()
		used += float64(n)
	}
	once() // is throttled: from here on, the rate holds
	begin, total := time.Now(), 0
	for time.Since(begin) < 1500*time.Millisecond {
		n, throttle := once()
		total += n
		throttled = throttled || throttle > 0
	}
	got := float64(total) / time.Since(begin).Seconds()
	t.Logf("%.0f bytes/s of %.0f allowed (%+.1f %%)", got, quota, 100*(got/quota-1))
	if got < 0.85*quota || got > 1.15*quota || !throttled {
		t.Errorf("%.0f bytes/s of %.0f; throttled %v", got, quota, throttled)
	}
}

func TestProduceQuotaHolds(t *testing.T) {
	_, addr := topicServer(t)
	const quota = 400_000
	limit(t, addr, "client-id", "producer_byte_rate", quota)
	w, batch := dialWire(t, addr), oneRecord(20_000)
	rate(t, quota, func() (int, int32) {
		r, err := w.ask(produceRequest(batch))
		if err != nil {
			t.Fatal(err)
		}
		return len(batch), r.(*kmsg.ProduceResponse).ThrottleMillis
	})
}

func TestFetchQuotaHolds(t *testing.T) {
	_, addr := topicServer(t)
	w := dialWire(t, addr)
	for range 100 {
		if _, err := w.ask(produceRequest(oneRecord(20_000))); err != nil {
			t.Fatal(err)
		}
	}
	const quota = 400_000
	limit(t, addr, "client-id", "consumer_byte_rate", quota)
	fetch := kmsg.NewPtrFetchRequest()
	fetch.SetVersion(11)
	fetch.SessionEpoch, fetch.MaxBytes = -1, 30_000
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 30_000
	fetch.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	rate(t, quota, func() (int, int32) {
		r, err := w.ask(fetch)
		if err != nil {
			t.Fatal(err)
		}
		answer := r.(*kmsg.FetchResponse)
		return len(answer.Topics[0].Partitions[0].RecordBatches), answer.ThrottleMillis
	})
}

// TestThrottledConnectionIsMuted: who does not wait by himself waits for the broker (KIP-219).
func TestThrottledConnectionIsMuted(t *testing.T) {
	_, addr := topicServer(t)
	limit(t, addr, "client-id", "producer_byte_rate", 100_000)
	w := dialWire(t, addr)
	r, err := w.ask(produceRequest(oneRecord(150_000)))
	if err != nil {
		t.Fatal(err)
	}
	wait := time.Duration(r.(*kmsg.ProduceResponse).ThrottleMillis) * time.Millisecond
	begin := time.Now()
	if _, err := w.ask(kmsg.NewPtrApiVersionsRequest()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); wait < 400*time.Millisecond || took < wait-50*time.Millisecond || took > wait+time.Second {
		t.Fatalf("told to wait %v, answered after %v", wait, took)
	}
}

func TestMutationQuotaThrottles(t *testing.T) {
	_, addr := topicServer(t)
	limit(t, addr, "client-id", "controller_mutation_rate", 5)
	r := kmsg.NewPtrCreateTopicsRequest()
	r.SetVersion(5)
	r.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "many", NumPartitions: 10, ReplicationFactor: 1}}
	answer, err := dialWire(t, addr).ask(r)
	if err != nil {
		t.Fatal(err)
	}
	if throttle := answer.(*kmsg.CreateTopicsResponse).ThrottleMillis; throttle < 900 || throttle > 1100 {
		t.Fatalf("10 partitions at 5 per second: told to wait %d ms", throttle)
	}
}

func TestConnectionsComeNoFasterThanTheirQuota(t *testing.T) {
	t.Parallel()
	_, addr := topicServer(t)
	limit(t, addr, "ip", "connection_creation_rate", 10)
	begin := time.Now()
	for range 20 {
		if _, err := dialWire(t, addr).ask(kmsg.NewPtrApiVersionsRequest()); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); took < 800*time.Millisecond || took > 3*time.Second {
		t.Fatalf("20 connections at 10 per second and 10 at once took %v", took)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"in all":      withSettings(map[string]string{"max.connections": "3"}),
		"per address": withSettings(map[string]string{"max.connections.per.ip": "3"}),
	} {
		t.Run(name, func(t *testing.T) {
			_, addr := start(t, disk.NewMemory(), change)
			var all []*wire
			for range 3 {
				w := dialWire(t, addr)
				if _, err := w.ask(kmsg.NewPtrApiVersionsRequest()); err != nil {
					t.Fatal(err)
				}
				all = append(all, w)
			}
			if _, err := dialWire(t, addr).ask(kmsg.NewPtrApiVersionsRequest()); err == nil {
				t.Fatal("a fourth came in")
			}
			all[0].nc.Close()
			for begin := time.Now(); ; { // the server notices soon
				if _, err := dialWire(t, addr).ask(kmsg.NewPtrApiVersionsRequest()); err == nil {
					return
				}
				if time.Since(begin) > 5*time.Second {
					t.Fatal("there is no room after one has left")
				}
			}
		})
	}
}

// TestFramesAreBounded: what is too large is refused by its first bytes.
func TestFramesAreBounded(t *testing.T) {
	s, open := topicServer(t, withUsers)
	login := serveMore(t, s, Listener{Mechanisms: everyMechanism()[:1]})
	claim := func(key kmsg.Key, size int) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(size))
		return append(binary.BigEndian.AppendUint16(b, uint16(key)), 0, 3)
	}
	for _, c := range []struct {
		name string
		addr string
		head []byte
		ok   bool
	}{
		{"a stranger's request", login, claim(kmsg.ApiVersions, maxFirstFrame), true},
		{"a stranger's large request", login, claim(kmsg.ApiVersions, maxFirstFrame+1), false},
		{"a stranger's batch", login, claim(kmsg.Produce, maxFirstFrame+1), false},
		{"a small request", open, claim(kmsg.Metadata, maxSmallFrame), true},
		{"a large request", open, claim(kmsg.Metadata, maxSmallFrame+1), false},
		{"a large batch", open, claim(kmsg.Produce, 100<<20), true},
		{"a larger one", open, claim(kmsg.Produce, s.settings.broker().RequestBytesMax+1), false},
		{"a negative size", open, claim(kmsg.Produce, -1), false},
		{"HTTP", open, []byte("GET / HTTP/1.1\r\n\r\n"), false},
	} {
		before := allocated()
		w := dialWire(t, c.addr)
		w.send(c.head)
		patience := 5 * time.Second
		if c.ok {
			patience = 100 * time.Millisecond
		}
		if closed := w.closed(patience); closed == c.ok {
			t.Errorf("%s: closed %v", c.name, closed)
		}
		if took := allocated() - before; !c.ok && took > 4<<20 {
			t.Errorf("%s took %d MB", c.name, took>>20)
		}
		w.nc.Close()
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	_, addr := start(t, disk.NewMemory(), withSettings(map[string]string{"connections.max.idle.ms": "200"}))
	for name, sent := range map[string][]byte{"nothing": nil, "half a length": {0, 0}, "a length": {0, 0, 0, 50}} {
		w := dialWire(t, addr)
		w.send(sent)
		if !w.closed(5 * time.Second) {
			t.Errorf("%s: it is still open", name)
		}
	}
}

// TestOneConnectionHasFewRequestsUnderWay: the next ones wait in the client's socket.
func TestOneConnectionHasFewRequestsUnderWay(t *testing.T) {
	t.Parallel()
	var handled atomic.Int64
	_, addr := topicServer(t, func(o *Options) {
		o.Hooks.Fault = func(Request) Fault { handled.Add(1); return Fault{} }
	})
	w := dialWire(t, addr)
	wait := kmsg.NewPtrFetchRequest()
	wait.SetVersion(11)
	wait.SessionEpoch, wait.MaxBytes, wait.MinBytes, wait.MaxWaitMillis = -1, 1000, 1, 1500
	wait.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{{CurrentLeaderEpoch: -1, PartitionMaxBytes: 1}}}}
	all := framed(frameOf(wait))
	for range 500 {
		all = append(all, framed(frameOf(kmsg.NewPtrApiVersionsRequest()))...)
	}
	w.send(all)
	if w.closed(700 * time.Millisecond) {
		t.Fatal("closed")
	}
	if n := handled.Load(); n < maxPipelined || n > maxPipelined+3 {
		t.Fatalf("%d requests are under way", n)
	}
	w.nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	for range 501 {
		if _, err := w.readFrame(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestZipBombs: a record of zeros that takes little room is refused, and never unpacked as a whole.
func TestZipBombs(t *testing.T) {
	const unpacked, allowed = 256 << 20, 16 << 20
	_, addr := topicServer(t, func(o *Options) { o.Inflated = allowed })
	for codec, pack := range map[int16]func(w io.Writer) io.WriteCloser{
		1: func(w io.Writer) io.WriteCloser { z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed); return z },
		2: func(w io.Writer) io.WriteCloser { return &wholeSnappy{w: w} },
		3: func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) },
		4: func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)); return z },
	} {
		var packed bytes.Buffer
		z := pack(&packed)
		zeros := make([]byte, 1<<20)
		fields := append([]byte{0, 0, 0, 1}, binary.AppendVarint(nil, unpacked)...) // no key, and a value that takes all the rest
		if _, err := z.Write(append(binary.AppendVarint(nil, int64(len(fields)+unpacked+1)), fields...)); err != nil {
			t.Fatal(err)
		}
		for range unpacked / len(zeros) {
			if _, err := z.Write(zeros); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := z.Write([]byte{0}); err != nil { // no headers
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		w := dialWire(t, addr)
		batch := rawBatch(codec, 1, packed.Bytes())
		request := framed(frameOf(produceRequest(batch)))
		before := allocated()
		w.send(request)
		answer, err := w.answer(produceRequest(nil))
		if err != nil {
			t.Fatalf("codec %d: %v", codec, err)
		}
		took := allocated() - before
		code := answer.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
		t.Logf("codec %d: %d KB, %v, %d MB taken", codec, packed.Len()>>10, kerr.ErrorForCode(code), took>>20)
		if code != kerr.MessageTooLarge.Code || took > uint64(3*allowed+3*packed.Len()) {
			t.Errorf("codec %d: code %d, %d MB taken", codec, code, took>>20)
		}
	}
}

// wholeSnappy packs what it was given as one block.
type wholeSnappy struct {
	w   io.Writer
	all []byte
}

func (z *wholeSnappy) Write(b []byte) (int, error) {
	z.all = append(z.all, b...)
	return len(b), nil
}

func (z *wholeSnappy) Close() error {
	_, err := z.w.Write(s2.EncodeSnappy(nil, z.all))
	return err
}
