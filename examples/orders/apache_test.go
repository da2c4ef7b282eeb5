package main

import (
	"os"
	"testing"

	"ravenswood.dev/test/kafka/apache"
)

// TestTheSameOnApacheKafka does everything on an Apache Kafka each: what only the embedded broker would bear is no example.
func TestTheSameOnApacheKafka(t *testing.T) {
	required := os.Getenv("RAVEN_REQUIRE_KAFKA") == "1"
	if os.Getenv("RAVEN_KAFKA") != "1" && !required {
		t.Skip("SKIPPED, NOT TESTED: the example on Apache Kafka takes half a minute (RAVEN_KAFKA=1; needs Java 17 and Maven)")
	}
	if err := apache.Missing(); err != nil && required {
		t.Fatalf("RAVEN_REQUIRE_KAFKA=1 and there is no Apache Kafka: %v", err)
	} else if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: there is no Apache Kafka: %v", err)
	}
	for name, do := range map[string]func(*testing.T, *world){
		"the story": tellStory, "stopped and started in the middle": stopInTheMiddle, "killed between charge and commit": killBetween,
	} {
		t.Run(name, func(t *testing.T) {
			kafka, err := apache.Start(t.Context(), apache.Options{Dir: t.TempDir()})
			must(t, err)
			defer func() { _ = kafka.Close() }() // it ends with the test anyway
			do(t, newWorld(t, kafka.Addrs()...))
		})
	}
}
