package broker_test

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
)

// frame is a request's length, API key, version and correlation id.
func frame(size uint32, key, version int16) []byte {
	b := binary.BigEndian.AppendUint32(nil, size)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	return binary.BigEndian.AppendUint32(b, 1)
}

// TestBadFramesCloseTheirConnectionAndNothingElse: without the guard the first of them ends the process.
func TestBadFramesCloseTheirConnectionAndNothingElse(t *testing.T) {
	b := start(t, options(t.TempDir()))
	cases := []struct {
		name string
		sent []byte
	}{
		{"unknown API key", frame(100, 9999, 0)},
		{"negative API key", frame(100, -2, 0)},
		{"length of 4 GB", frame(0xffffffff, 0, 9)},
		{"length of 0", frame(0, 0, 0)},
		{"an HTTP request", []byte("POST /topics HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"a TLS hello", []byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 1, 2, 3}},
		{"metadata that cannot be parsed", append(frame(8+6, 3, 12), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, io.ErrNoProgress) || isTimeout(err) {
				t.Fatalf("read %d bytes, %v; want a closed connection", n, err)
			}
			produce(t, connect(t, b.Addr(), kgo.AllowAutoTopicCreation()), "alive", c.name)
		})
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// BenchmarkGuard compares the throughput of the broker with that of the bare cluster.
func BenchmarkGuard(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(b.TempDir()), kfake.SeedTopics(8, "t"))
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		pump(b, c.ListenAddrs()[0])
	})
	b.Run("guarded", func(b *testing.B) {
		k, err := broker.Start(b.Context(), broker.Options{Dir: filepath.Join(b.TempDir(), "d"), Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		defer k.Close()
		pump(b, k.Addr())
	})
}

// pump produces records of 1 KiB as fast as it can.
func pump(b *testing.B, addr string) {
	b.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	value := []byte(strings.Repeat("x", 1024))
	if err := client.ProduceSync(b.Context(), &kgo.Record{Topic: "t", Value: value}).FirstErr(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(value)))
	var done sync.WaitGroup
	for b.Loop() {
		done.Add(1)
		client.Produce(b.Context(), &kgo.Record{Topic: "t", Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
			done.Done()
		})
	}
	done.Wait()
}
