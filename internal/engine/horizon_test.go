package engine

import (
	"testing"
	"time"

	"ravenswood.dev/internal/kafka"
)

// A record waits for the log of the other inputs to be looked at after it came: what was seen before says nothing about
// what was written meanwhile.
func TestMoreIsOnTheLogUnlessALookAfterTheRecordSaysOtherwise(t *testing.T) {
	came := time.Unix(1000, 0)
	tp := kafka.TopicPartition{Topic: "other", Partition: 3}
	at := func(after time.Duration, end int64) *horizon {
		return &horizon{asked: came.Add(after), ends: map[kafka.TopicPartition]int64{tp: end}}
	}
	for _, c := range []struct {
		name        string
		horizon     *horizon
		next, begin int64
		more        wait
		wanted      bool
	}{
		{name: "nobody has looked", next: 5, more: untilLooked, wanted: true},
		{name: "looked before the record came", horizon: at(-time.Nanosecond, 5), next: 5, more: untilLooked, wanted: true},
		{name: "looked at the very moment", horizon: at(0, 5), next: 5, more: untilLooked, wanted: true},
		{name: "looked later, all is read", horizon: at(time.Nanosecond, 5), next: 5},
		{name: "looked later, one is not read", horizon: at(time.Nanosecond, 6), next: 5, more: untilRead},
		{name: "nothing was read, and the log begins at its end", horizon: at(time.Nanosecond, 9), next: -1, begin: 9},
		{name: "nothing was read, and the log holds one", horizon: at(time.Nanosecond, 9), next: -1, begin: 8, more: untilRead},
		{name: "looked later, its leader is away", horizon: &horizon{asked: came.Add(1)}, next: 5, more: untilLooked, wanted: true},
		{name: "an empty log", horizon: at(time.Nanosecond, 0), next: -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &Engine{wantHorizon: make(chan struct{}, 1)}
			e.horizon.Store(c.horizon)
			e.start.Store(&map[kafka.TopicPartition]int64{tp: c.begin})
			got := e.moreOn(&task{id: partition{tp.Topic, tp.Partition}, next: c.next}, came)
			if wanted := len(e.wantHorizon) == 1; got != c.more || wanted != c.wanted {
				t.Errorf("more %v, somebody sent to look %v; want %v and %v", got, wanted, c.more, c.wanted)
			}
		})
	}
}
