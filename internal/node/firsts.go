package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/lifecycle"
)

// firsts waits for the first committed record in each topic that audited topologies write, to tell how long a start
// takes until somebody gets something out of it.
type firsts struct {
	mu    sync.Mutex
	after map[string]time.Duration // by topic: from the start of the process
}

func (f *firsts) note(topic string, after time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, seen := f.after[topic]; !seen {
		f.after[topic] = after
	}
}

func (f *firsts) of(topic string) (after time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	after, ok = f.after[topic]
	return after, ok
}

func (f *firsts) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.after)
}

// watchFirsts reads the topics from where they end now, before anything runs that could write them.
func (n *Node) watchFirsts(ctx context.Context) error {
	n.firsts = &firsts{after: map[string]time.Duration{}}
	topics := n.auditedOutputs()
	if len(topics) == 0 {
		return nil
	}
	ends, err := n.endOffsets(ctx, topics)
	if err != nil {
		return fmt.Errorf("watch for first results: %w", err)
	}
	client, err := kgo.NewClient(append(n.kafka.Options(), kgo.ConsumePartitions(ends))...)
	if err != nil {
		return fmt.Errorf("watch for first results: %w", err)
	}
	return n.group.Start(ctx, lifecycle.Part{Name: "watch for first results", Run: func(ctx context.Context, ready func()) error {
		ready()
		n.readFirsts(ctx, client, len(topics))
		client.Close() // as soon as all are seen: it is only in the way then
		<-ctx.Done()
		return nil
	}})
}

func (n *Node) endOffsets(ctx context.Context, topics []string) (map[string]map[int32]kgo.Offset, error) {
	admin, err := kafka.NewAdmin(n.kafka)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	ends, err := admin.EndOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	from := map[string]map[int32]kgo.Offset{}
	for p, end := range ends {
		if from[p.Topic] == nil {
			from[p.Topic] = map[int32]kgo.Offset{}
		}
		from[p.Topic][p.Partition] = kgo.NewOffset().At(end)
	}
	return from, nil
}

func (n *Node) readFirsts(ctx context.Context, client *kgo.Client, topics int) {
	for ctx.Err() == nil && n.firsts.count() < topics {
		for r := range client.PollFetches(ctx).RecordsAll() {
			n.firsts.note(r.Topic, time.Since(n.options.Started))
		}
	}
}
