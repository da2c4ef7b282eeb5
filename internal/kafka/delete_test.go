package kafka_test

import (
	"testing"
	"time"

	"ravenswood.dev/internal/kafka"
)

// TestDeletedTopicsCanBeMadeAnewAtOnce: with another number of partitions, and under another id of the cluster's.
func TestDeletedTopicsCanBeMadeAnewAtOnce(t *testing.T) {
	cluster, ctx := start(t), within(t, 10*time.Second)
	a := admin(t, cluster)
	wishes := []kafka.TopicWish{{Name: "old", Partitions: 2}, {Name: "other", Partitions: 1}}
	if _, err := a.EnsureTopics(ctx, wishes); err != nil {
		t.Fatal(err)
	}
	before, err := a.Topics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteTopics(ctx, "old", "never"); err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteTopics(ctx); err != nil {
		t.Errorf("no topics: %v", err)
	}
	a = admin(t, cluster)
	if made, err := a.EnsureTopics(ctx, []kafka.TopicWish{{Name: "old", Partitions: 5}}); err != nil || len(made) != 1 {
		t.Fatalf("made %v, %v", made, err)
	}
	after, err := a.Topics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if after["old"].Partitions != 5 || after["old"].ID == before["old"].ID || after["other"].ID != before["other"].ID {
		t.Errorf("before %+v, after %+v", before, after)
	}
}
