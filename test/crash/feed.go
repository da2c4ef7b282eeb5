package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

// event is what is sent: the nth record of its key, and a number of its own.
type event struct {
	Key string `json:"key"`
	N   int64  `json:"n"`
	ID  int64  `json:"id"`
}

// feed sends events to a topic at a rate, with an idempotent producer that tries again for ever, and remembers what the
// broker answered to each. Its numbers are read when run has returned.
type feed struct {
	cfg   kafka.Config
	topic string
	rate  int // records a second
	keys  int
	opts  []kgo.Opt

	mu      sync.Mutex
	acked   []bool // by id: the broker has said that it is written; GUARDED_BY(mu)
	refused int64  // GUARDED_BY(mu)
	cause   error  // of the first refusal; GUARDED_BY(mu)
}

const flushPatience = 30 * time.Second

// run sends until ctx is done, and then waits for the answers that are missing.
func (f *feed) run(ctx context.Context) error {
	client, err := kgo.NewClient(append(append(f.cfg.Options(), kgo.MaxBufferedRecords(100_000)), f.opts...)...)
	if err != nil {
		return fmt.Errorf("feed topic %q: %w", f.topic, err)
	}
	defer client.Close()
	begin := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for id := int64(0); ctx.Err() == nil; {
		due := int64(time.Since(begin).Seconds() * float64(f.rate))
		for ; id < due; id++ {
			f.send(client, id)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushPatience)
	defer cancel()
	if err := client.Flush(flush); err != nil {
		return fmt.Errorf("feed topic %q: %w", f.topic, err)
	}
	return nil
}

func (f *feed) send(client *kgo.Client, id int64) {
	f.mu.Lock()
	f.acked = append(f.acked, false)
	f.mu.Unlock()
	client.Produce(context.Background(), eventRecord(f.topic, id, f.keys), func(_ *kgo.Record, err error) { f.answered(id, err) })
}

func (f *feed) answered(id int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.acked[id] = true
		return
	}
	if f.refused++; f.cause == nil {
		f.cause = fmt.Errorf("feed topic %q: record %d: %w", f.topic, id, err)
	}
}

// counts are how many were sent, acknowledged and refused so far, and why the first was refused.
func (f *feed) counts() (sent, acked, refused int64, cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ok := range f.acked {
		if ok {
			acked++
		}
	}
	return int64(len(f.acked)), acked, f.refused, f.cause
}

// history is that of an output that must hold what was acknowledged, and may hold what was sent.
func (f *feed) history(name string) *history {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := newHistory(name, int64(len(f.acked)))
	h.acked = f.acked
	return h
}

func eventRecord(topic string, id int64, keys int) *kgo.Record {
	e := event{Key: fmt.Sprintf("k%d", id%int64(keys)), N: id / int64(keys), ID: id}
	value, _ := json.Marshal(e) // plain numbers and text
	return &kgo.Record{Topic: topic, Key: []byte(e.Key), Value: value}
}
