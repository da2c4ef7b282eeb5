package node

import (
	"context"
	"errors"
	"strings"
	"time"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// Observe asks a cluster what it has, for a plan of what running the files would change.
func Observe(ctx context.Context, cfg kafka.Config) (topology.Observed, error) {
	seen, err := look(ctx, cfg, true)
	if err == nil {
		countRecords(ctx, cfg, seen)
	}
	return seen, err
}

// look is Observe without what only people want to know.
func look(ctx context.Context, cfg kafka.Config, stores bool) (topology.Observed, error) {
	seen := topology.Observed{Topics: map[string]topology.ObservedTopic{}, Groups: map[string]string{}}
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return seen, err
	}
	defer admin.Close()
	topics, err1 := admin.Topics(ctx)
	groups, err2 := admin.Groups(ctx)
	for name, t := range topics {
		seen.Topics[name] = topology.ObservedTopic{Partitions: t.Partitions, Config: t.Config}
	}
	for _, g := range groups {
		seen.Groups[g.Name] = g.State
	}
	if _, there := topics[StateTopic]; !there || !stores {
		return seen, errors.Join(err1, err2)
	}
	rows, err3 := readState(ctx, cfg)
	seen.Stores = storesOf(rows)
	return seen, errors.Join(err1, err2, err3)
}

// countPatience is how long a plan waits for numbers that it can do without.
const countPatience = 5 * time.Second

// countRecords notes how many records topics hold: the offsets they span, which of a compacted one is more than there
// are. A cluster that does not say leaves it open.
func countRecords(ctx context.Context, cfg kafka.Config, seen topology.Observed) {
	ctx, cancel := context.WithTimeout(ctx, countPatience)
	defer cancel()
	var names []string
	for name := range seen.Topics {
		if !strings.HasPrefix(name, "_") {
			names = append(names, name)
		}
	}
	held, err := spans(ctx, cfg, names)
	if err != nil {
		if cfg.Log != nil {
			cfg.Log.Warn("topics do not say how many records they hold", "err", err)
		}
		return
	}
	for name, n := range held {
		t := seen.Topics[name]
		t.Records = n
		seen.Topics[name] = t
	}
}

// spans is how many offsets lie between the start and the end of topics.
func spans(ctx context.Context, cfg kafka.Config, topics []string) (map[string]int64, error) {
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	starts, err1 := admin.StartOffsets(ctx, topics...)
	ends, err2 := admin.EndOffsets(ctx, topics...)
	held := map[string]int64{}
	for tp, end := range ends {
		held[tp.Topic] += max(end-starts[tp], 0)
	}
	return held, errors.Join(err1, err2)
}
