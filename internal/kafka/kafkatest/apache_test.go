package kafkatest_test

import (
	"os"
	"testing"

	"ravenswood.dev/internal/kafka/kafkatest"
	"ravenswood.dev/test/kafka/apache"
)

// TestConformanceOfApacheKafka is the test of the list itself: Apache Kafka is right.
func TestConformanceOfApacheKafka(t *testing.T) {
	required := os.Getenv("RAVEN_REQUIRE_KAFKA") == "1"
	if os.Getenv("RAVEN_KAFKA") != "1" && !required {
		t.Skip("SKIPPED, NOT TESTED: the list on Apache Kafka takes a minute (RAVEN_KAFKA=1; needs Java 17 and Maven)")
	}
	if err := apache.Missing(); err != nil && required {
		t.Fatalf("RAVEN_REQUIRE_KAFKA=1 and there is no Apache Kafka: %v", err)
	} else if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: there is no Apache Kafka: %v", err)
	}
	kafka, err := apache.Start(t.Context(), apache.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kafka.Close() }) // the process ends with the test anyway
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
