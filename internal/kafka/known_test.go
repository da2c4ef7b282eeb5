package kafka

import (
	"errors"
	"maps"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// One partition without a leader must not keep what the others say from those who read them.
func TestEndsAreKnownOfThePartitionsThatAnswer(t *testing.T) {
	a, b := kadm.ListedOffset{Topic: "t", Partition: 0, Offset: 7}, kadm.ListedOffset{Topic: "t", Partition: 1, Offset: 9}
	away := b
	away.Err = kerr.LeaderNotAvailable
	listed := func(all ...kadm.ListedOffset) kadm.ListedOffsets {
		l := kadm.ListedOffsets{"t": {}}
		for _, o := range all {
			l["t"][o.Partition] = o
		}
		return l
	}
	first, second := TopicPartition{"t", 0}, TopicPartition{"t", 1}
	for _, c := range []struct {
		name   string
		listed kadm.ListedOffsets
		err    error
		ends   map[TopicPartition]int64
		all    bool
		failed bool
	}{
		{"all answer", listed(a, b), nil, map[TopicPartition]int64{first: 7, second: 9}, true, false},
		{"one has no leader", listed(a, away), nil, map[TopicPartition]int64{first: 7}, false, false},
		{"one broker is away", listed(a), &kadm.ShardErrors{}, map[TopicPartition]int64{first: 7}, false, false},
		{"all brokers are away", listed(), &kadm.ShardErrors{AllFailed: true}, nil, false, true},
		{"the cluster can't be asked", nil, errors.New("no route"), nil, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ends, all, err := known(c.listed, c.err)
			if !maps.Equal(ends, c.ends) || all != c.all || (err != nil) != c.failed {
				t.Errorf("ends %v, all %v, error %v; want %v, %v and one: %v", ends, all, err, c.ends, c.all, c.failed)
			}
		})
	}
}
