package apache_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/test/kafka/apache"
)

// three starts three brokers, or leaves the test out.
func three(t *testing.T) *apache.Cluster {
	t.Helper()
	c := apache.ForTest(t, "three brokers of Apache Kafka take a while", apache.Options{Brokers: 3})
	return c
}

func TestThreeBrokersGoOnWithoutOne(t *testing.T) {
	c := three(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.DefaultProduceTopic("events"), kgo.ProduceRequestTimeout(2*time.Second), kgo.RequestTimeoutOverhead(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 3, -1, nil, "events"); err != nil {
		t.Fatal(err)
	}
	produce := func(step string) {
		t.Helper()
		begun := time.Now()
		if err := client.ProduceSync(ctx, kgo.StringRecord(step)).FirstErr(); err != nil {
			t.Fatalf("produce %s: %v", step, err)
		}
		t.Logf("produced %s after %s", step, time.Since(begun).Round(time.Millisecond))
	}
	produce("with all")
	if err := c.Kill(1); err != nil {
		t.Fatal(err)
	}
	produce("without the first")
	if err := c.Restart(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Pause(2); err != nil {
		t.Fatal(err)
	}
	produce("while the second stands still")
	if err := c.Resume(2); err != nil {
		t.Fatal(err)
	}
	produce("with all again")
}

func TestTwoBrokersAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := apache.Start(t.Context(), apache.Options{Dir: t.TempDir(), Brokers: 2}); err == nil {
		t.Fatal("two brokers were started")
	}
}
