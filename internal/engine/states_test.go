package engine

import (
	"testing"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/topology"
)

func TestHowManyStatesMayBeOpenOnDisk(t *testing.T) {
	logged := func(name string, memory bool) topology.Store {
		return topology.Store{Spec: store.Spec{Name: name, Memory: memory}, Changelog: name}
	}
	p := &topology.Plan{
		Stages: []topology.Stage{
			{Name: "none", Partitions: 9},
			{Name: "memory", Partitions: 9, Stores: []topology.Store{logged("m", true)}},
			{Name: "grown", Partitions: 2, Stores: []topology.Store{logged("m", true), logged("g", false)}},
			{Name: "no log", Partitions: 3, Stores: []topology.Store{{Spec: store.Spec{Name: "u"}}}},
		},
		Globals: []topology.Global{{Name: "a"}, {Name: "b", Store: store.Spec{Memory: true}}},
	}
	if got, want := mostOnDisk(p, map[string]int{"m": 9, "g": 6}), 6+3+1; got != want {
		t.Errorf("%d, want %d", got, want)
	}
}
