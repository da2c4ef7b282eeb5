package broker

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

const (
	retainEvery   = time.Minute // between two removals
	retainTimeout = 30 * time.Second
)

// never, in milliseconds, is when the cluster cleans by itself: fifty years.
const never = "1577847600000"

// retain removes what is past its topic's retention.ms, until ctx is done.
//
// The cluster has a cleaner of its own, which removes and compacts. It is switched off, because it can lose records that
// the platform relies on. Its compaction looks above the last stable offset, so an open transaction that is then
// aborted takes the last committed value of a key with it, and it deletes the old files before it writes the new
// ones, so a kill between the two loses the keys for good. Its retention also empties topics that are only
// compacted, where retention.ms must not count. So compacted topics only grow here; readers fold them by key anyway.
func retain(ctx context.Context, admin *kadm.Client, log *slog.Logger) {
	ticker := time.NewTicker(retainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if err := removeExpired(ctx, admin, now); err != nil && ctx.Err() == nil {
				log.Warn("old records could not be removed", "err", err)
			}
		}
	}
}

func removeExpired(ctx context.Context, admin *kadm.Client, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, retainTimeout)
	defer cancel()
	retentions, err := retentionsOf(ctx, admin)
	if err != nil || len(retentions) == 0 {
		return err
	}
	for retention, topics := range retentions {
		if err := removeBefore(ctx, admin, now.Add(-retention), topics); err != nil {
			return err
		}
	}
	return nil
}

// retentionsOf returns the topics whose records expire, by how long they are kept.
func retentionsOf(ctx context.Context, admin *kadm.Client) (map[time.Duration][]string, error) {
	details, err := admin.ListTopics(ctx)
	if err != nil || len(details) == 0 {
		return nil, err
	}
	configs, err := admin.DescribeTopicConfigs(ctx, details.Names()...)
	if err != nil {
		return nil, err
	}
	retentions := map[time.Duration][]string{}
	for _, c := range configs {
		if keep, expires := retentionOf(c); expires {
			retentions[keep] = append(retentions[keep], c.Name)
		}
	}
	return retentions, nil
}

func retentionOf(c kadm.ResourceConfig) (keep time.Duration, expires bool) {
	policy, millis := "delete", int64(-1)
	for _, entry := range c.Configs {
		switch entry.Key {
		case "cleanup.policy":
			policy = entry.MaybeValue()
		case "retention.ms":
			if n, err := strconv.ParseInt(entry.MaybeValue(), 10, 64); err == nil {
				millis = n
			}
		}
	}
	const longest = int64(1<<63-1) / int64(time.Millisecond)
	expires = c.Err == nil && strings.Contains(policy, "delete") && millis >= 0 && millis < longest
	return time.Duration(millis) * time.Millisecond, expires
}

// removeBefore deletes the records in front of the first that is young enough, decided ones only.
func removeBefore(ctx context.Context, admin *kadm.Client, cutoff time.Time, topics []string) error {
	young, err := admin.ListOffsetsAfterMilli(ctx, cutoff.UnixMilli(), topics...)
	if err != nil {
		return err
	}
	starts, err := admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return err
	}
	stable, err := admin.ListCommittedOffsets(ctx, topics...)
	if err != nil {
		return err
	}
	doomed := kadm.Offsets{}
	young.Each(func(o kadm.ListedOffset) {
		start, ok1 := starts.Lookup(o.Topic, o.Partition)
		end, ok2 := stable.Lookup(o.Topic, o.Partition)
		if to := min(o.Offset, end.Offset); o.Err == nil && ok1 && ok2 && start.Err == nil && end.Err == nil && to > start.Offset {
			doomed.AddOffset(o.Topic, o.Partition, to, -1)
		}
	})
	if len(doomed) == 0 {
		return nil
	}
	deleted, err := admin.DeleteRecords(ctx, doomed)
	if err != nil {
		return err
	}
	return deleted.Error()
}
