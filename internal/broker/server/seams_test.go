package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/disk"
)

// TestHookChecksBatches: a batch that the hook refuses is not written, and its client is told why.
func TestHookChecksBatches(t *testing.T) {
	check := func(topic string, partition int32, h batch.Header, raw []byte) error {
		for r, err := range batch.Records(raw, 1<<20) {
			if err != nil || topic != "t" || partition != 0 || h.Records != 1 {
				return errors.New("the hook was told something else")
			}
			if !strings.HasPrefix(string(r.Value), "{") {
				return errors.New("value is not what schema 7 says")
			}
		}
		return nil
	}
	s := tell(t, disk.NewMemory(), func(o *Options) { o.Hooks.Batch = check })
	s.create("t", 1, nil)
	s.put(at{"t", 0}, "{}")
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.Topics = -1, []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: plainly("bad").raw()}}}}
	response, err := ask[*kmsg.ProduceResponse](s.direct, 9, req)
	ok(t, err)
	p := response.Topics[0].Partitions[0]
	if p.ErrorCode != kerr.InvalidRecord.Code || p.ErrorMessage == nil || !strings.Contains(*p.ErrorMessage, "value is not what schema 7 says") {
		t.Fatalf("answer %+v", p)
	}
	s.has(at{"t", 0}, "{}")
	s.over()
}

// TestHookInjectsFaults: by kind of request, topic and client; whoever else asks notices nothing.
func TestHookInjectsFaults(t *testing.T) {
	var fault atomic.Pointer[Fault]
	var hit atomic.Int32
	hook := func(r Request) Fault {
		p, is := r.Body.(*kmsg.ProduceRequest)
		if f := fault.Load(); f != nil && is && r.Kind == "Produce" && r.Client == "victim" && p.Topics[0].Topic == "t" {
			hit.Add(1)
			return *f
		}
		return Fault{}
	}
	s, addr := start(t, disk.NewMemory(), func(o *Options) { o.Hooks.Fault = hook })
	for _, name := range []string{"t", "u"} {
		if _, err := s.createTopic(t.Context(), name, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	refusal := kmsg.NewPtrProduceResponse()
	refusal.Version = 9
	refusal.Topics = []kmsg.ProduceResponseTopic{{Topic: "t", Partitions: []kmsg.ProduceResponseTopicPartition{{ErrorCode: kerr.NotLeaderForPartition.Code, BaseOffset: -1}}}}
	for _, c := range []struct {
		name    string
		fault   Fault
		written int64 // records
		fails   bool
	}{
		{"nothing", Fault{}, 1, false},
		{"delay", Fault{Delay: 200 * time.Millisecond}, 1, false},
		{"drop", Fault{Drop: true}, 0, true},
		{"mute", Fault{Mute: true}, 1, true},
		{"answer", Fault{Answer: refusal}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			fault.Store(&c.fault)
			hit.Store(0)
			before, began := s.topics.partition("t", 0).log.End(), time.Now()
			response, err := send(t, addr, "victim", "t")
			if (err != nil) != c.fails || hit.Load() == 0 {
				t.Fatalf("%v after %d hits", err, hit.Load())
			}
			if err == nil && (response.Topics[0].Partitions[0].ErrorCode == kerr.NotLeaderForPartition.Code) != (c.fault.Answer != nil) {
				t.Fatalf("answer %+v", response.Topics[0])
			}
			if took := time.Since(began); took < c.fault.Delay {
				t.Fatalf("took %v", took)
			}
			if written := s.topics.partition("t", 0).log.End() - before; written != c.written {
				t.Fatalf("%d records are written, want %d", written, c.written)
			}
			for client, topic := range map[string]string{"victim": "u", "bystander": "t"} {
				if _, err := send(t, addr, client, topic); err != nil {
					t.Fatal(err)
				}
			}
			if hit.Load() != 1 {
				t.Fatalf("%d hits", hit.Load())
			}
		})
	}
}

// send produces one record on a connection of its own.
func send(t *testing.T, addr, client, topic string) (*kmsg.ProduceResponse, error) {
	t.Helper()
	nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	ok(t, err)
	defer nc.Close()
	ok(t, nc.SetDeadline(time.Now().Add(10*time.Second)))
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks = 9, -1
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: plainly("v").raw()}}}}
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID(client)).AppendRequest(nil, req, 1)
	_, err = nc.Write(frame)
	ok(t, err)
	raw, err := readToken(nc)
	if err != nil {
		return nil, err
	}
	response := kmsg.NewPtrProduceResponse()
	response.Version = 9
	return response, response.ReadFrom(raw[5:]) // correlation, tags
}

// TestHooksTapMetrics: every request is counted with its time, and bytes by client.
func TestHooksTapMetrics(t *testing.T) {
	var mu sync.Mutex
	kinds := map[string]int{}
	var produced, fetched int
	_, addr := start(t, disk.NewMemory(), func(o *Options) {
		o.Hooks.Done = func(r Request, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			if took < 0 || took > time.Minute || r.Version < 0 {
				t.Errorf("%+v took %v", r, took)
			}
			if kinds[r.Kind]++; r.Client != "metered" {
				t.Errorf("client %q", r.Client)
			}
		}
		o.Hooks.Bytes = func(client string, in, out int) {
			mu.Lock()
			defer mu.Unlock()
			if produced, fetched = produced+in, fetched+out; client != "metered" {
				t.Errorf("client %q", client)
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cl := client(t, addr, kgo.ClientID("metered"), kgo.AllowAutoTopicCreation(), kgo.ConsumeTopics("t"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "t", NumPartitions: 1, ReplicationFactor: 1}}
	_, err := create.RequestWith(ctx, cl)
	ok(t, err)
	ok(t, cl.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: make([]byte, 5000)}).FirstErr())
	if got := cl.PollFetches(ctx); got.NumRecords() != 1 {
		t.Fatalf("got %v", got.Err())
	}
	mu.Lock()
	defer mu.Unlock()
	if kinds["Produce"] == 0 || kinds["Fetch"] == 0 || kinds["CreateTopics"] != 1 || produced < 5000 || fetched < 5000 {
		t.Fatalf("requests %v, %d bytes produced, %d fetched", kinds, produced, fetched)
	}
}

// TestHookComesBetweenOffsetsAndMarkers: who asks in that moment sees the offsets of the transaction and not its records, and
// nobody is answered before the rest is there. A start in that moment makes up for it.
func TestHookComesBetweenOffsetsAndMarkers(t *testing.T) {
	to, source := at{"t", 0}, at{"u", 0}
	fs := disk.NewMemory()
	told, goOn := make(chan string, 1), make(chan struct{})
	s := tell(t, fs, func(o *Options) {
		o.Hooks.Decided = func(ctx context.Context, id string, commit bool) {
			told <- fmt.Sprint(id, " ", commit)
			select {
			case <-goOn:
			case <-ctx.Done():
			}
		}
	})
	s.create("t", 1, nil)
	s.create("u", 1, nil)
	p := s.transaction("x", "v", to)
	ok(t, s.commitOffsetIn(5, "x", p, "g", source, 7))
	answered := make(chan error, 1)
	go func() {
		_, err := s.end(5, "x", p, true)
		answered <- err
	}()
	select {
	case got := <-told:
		if got != "x true" {
			t.Fatalf("the hook is told %q", got)
		}
	case err := <-answered:
		t.Fatalf("answered, and the hook was not told: %v", err)
	}
	between := func(s *story, records ...string) {
		t.Helper()
		s.has(to, records...)
		if got, err := s.committedOffset("g", source); err != nil || got != 7 {
			t.Fatalf("the group has offset %d, %v", got, err)
		}
	}
	between(s)
	select {
	case err := <-answered:
		t.Fatalf("answered ahead of the markers: %v", err)
	default:
	}
	for range 2 {
		after := tell(t, fs.PowerLoss(rand.New(rand.NewPCG(1, 1))))
		between(after, "v")
		after.over()
		ok(t, s.s.checkpoint())
	}
	close(goOn)
	ok(t, <-answered)
	between(s, "v")
	s.over()
}
