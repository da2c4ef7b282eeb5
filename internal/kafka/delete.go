package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// DeleteTopics deletes topics with all they hold and returns when no broker that answers knows them any more, so that
// they can be made anew. One that is gone already is fine. All problems come back at once, joined; topics without one
// are deleted. Topics and EnsureTopics of this Admin may speak of them for some seconds more, those of one made afterwards do
// not.
func (a *Admin) DeleteTopics(ctx context.Context, topics ...string) error {
	if len(topics) == 0 {
		return nil
	}
	resp, err := a.admin.DeleteTopics(ctx, topics...)
	if err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	var problems []error
	for _, t := range resp.Sorted() {
		if t.Err != nil && !errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
			problems = append(problems, fmt.Errorf("delete topic %q: %w", t.Topic, answered(t.Err, t.ErrMessage)))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return a.awaitGone(ctx, topics)
}

// awaitGone waits until the deletion has come to every broker: one that still knows a topic would take it for made.
func (a *Admin) awaitGone(ctx context.Context, topics []string) error {
	for {
		brokers, err := a.admin.ListBrokers(ctx)
		if err != nil {
			return fmt.Errorf("list brokers: %w", err)
		}
		left := false
		for _, b := range brokers {
			left = left || a.remembers(ctx, b.NodeID, topics)
		}
		if !left {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait for the end of deleted topics: %w", err)
		}
	}
}

// remembers asks one broker.
func (a *Admin) remembers(ctx context.Context, broker int32, topics []string) bool {
	resp, err := a.metadataOf(ctx, broker, topics)
	if err != nil {
		return false
	}
	for _, t := range resp.Topics {
		if !errors.Is(kerr.ErrorForCode(t.ErrorCode), kerr.UnknownTopicOrPartition) {
			return true
		}
	}
	return false
}
