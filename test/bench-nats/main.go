// Command bench-nats measures the other reference of `raven bench log`: NATS JetStream with a file store that syncs every
// write. It is a module of its own, since a second message broker is too heavy a dependency for a number.
//
// It publishes from one client over as many streams as our topic has partitions, without waiting for each answer, and
// prints one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// pendingMax is how many messages may be without an answer. More of them stall in the server and are slower.
const pendingMax = 4000

type options struct {
	dir      string
	messages int
	size     int
	streams  int
}

type result struct {
	MessagesPerS float64 `json:"messages_per_s"`
	Messages     int     `json:"messages"`
	Streams      int     `json:"streams"`
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "folder of the store")
	flag.IntVar(&o.messages, "messages", 50_000, "messages to publish")
	flag.IntVar(&o.size, "size", 100, "bytes of a message")
	flag.IntVar(&o.streams, "streams", 8, "streams to publish to in turn")
	flag.Parse()
	r, err := measure(context.Background(), o)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, o options) (*result, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	s, err := server.NewServer(&server.Options{
		ServerName: "bench", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: o.dir, SyncAlways: true,
	})
	if err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("start the server: not ready after 10 seconds")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(pendingMax))
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	subjects, err := streams(ctx, js, o.streams)
	if err != nil {
		return nil, err
	}
	took, err := publish(ctx, js, subjects, o)
	if err != nil {
		return nil, err
	}
	return &result{MessagesPerS: float64(o.messages) / took.Seconds(), Messages: o.messages, Streams: o.streams}, nil
}

// streams makes streams in files and returns their subjects.
func streams(ctx context.Context, js jetstream.JetStream, n int) ([]string, error) {
	subjects := make([]string, n)
	for i := range subjects {
		subjects[i] = fmt.Sprintf("bench.%d", i)
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: fmt.Sprintf("bench-%d", i), Subjects: subjects[i : i+1], Storage: jetstream.FileStorage,
		})
		if err != nil {
			return nil, fmt.Errorf("create stream %d: %w", i, err)
		}
	}
	return subjects, nil
}

// publish returns when every message was acknowledged. The client holds no more than pendingMax without an answer and waits
// when there are so many.
func publish(ctx context.Context, js jetstream.JetStream, subjects []string, o options) (time.Duration, error) {
	message := make([]byte, o.size)
	futures := make([]jetstream.PubAckFuture, 0, o.messages)
	start := time.Now()
	for i := range o.messages {
		f, err := js.PublishAsync(subjects[i%len(subjects)], message, jetstream.WithStallWait(time.Minute))
		if err != nil {
			return 0, fmt.Errorf("publish message %d: %w", i, err)
		}
		futures = append(futures, f)
	}
	for i, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return 0, fmt.Errorf("publish message %d: %w", i, err)
		case <-ctx.Done():
			return 0, fmt.Errorf("publish message %d: %w", i, ctx.Err())
		}
	}
	return time.Since(start), nil
}
