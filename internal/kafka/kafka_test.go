package kafka_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/kafka"
)

// start runs a broker for the test and returns how to reach it.
func start(t *testing.T) kafka.Config {
	t.Helper()
	b, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return kafka.Config{Brokers: []string{b.Addr()}, Log: slog.New(slog.DiscardHandler)}
}

// connect makes a plain client with further options.
func connect(t *testing.T, cfg kafka.Config, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(cfg.Options(), more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func createTopic(t *testing.T, cfg kafka.Config, name string, partitions int32, config map[string]string) {
	t.Helper()
	settings := map[string]*string{}
	for k, v := range config {
		settings[k] = &v
	}
	resp, err := kadm.NewClient(connect(t, cfg)).CreateTopic(t.Context(), partitions, 1, settings, name)
	if err != nil || resp.Err != nil {
		t.Fatal(err, resp.Err)
	}
}

func produce(t *testing.T, client *kgo.Client, topic string, partition int32, values ...string) {
	t.Helper()
	for _, v := range values {
		r := &kgo.Record{Topic: topic, Partition: partition, Key: []byte("k"), Value: []byte(v)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func begin(t *testing.T, client *kgo.Client) {
	t.Helper()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
}

func end(t *testing.T, client *kgo.Client, commit kgo.TransactionEndTry) {
	t.Helper()
	if err := client.EndTransaction(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
}

// within bounds a test's patience.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
