package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
)

// rawLoop is what a person would write without an engine: a client that reads, a database of the same make, a changelog,
// and one transaction every 100 ms around them. It restores nothing, shares nothing and forgets nothing.
type rawLoop struct {
	work  func(l *rawState, r *kgo.Record)
	table bool   // it reads rows, too
	rows  string // topic
}

// rawState is a loop at work.
type rawState struct {
	rawLoop
	ctx       context.Context
	session   *kgo.GroupTransactSession
	db        *pebble.DB
	open      map[string][]byte // written since the last commit
	out       string
	changelog string
	failed    atomic.Pointer[error]
}

// rawRate measures one pass of the loop over the topics.
func (c *cluster) rawRate(ctx context.Context, raw rawLoop, in string, records int64) (rate float64, err error) {
	name := unique("raw")
	l := &rawState{rawLoop: raw, ctx: ctx, open: make(map[string][]byte), out: name + "-out", changelog: name + "-changelog"}
	wishes := []kafka.TopicWish{{Name: l.out, Partitions: partitions}, {Name: l.changelog, Partitions: partitions, Config: map[string]string{"cleanup.policy": "compact"}}}
	if _, err := c.admin.EnsureTopics(ctx, wishes); err != nil {
		return 0, err
	}
	dir := filepath.Join(c.dir, name)
	defer func() { _ = os.RemoveAll(dir) }()
	const memtable = 32 << 20                     // two of them, as much as the engine's stores have together
	cache := pebble.NewCache(64<<20 + 2*memtable) // which Pebble takes off the cache
	defer cache.Unref()
	opt := &pebble.Options{Logger: silent{}, MemTableSize: memtable, Cache: cache}
	store.Tune(opt)
	if l.db, err = pebble.Open(dir, opt); err != nil {
		return 0, fmt.Errorf("run raw loop: %w", err)
	}
	way, err := l.run(c.cfg, name, in, records)
	if err := errors.Join(err, l.db.Close()); err != nil {
		return 0, fmt.Errorf("run raw loop: %w", err)
	}
	return way.rate(), c.drop(ctx, l.out, l.changelog)
}

func (l *rawState) run(cfg kafka.Config, name, in string, records int64) (way course, err error) {
	topics := []string{in}
	if l.table {
		topics = append(topics, l.rows)
	}
	l.session, err = kgo.NewGroupTransactSession(append(cfg.Options(),
		kgo.TransactionalID(name), kgo.ConsumerGroup(name), kgo.ConsumeTopics(topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.FetchMaxWait(20*time.Millisecond), kgo.MaxBufferedRecords(50_000), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)...)
	if err != nil {
		return nil, err
	}
	defer l.session.Close()
	way.reach(0)
	for done := int64(0); done < records; {
		if l.table { // first the rows, then what is joined with them
			l.readOnly(in, done < records/2)
		}
		n, err := l.transaction(records - done)
		if err != nil {
			return nil, err
		}
		done += n
		way.reach(done)
	}
	return way, nil
}

func (l *rawState) readOnly(in string, rows bool) {
	if rows {
		l.session.Client().PauseFetchTopics(in)
	} else {
		l.session.Client().ResumeFetchTopics(in)
	}
}

// transaction works for one interval, then commits log and database.
func (l *rawState) transaction(left int64) (n int64, err error) {
	if err := l.session.Begin(); err != nil {
		return 0, err
	}
	interval, cancel := context.WithTimeout(l.ctx, Commit)
	defer cancel()
	for interval.Err() == nil && n < left {
		fetches := l.session.PollRecords(interval, 8192)
		if err := fetches.Err0(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return 0, err
		}
		fetches.EachRecord(func(r *kgo.Record) { n++; l.work(l, r) })
	}
	batch := l.db.NewBatch()
	for key, value := range l.open {
		if !l.table {
			l.produce(&kgo.Record{Topic: l.changelog, Key: []byte(key), Value: value})
		}
		if err := batch.Set([]byte(key), value, nil); err != nil {
			return n, err
		}
	}
	clear(l.open)
	committed, err := l.session.End(l.ctx, kgo.TryCommit)
	switch lost := l.failed.Load(); {
	case lost != nil:
		err = errors.Join(err, *lost)
	case err == nil && !committed && n > 0:
		err = errors.New("end transaction: not committed")
	}
	return n, errors.Join(err, batch.Commit(pebble.NoSync))
}

func (l *rawState) produce(r *kgo.Record) {
	l.session.Produce(l.ctx, r, func(_ *kgo.Record, err error) {
		if err != nil {
			l.failed.CompareAndSwap(nil, &err)
		}
	})
}

// get reads what the open transaction wrote, else the database; nil if there is nothing.
func (l *rawState) get(key []byte) []byte {
	if v, ok := l.open[string(key)]; ok {
		return v
	}
	v, closer, err := l.db.Get(key)
	if err != nil {
		if !errors.Is(err, pebble.ErrNotFound) {
			l.failed.CompareAndSwap(nil, &err)
		}
		return nil
	}
	own := append([]byte(nil), v...)
	_ = closer.Close() // never fails: it gives memory back
	return own
}

func rawCount(l *rawState, r *kgo.Record) {
	next := countUp(l.get(r.Key))
	l.open[string(r.Key)] = next
	l.produce(&kgo.Record{Topic: l.out, Key: r.Key, Value: next, Timestamp: r.Timestamp})
}

func (f *found) raw(l *rawState, r *kgo.Record) {
	if r.Topic == l.rows {
		l.open[string(r.Key)] = r.Value
		return
	}
	l.produce(&kgo.Record{Topic: l.out, Key: r.Key, Value: f.joined(r.Value, l.get(r.Key)), Timestamp: r.Timestamp})
}

// silent keeps the database's own messages out of the measurement's.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
