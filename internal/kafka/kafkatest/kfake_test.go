package kafkatest_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"ravenswood.dev/internal/kafka/kafkatest"
)

// TestConformanceOfKfake shows what the list finds in a broker that is meant for tests only.
func TestConformanceOfKfake(t *testing.T) {
	p := startProcess(t, "kfake")
	report(t, kafkatest.Run(t, kafkatest.Target{Name: "kfake", Seed: p.addr(0), Restart: p.restart}))
}

func beginKfake(p *process) error {
	_, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(p.ports[0]), kfake.DataDir(p.dir), kfake.AllowAutoTopicCreation(),
		kfake.BrokerConfigs(map[string]string{"group.min.session.timeout.ms": "500", "log.cleaner.backoff.ms": "200"}))
	return err
}
