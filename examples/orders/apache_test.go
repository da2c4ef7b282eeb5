package main

import (
	"testing"

	"ravenswood.dev/test/kafka/apache"
)

// TestTheSameOnApacheKafka does everything on an Apache Kafka each: what only the embedded broker would bear is no example.
func TestTheSameOnApacheKafka(t *testing.T) {
	apache.Wanted(t, "the example on Apache Kafka takes half a minute")
	for name, do := range map[string]func(*testing.T, *world){
		"the story": tellStory, "stopped and started in the middle": stopInTheMiddle, "killed between charge and commit": killBetween,
	} {
		t.Run(name, func(t *testing.T) {
			kafka := apache.ForTest(t, "a cluster for each story", apache.Options{})
			do(t, newWorld(t, kafka.Addrs()...))
		})
	}
}
