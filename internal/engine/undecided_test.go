package engine

import (
	"testing"
	"time"

	"ravenswood.dev/internal/kafka"
)

func TestATransactionIsOpenWhileNothingBehindItIsStable(t *testing.T) {
	type ends = map[kafka.TopicPartition]int64
	a, b := kafka.TopicPartition{Topic: "a"}, kafka.TopicPartition{Topic: "b", Partition: 3}
	begin := time.Unix(1000, 0)
	var u undecided
	for _, step := range []struct {
		name        string
		at          time.Duration
		end, stable ends
		want        *OpenTransaction
	}{
		{"everything is decided", 0, ends{a: 5, b: 7}, ends{a: 5, b: 7}, nil},
		{"more came before the stable offset was asked for", time.Second, ends{a: 5, b: 7}, ends{a: 6, b: 7}, nil},
		{"one is open from the first offset on", 2 * time.Second, ends{a: 6, b: 2}, ends{a: 6, b: 0}, &OpenTransaction{"b", 3, 0, 0}},
		{"it is still open", 4 * time.Second, ends{a: 6, b: 9}, ends{a: 6, b: 0}, &OpenTransaction{"b", 3, 0, 2 * time.Second}},
		{"there is a younger one", 5 * time.Second, ends{a: 8, b: 9}, ends{a: 7, b: 0}, &OpenTransaction{"b", 3, 0, 3 * time.Second}},
		{"the older one was decided, and another was open behind it", 6 * time.Second, ends{a: 8, b: 9}, ends{a: 7, b: 4}, &OpenTransaction{"a", 0, 7, time.Second}},
		{"a partition is not known of now", 7 * time.Second, ends{a: 8, b: 9}, ends{b: 4}, &OpenTransaction{"b", 3, 4, time.Second}},
		{"all are decided", 8 * time.Second, ends{a: 9, b: 9}, ends{a: 9, b: 9}, nil},
		{"a new one at the same place is another", 9 * time.Second, ends{a: 10, b: 9}, ends{a: 9, b: 9}, &OpenTransaction{"a", 0, 9, 0}},
	} {
		now := begin.Add(step.at)
		u.note(step.end, step.stable, now)
		got := u.oldest(now)
		if (got == nil) != (step.want == nil) || got != nil && *got != *step.want {
			t.Errorf("%s: %+v, want %+v", step.name, got, step.want)
		}
	}
}
