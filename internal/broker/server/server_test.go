package server

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker/disk"
)

// start runs a server over fs and returns its address. It is closed at the end of the test.
func start(t *testing.T, fs disk.FS, change ...func(*Options)) (*Server, string) {
	t.Helper()
	o := Options{FS: fs, ReserveBytes: -1}
	for _, c := range change {
		c(&o)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln, Listener{}) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, ln.Addr().String()
}

func client(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func timeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestProduceAndConsume(t *testing.T) {
	for _, fs := range []struct {
		name string
		fs   disk.FS
	}{{"memory", disk.NewMemory()}, {"files", disk.OS(t.TempDir())}} {
		t.Run(fs.name, func(t *testing.T) {
			_, addr := start(t, fs.fs)
			ctx := timeout(t)
			cl := client(t, addr, kgo.ConsumeTopics("orders"), kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			if _, err := kadm.NewClient(cl).CreateTopic(ctx, 4, 1, nil, "orders"); err != nil {
				t.Fatal(err)
			}
			const n = 1000
			for i := range n {
				cl.Produce(ctx, &kgo.Record{Topic: "orders", Key: fmt.Append(nil, i), Value: fmt.Append(nil, "v", i)}, nil)
			}
			if err := cl.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for len(got) < n {
				fetches := cl.PollFetches(ctx)
				if err := fetches.Err(); err != nil {
					t.Fatal(err)
				}
				fetches.EachRecord(func(r *kgo.Record) { got[string(r.Key)] = string(r.Value) })
			}
			if got["7"] != "v7" {
				t.Fatalf("got %q", got["7"])
			}
			if err := cl.CommitUncommittedOffsets(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
}
