package kafka

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func TestOffsetsAreAskedForAgainBetweenTwoLeaders(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails error
		times int // so often, then it answers
		asked int
		err   error
	}{
		{"a leader that knows itself", nil, 0, 1, nil},
		{"a new leader that does not yet", kerr.NotLeaderForPartition, 3, 4, nil},
		{"no leader for a while", kerr.LeaderNotAvailable, 50, 51, nil},
		{"no leader for too long", kerr.LeaderNotAvailable, 1 << 20, 202, kerr.LeaderNotAvailable},
		{"no such topic", kerr.UnknownTopicOrPartition, 1, 1, kerr.UnknownTopicOrPartition},
		{"not allowed", kerr.TopicAuthorizationFailed, 1, 1, kerr.TopicAuthorizationFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				_, err := listLed(t.Context(), func(context.Context, ...string) (kadm.ListedOffsets, error) {
					o := kadm.ListedOffset{Topic: "a"}
					if asked++; asked <= c.times {
						o.Err = c.fails
					}
					return kadm.ListedOffsets{"a": {0: o}}, nil
				}, "a")
				if !errors.Is(err, c.err) || asked != c.asked {
					t.Errorf("asked %d times, %v", asked, err)
				}
			})
		})
	}
}
