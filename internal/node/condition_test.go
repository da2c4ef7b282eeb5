package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestADamagedPartitionIsACondition: what stands in the status is what the broker refuses, and the numbers agree.
func TestADamagedPartitionIsACondition(t *testing.T) {
	data := t.TempDir()
	o := Options{Data: data, Listen: "127.0.0.1:0", Broker: BrokerOptions{Partitions: 1, Settings: []string{"auto.create.topics.enable=true"}}}
	produceOne(t, o)
	logs, err := filepath.Glob(filepath.Join(data, "log", "topics", "t", "*", "0", "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("%v, %v", logs, err)
	}
	raw, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	if err := os.WriteFile(logs[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	numbers := newBrokerNumbers()
	b, err := startBroker(t.Context(), o, numbers.tap())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	numbers.broker = b
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepRetryableFetchErrors())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.PollFetches(t.Context()).Err(); err == nil {
		t.Fatal("a damaged partition was read")
	}
	all := conditions(b)
	if len(all) != 1 || all[0].Code != "broker-partition-damaged" || !strings.Contains(all[0].Title, "t/0") || !strings.Contains(all[0].Hint, "raven doctor") {
		t.Fatalf("got %+v", all)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(numbers)
	seen := map[string]float64{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			seen[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	if seen["raven_broker_fenced_partitions"] != 1 || seen["raven_broker_requests_total"] == 0 {
		t.Errorf("numbers: %v", seen)
	}
}

// produceOne leaves one record in topic "t".
func produceOne(t *testing.T, o Options) {
	t.Helper()
	b, err := StartBroker(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	cl.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
