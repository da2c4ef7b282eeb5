package all_test

import (
	"slices"
	"testing"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/all"
)

// TestTheListIsComplete names every component a second time, so that one cannot go missing unnoticed.
func TestTheListIsComplete(t *testing.T) {
	want := map[component.Kind][]string{
		component.KindSpout: {"file", "generate", "topic"},
		component.KindBolt:  {"aggregate", "branch", "call", "deduplicate", "filter", "log", "rekey", "stream-join", "table", "table-join", "transform", "window"},
		component.KindSink:  {"file", "sql", "topic"},
	}
	reg := all.Components()
	for kind, names := range want {
		if got := reg.Names(kind); !slices.Equal(got, names) {
			t.Errorf("%ss are %v, want %v", kind, got, names)
		}
	}
}
