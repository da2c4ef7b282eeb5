package config

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What passes the checks makes sense, and whatever comes is described without a panic.
func FuzzCheckTopic(f *testing.F) {
	for _, d := range Topics() {
		f.Add(d.Name, d.Default)
	}
	f.Add("cleanup.policy", ",compact,,delete")
	f.Add("min.cleanable.dirty.ratio", "1e-400")
	f.Fuzz(func(t *testing.T, name, value string) {
		set := map[string]string{name: value}
		if CheckTopic(set) != nil {
			return
		}
		got := Sources{}.Topic(set)
		if !got.Delete && !got.Compact || got.SegmentBytes < 14 || got.MaxMessageBytes < 0 || got.DirtyRatio < 0 || got.DirtyRatio > 1 ||
			got.SegmentAge <= 0 || got.CompactionLagMax <= 0 || got.DeleteRetention < 0 || got.TimestampAfter < 0 || got.TimestampBefore < 0 {
			t.Errorf("%s=%q makes %+v", name, value, got)
		}
		w := world(map[string]map[string]string{"t": set})
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "t"
		if answer := w.Describe(r, true, true); answer.ErrorCode != 0 || len(answer.Configs) != len(topicDefinitions()) {
			t.Errorf("described as %+v", answer)
		}
	})
}
