package engine

import (
	"maps"
	"testing"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// TestOnlyWhatIsCommittedOfRepartitionTopicsIsPurged: what lies above it is still needed, and other topics are the user's.
func TestOnlyWhatIsCommittedOfRepartitionTopicsIsPurged(t *testing.T) {
	e := &Engine{board: newBoard(), plan: &topology.Plan{Inputs: []topology.Input{{Topic: "orders"}, {Topic: "t.by.repartition", Repartition: true}}}}
	at := func(n int32) kafka.TopicPartition {
		return kafka.TopicPartition{Topic: "t.by.repartition", Partition: n}
	}
	e.board.note(kafka.Offsets{"orders": {0: 100}, "t.by.repartition": {0: 7, 1: 3, 2: 5}})
	e.board.drop(partition{"t.by.repartition", 2}) // somebody else's now
	purged := map[kafka.TopicPartition]int64{at(0): 4, at(1): 3}
	if due, want := e.purgeable(purged), map[kafka.TopicPartition]int64{at(0): 7}; !maps.Equal(due, want) {
		t.Errorf("due is %v; want %v", due, want)
	}
}
