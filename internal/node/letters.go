package node

import (
	"cmp"
	"context"
	"sync"
	"time"

	"ravenswood.dev/internal/deadletter"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/lifecycle"
	"ravenswood.dev/internal/topology"
)

// letters knows how many dead letters wait in each topology's topic, for the status. The topics are read again only
// when they have grown.
type letters struct {
	plans []*topology.Plan
	kafka kafka.Config

	mu      sync.Mutex
	waiting map[string]int // by topology; GUARDED_BY(mu)
}

const lettersEvery = 2 * time.Second

func (n *Node) startLetters(ctx context.Context) error {
	n.letters = &letters{plans: n.plans, kafka: n.kafka, waiting: map[string]int{}}
	if len(n.plans) == 0 {
		return nil
	}
	return n.group.Start(ctx, lifecycle.Part{Name: "dead letters", Run: func(ctx context.Context, ready func()) error {
		ready()
		return n.letters.watch(ctx)
	}})
}

// watch counts until ctx is done. A cluster that does not answer leaves the last numbers: whoever works on it says so.
func (l *letters) watch(ctx context.Context) error {
	admin, err := kafka.NewAdmin(l.kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	ends := make(map[string]int64)
	tick := time.NewTicker(lettersEvery)
	defer tick.Stop()
	for {
		for _, p := range l.plans {
			l.look(ctx, admin, p, ends)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (l *letters) look(ctx context.Context, admin *kafka.Admin, p *topology.Plan, ends map[string]int64) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stable, err := admin.StableOffsets(ctx, p.DeadLetters)
	if err != nil {
		return
	}
	end := int64(0)
	for _, at := range stable {
		end += at
	}
	if end == ends[p.Name] {
		return
	}
	store := deadletter.New(deadletter.Options{Kafka: l.kafka, Topology: p.Name, Topic: p.DeadLetters, Replay: p.Replay})
	counts, err := store.Counts(ctx)
	if err != nil {
		return
	}
	ends[p.Name] = end
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting[p.Name] = counts[deadletter.Waiting]
}

// ReplayTopics gives the topics through which dead letters of a topology come back, by the spout they came in by. There are
// none of a topology without state: all of its letters come back through one.
func ReplayTopics(ctx context.Context, cfg kafka.Config, name string) (map[string]string, error) {
	rows, err := readState(ctx, cfg)
	if err != nil {
		return nil, err
	}
	_, stages, err := remembered(rows, name)
	_, shared := topology.DeadLetterTopics(name)
	topics := map[string]string{}
	for _, st := range stages {
		for _, in := range st.Inputs {
			topics[in.Name] = cmp.Or(st.Replay, shared)
		}
	}
	return topics, err
}

// of tells how many letters of a topology wait.
func (l *letters) of(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting[name]
}
