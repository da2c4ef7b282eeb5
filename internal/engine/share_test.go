package engine

import (
	"testing"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/kafka/balance"
)

// TestATaskOnItsWayCounts: a key's partition is its hash modulo how many there are.
func TestATaskOnItsWayCounts(t *testing.T) {
	b := newBoard()
	task := func(n int32) kafka.Task { return kafka.Task{Stage: "s", Partition: n} }
	members := []kafka.Peer{
		{ID: "a", Process: "p", Host: "here", Duties: balance.Duties{Active: []kafka.Task{task(0), task(1)}}},
		{ID: "b", Process: "q", Host: "there", Duties: balance.Duties{Standby: []kafka.Task{task(1)}, WarmUp: []kafka.Task{task(2)}}},
	}
	b.post(members, "p")
	owners := b.owners["s"]
	if len(owners) != 3 || !owners[0].Active.Local || owners[1].Standbys[0].Address != "there" || owners[2].Active.ID != "" {
		t.Errorf("it knows %+v", owners)
	}
	if b.post(nil, "p"); len(b.owners) != 0 {
		t.Errorf("told nothing, it knows %+v", b.owners)
	}
}
