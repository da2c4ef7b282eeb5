package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Table is a compacted topic of one partition as a live map: every process that opens it sees the same changes in the
// same order. It is for small things that many read, such as routes; all of it is held in memory.
//
// A Table is safe for concurrent use. When the cluster goes away it keeps what it has and tries for ever to follow
// again. Values that it gives out must not be written into.
type Table struct {
	topic  string
	client *kgo.Client
	cursor *cursor // belongs to the follower once it runs
	stop   context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	rows     map[string][]byte
	watchers []*watcher
	seen     int64         // everything below this offset is in rows, and every watcher knows
	moved    chan struct{} // closed when seen moves
}

type watcher struct {
	changed func(key string, value []byte)
}

// OpenTable opens a table, making its topic if there is none, and returns when everything that was there at the call
// has been read.
func OpenTable(ctx context.Context, cfg Config, topic string) (*Table, error) {
	if err := ensureTable(ctx, cfg, topic); err != nil {
		return nil, fmt.Errorf("open table %q: %w", topic, err)
	}
	client, err := cfg.client()
	if err != nil {
		return nil, fmt.Errorf("open table %q: %w", topic, err)
	}
	t := &Table{topic: topic, client: client, done: make(chan struct{}), rows: map[string][]byte{}, moved: make(chan struct{})}
	if err := t.load(ctx, cfg); err != nil {
		client.Close()
		return nil, fmt.Errorf("open table %q: %w", topic, err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.stop = stop
	go t.follow(run, cfg)
	return t, nil
}

func ensureTable(ctx context.Context, cfg Config, topic string) error {
	a, err := NewAdmin(cfg)
	if err != nil {
		return err
	}
	defer a.Close()
	_, err = a.EnsureTopics(ctx, []TopicWish{{Name: topic, Partitions: 1, Config: map[string]string{"cleanup.policy": "compact"}}})
	return err
}

func (t *Table) load(ctx context.Context, cfg Config) error {
	c, err := openCursor(ctx, t.client, cfg.Log, t.topic, []int32{0})
	if err != nil {
		return err
	}
	ends, err := c.offsets(ctx, c.admin.ListEndOffsets, t.topic)
	if err != nil {
		return err
	}
	t.cursor = c
	if err := c.readTo(ctx, map[TopicPartition]int64{t.partition(): ends[0]}, eachRecord(t.apply)); err != nil {
		return err
	}
	t.advance()
	return nil
}

func (t *Table) partition() TopicPartition { return TopicPartition{Topic: t.topic} }

// follow is the one goroutine that changes rows after load.
func (t *Table) follow(ctx context.Context, cfg Config) {
	defer close(t.done)
	trouble := newPatience(cfg.Log, "following a table waits for the cluster", "topic", t.topic)
	trouble.limit = 0
	for {
		err := t.cursor.fetch(ctx, []TopicPartition{t.partition()}, nil, time.Second, eachRecord(t.apply))
		t.advance()
		if trouble.judge(ctx, err) != nil { // only the end of ctx: nothing else is given up on
			return
		}
	}
}

func (t *Table) apply(r *kgo.Record) error {
	key, value := string(r.Key), slices.Clone(r.Value)
	t.mu.Lock()
	if r.Value == nil {
		delete(t.rows, key)
	} else {
		t.rows[key] = value
	}
	watchers := t.watchers
	t.mu.Unlock()
	for _, w := range watchers {
		w.changed(key, value)
	}
	return nil
}

func (t *Table) advance() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if next := t.cursor.next[t.partition()]; next != t.seen {
		t.seen = next
		close(t.moved)
		t.moved = make(chan struct{})
	}
}

// Get returns the value of a key; ok says whether there is one.
func (t *Table) Get(key string) (value []byte, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	value, ok = t.rows[key]
	return value, ok
}

// All returns all rows of now, in a map of the caller's own.
func (t *Table) All() map[string][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.rows)
}

// Watch has changed called for every later change, in the order of the log, one at a time; value is nil for a key that
// was deleted. changed must be quick, and must not call a method of the table that waits. A caller that also wants what
// is there already watches first and calls All then; it may be told some of that again. stop ends the calls, but for
// one that may be running.
func (t *Table) Watch(changed func(key string, value []byte)) (stop func()) {
	w := &watcher{changed}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchers = append(slices.Clone(t.watchers), w)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.watchers = slices.DeleteFunc(slices.Clone(t.watchers), func(o *watcher) bool { return o == w })
	}
}

// Put stores a value and returns when the cluster has it. This process may see it a moment later; see PutSync.
func (t *Table) Put(ctx context.Context, key string, value []byte) error {
	if value == nil {
		value = []byte{} // nil would delete
	}
	_, err := t.write(ctx, key, value)
	return err
}

// PutSync is Put, and waits until Get returns the value here and every watcher of this process was told.
func (t *Table) PutSync(ctx context.Context, key string, value []byte) error {
	if value == nil {
		value = []byte{}
	}
	offset, err := t.write(ctx, key, value)
	if err != nil {
		return err
	}
	return t.await(ctx, offset)
}

// Delete removes a key and, like PutSync, waits until this process knows.
func (t *Table) Delete(ctx context.Context, key string) error {
	offset, err := t.write(ctx, key, nil)
	if err != nil {
		return err
	}
	return t.await(ctx, offset)
}

func (t *Table) write(ctx context.Context, key string, value []byte) (offset int64, err error) {
	type result struct {
		offset int64
		err    error
	}
	done := make(chan result, 1)
	t.client.Produce(ctx, &kgo.Record{Topic: t.topic, Key: []byte(key), Value: value}, func(r *kgo.Record, err error) {
		done <- result{r.Offset, err}
	})
	var r result
	select {
	case r = <-done:
	case <-ctx.Done(): // a record on its way to a broker that is gone does not heed ctx; it may still be written
		r.err = context.Cause(ctx)
	}
	if r.err != nil {
		return 0, fmt.Errorf("write %q to table %q: %w", key, t.topic, r.err)
	}
	return r.offset, nil
}

// await waits until the follower is past an offset.
func (t *Table) await(ctx context.Context, offset int64) error {
	for {
		t.mu.Lock()
		seen, moved := t.seen, t.moved
		t.mu.Unlock()
		if seen > offset {
			return nil
		}
		select {
		case <-moved:
		case <-t.done:
			return fmt.Errorf("follow table %q: it was closed", t.topic)
		case <-ctx.Done():
			return fmt.Errorf("follow table %q: %w", t.topic, context.Cause(ctx))
		}
	}
}

// Close stops following. Get and All go on answering with what was there.
func (t *Table) Close() {
	t.stop()
	<-t.done
	t.client.Close()
}
