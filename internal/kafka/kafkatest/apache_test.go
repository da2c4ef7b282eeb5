package kafkatest_test

import (
	"testing"

	"ravenswood.dev/internal/kafka/kafkatest"
	"ravenswood.dev/test/kafka/apache"
)

// TestConformanceOfApacheKafka is the test of the list itself: Apache Kafka is right.
func TestConformanceOfApacheKafka(t *testing.T) {
	kafka := apache.ForTest(t, "the list on Apache Kafka takes a minute", apache.Options{})
	report(t, kafkatest.Run(t, kafkatest.Target{
		Name: "apache",
		Seed: kafka.Addrs()[0],
		SASL: &kafkatest.SASL{Seed: kafka.SASLAddrs()[0], User: apache.AdminUser, Password: apache.AdminPassword},
		Restart: func(t testing.TB) {
			if err := kafka.Kill(1); err != nil {
				t.Fatal(err)
			}
			if err := kafka.Restart(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		},
	}))
}
