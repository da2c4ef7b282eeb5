package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/proof"
)

// watcher reads topics, read_committed, while all goes on, and remembers what it saw. What a reader has seen must stay
// where it was, and what it has passed over must never come.
type watcher struct {
	cfg      kafka.Config
	topics   []string
	findings *proof.Findings

	mu    sync.Mutex
	seed  maphash.Seed
	seen  map[kafka.TopicPartition][]sight // in the order of offsets; GUARDED_BY(mu)
	count sightings                        // GUARDED_BY(mu)
}

// sight is one record.
type sight struct {
	offset int64
	print  uint64
}

// sightings count what a reader must never notice.
type sightings struct {
	seen    int64
	gone    int64 // seen, and not there later, or another in its place
	late    int64 // not seen where it had been read already, and there later
	rewound int64 // seen again
}

func newWatcher(cfg kafka.Config, topics []string, f *proof.Findings) *watcher {
	return &watcher{cfg: cfg, topics: topics, findings: f, seed: maphash.MakeSeed(), seen: map[kafka.TopicPartition][]sight{}}
}

// run reads until ctx is done.
func (w *watcher) run(ctx context.Context) error {
	client, err := kgo.NewClient(append(w.cfg.Options(), impatient(),
		kgo.ConsumeTopics(w.topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond),
	)...)
	if err != nil {
		return fmt.Errorf("watch topics: %w", err)
	}
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		fetches.EachError(func(topic string, p int32, err error) {
			if strings.Contains(err.Error(), "data loss") {
				w.findings.Note("%s/%d: a reader was told of %v", topic, p, err)
			}
		})
		fetches.EachRecord(w.see)
	}
	return nil
}

func (w *watcher) see(r *kgo.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	seen := w.seen[at]
	if n := len(seen); n > 0 && r.Offset <= seen[n-1].offset {
		w.count.rewound++
		w.findings.Note("%s/%d: a reader got offset %d after %d", r.Topic, r.Partition, r.Offset, seen[n-1].offset)
		return
	}
	w.count.seen++
	w.seen[at] = append(seen, sight{r.Offset, w.print(r)})
}

func (w *watcher) print(r *kgo.Record) uint64 {
	return maphash.Bytes(w.seed, slices.Concat(r.Key, []byte{0}, r.Value))
}

// recall compares with what is there now: the records of a topic in the order of each partition's offsets.
func (w *watcher) recall(r *kgo.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	w.miss(at, r.Offset)
	seen := w.seen[at]
	switch {
	case len(seen) == 0: // behind all that was seen
	case seen[0].offset > r.Offset:
		w.count.late++
		w.findings.Note("%s/%d/%d: a reader that is at %d already never saw it", r.Topic, r.Partition, r.Offset, seen[0].offset)
	default:
		if seen[0].print != w.print(r) {
			w.count.gone++
			w.findings.Note("%s/%d/%d: a reader saw another record here", r.Topic, r.Partition, r.Offset)
		}
		w.seen[at] = seen[1:]
	}
}

// miss takes what was seen before an offset and is not there now; the caller holds mu.
func (w *watcher) miss(at kafka.TopicPartition, before int64) {
	for seen := w.seen[at]; len(seen) > 0 && seen[0].offset < before; seen = seen[1:] {
		w.count.gone++
		w.findings.Note("%s/%d/%d: a reader saw it, and now it is gone", at.Topic, at.Partition, seen[0].offset)
		w.seen[at] = seen[1:]
	}
}

// close counts what was seen behind the end, when all is recalled.
func (w *watcher) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at := range w.seen {
		w.miss(at, 1<<62)
	}
}

func (w *watcher) counts() sightings {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}
