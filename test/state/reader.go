package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/stream"
	"ravenswood.dev/test/proof"
)

// reader reads the outputs, read_committed, while all goes on, and has every record checked. It reads past all proxies.
type reader struct {
	client   *kgo.Client
	findings *proof.Findings

	mu    sync.Mutex
	audit *audit                         // GUARDED_BY(mu)
	last  map[kafka.TopicPartition]int64 // GUARDED_BY(mu)
	came  time.Time                      // when there was something to read last; GUARDED_BY(mu)
	still time.Duration                  // the longest time without; GUARDED_BY(mu)
}

func newReader(cfg kafka.Config, f *proof.Findings) (*reader, error) {
	client, err := kgo.NewClient(append(cfg.Options(), kgo.ConsumeTopics(topicPostings, topicSettled, topicVolumes),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))...)
	if err != nil {
		return nil, fmt.Errorf("open reader: %w", err)
	}
	return &reader{client: client, findings: f, audit: newAudit(f), last: map[kafka.TopicPartition]int64{}}, nil
}

// run reads until ctx is done.
func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := r.client.PollFetches(ctx)
		r.mu.Lock()
		r.note(fetches.NumRecords(), time.Now())
		fetches.EachRecord(r.take)
		r.mu.Unlock()
	}
}

// longStandstill is how long nothing may come before it is said, so that the processes' logs of that time can be found.
const longStandstill = 10 * time.Second

// note is called with mu held.
func (r *reader) note(records int, now time.Time) {
	if records == 0 {
		return
	}
	if !r.came.IsZero() {
		still := now.Sub(r.came)
		if r.still = max(r.still, still); still >= longStandstill {
			proof.Say("there was nothing to read for %.1f s", still.Seconds())
		}
	}
	r.came = now
}

// standstill is the longest time without anything to read.
func (r *reader) standstill() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.still
}

// take is called with mu held.
func (r *reader) take(k *kgo.Record) {
	where := fmt.Sprintf("%s/%d/%d", k.Topic, k.Partition, k.Offset)
	tp := kafka.TopicPartition{Topic: k.Topic, Partition: k.Partition}
	if last, ok := r.last[tp]; ok && k.Offset <= last {
		r.audit.counts.Order++
		r.findings.Note("%s: the reader was there before, at %d", where, last)
		return
	}
	r.last[tp] = k.Offset
	if err := r.check(k, where); err != nil {
		r.audit.counts.Order++
		r.findings.Note("%v", err)
	}
}

func (r *reader) check(k *kgo.Record, where string) error {
	switch k.Topic {
	case topicPostings:
		p, err := decoded[posting](k)
		if err != nil {
			return err
		}
		r.audit.posting(string(k.Key), p, where)
	case topicSettled:
		s, err := decoded[settled](k)
		if err != nil {
			return err
		}
		r.audit.settled(s, where)
	case topicVolumes:
		v, err := decoded[volume](k)
		if err != nil {
			return err
		}
		key, err := stream.WindowedKey(stream.String()).Decode(k.Key)
		if err != nil {
			return fmt.Errorf("read %s: %w", where, err)
		}
		r.audit.volume(window{key.Key, key.Start.UnixMilli()}, v, where)
	}
	return nil
}

// counts are what was found so far.
func (r *reader) counts() counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.audit.counts
}

// outputs is how many records so many transfers make: two postings, each with a change of a window, and one that is settled.
func outputs(transfers int64) int64 { return 5 * transfers }
