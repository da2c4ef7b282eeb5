package engine

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/tables"
	"ravenswood.dev/internal/topology"
)

// globals are the tables that every process keeps whole, fed outside of any transaction: a record sees of them what
// this process has read so far.
type globals struct {
	engine *Engine

	mu       sync.Mutex
	tables   map[string][]*globalTable // by topic: one may be kept in several ways; GUARDED_BY(mu)
	follower *kafka.Follower           // GUARDED_BY(mu)
	failed   error                     // GUARDED_BY(mu)
	broken   chan struct{}             // closed when failed is set
	came     chan struct{}             // closed and made anew when something was read; GUARDED_BY(mu)
}

// globalTable is one of them. The table's store holds all partitions; beside it the State has an empty store for each,
// whose checkpoint says how far that partition is read. The two are written one after the other: what is read twice
// after a crash is written twice, which changes nothing.
type globalTable struct {
	plan   *topology.Global
	state  *store.State
	reader *store.Reader
	ends   map[kafka.TopicPartition]int64 // what was committed when it was opened: when that is read the table is whole
}

func newGlobals(e *Engine) *globals {
	return &globals{engine: e, tables: make(map[string][]*globalTable), came: make(chan struct{}), broken: make(chan struct{})}
}

func (t *globalTable) cursor(n int32) string { return t.plan.Store.Name + "@" + strconv.Itoa(int(n)) }

// keyValue gives a global table to the bolts that look into it; nil if there is none of that name.
func (g *globals) keyValue(name string) store.KeyValue {
	if t := g.named(name); t != nil {
		return t.reader.KeyValue(t.plan.Store.Name)
	}
	return nil
}

func (g *globals) named(name string) *globalTable {
	for _, t := range g.all() {
		if t.plan.Name == name || t.plan.Store.Name == name {
			return t
		}
	}
	return nil
}

func (g *globals) of(topic string) []*globalTable {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tables[topic]
}

func (g *globals) all() (all []*globalTable) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tables := range g.tables {
		all = append(all, tables...)
	}
	return all
}

// open fills the tables with what is committed now, and keeps them full until close. It returns when they are whole: no
// worker may look into them before.
func (g *globals) open(ctx context.Context) error {
	if len(g.engine.plan.Globals) == 0 {
		return nil
	}
	follower, err := kafka.NewFollower(kafka.FollowerConfig{Config: g.engine.env.Kafka, Batch: g.apply, Lost: g.lost})
	if err != nil {
		return err
	}
	g.follower = follower
	for i := range g.engine.plan.Globals {
		if err := g.openTable(ctx, &g.engine.plan.Globals[i]); err != nil {
			return err
		}
	}
	g.follow()
	return g.awaitWhole(ctx)
}

// follow begins to read each topic where the table stands that has the least of it. What the others are given again changes
// nothing, and they are whole before anybody looks.
func (g *globals) follow() {
	from := make(map[kafka.TopicPartition]int64)
	for _, t := range g.all() {
		for tp := range t.ends {
			at := t.state.Checkpoint(t.cursor(tp.Partition))
			if least, ok := from[tp]; !ok || at < least {
				from[tp] = at
			}
		}
	}
	for tp, at := range from {
		g.follower.Add(tp.Topic, tp.Partition, at)
	}
}

func (g *globals) openTable(ctx context.Context, plan *topology.Global) error {
	e := g.engine
	ends, starts, asked, err := g.extent(ctx, plan.Topic)
	if err != nil {
		return fmt.Errorf("open global table %q: %w", plan.Name, err)
	}
	t := &globalTable{plan: plan, ends: ends}
	origin := plan.Topic + "@" + e.topicIDs[plan.Topic]
	opts := store.Options{
		Specs: []store.Spec{plan.Store}, Identity: e.plan.Name + "/global/" + plan.Name,
		Origins: map[string]string{plan.Store.Name: origin}, Log: e.log,
	}
	for tp := range ends {
		opts.Specs = append(opts.Specs, store.Spec{Name: t.cursor(tp.Partition), Memory: plan.Store.Memory})
		opts.Origins[t.cursor(tp.Partition)] = origin
	}
	if !plan.Store.Memory {
		opts.Dir = filepath.Join(e.states.dir, "globals", plan.Name)
	}
	if t.state, err = e.states.openAt(opts); err != nil {
		return fmt.Errorf("open global table %q: %w", plan.Name, err)
	}
	if err := t.fit(starts, e.keeps[plan.Topic], asked, e.log); err != nil {
		return fmt.Errorf("open global table %q: %w", plan.Name, err)
	}
	t.reader = t.state.Reader()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tables[plan.Topic] = append(g.tables[plan.Topic], t)
	return nil
}

// extent is where the topic of a table ends and begins, as of some moment after asked.
func (g *globals) extent(ctx context.Context, topic string) (ends, starts map[kafka.TopicPartition]int64, asked time.Time, err error) {
	err = g.engine.env.Kafka.Patiently(ctx, func(ctx context.Context) (err error) {
		asked = time.Now()
		if ends, err = g.engine.admin.StableOffsets(ctx, topic); err == nil {
			starts, err = g.engine.admin.StartOffsets(ctx, topic)
		}
		return err
	})
	return ends, starts, asked, err
}

// fit empties the table if a part of it can't go on where it stands, or if an emptying of before was not finished.
func (t *globalTable) fit(starts map[kafka.TopicPartition]int64, keeps time.Duration, now time.Time, log *slog.Logger) error {
	empty := false
	for tp, end := range t.ends {
		name := t.cursor(tp.Partition)
		s := standing{at: t.state.Checkpoint(name), current: t.state.Current(name), start: starts[tp], end: end, to: end, keeps: keeps}
		if why := s.unfit(now); why != "" {
			log.Warn("a global table does not fit its topic any more and is read anew", "table", t.plan.Name, "partition", tp.Partition, "current", s.current, "why", why)
			empty = true
		}
		empty = empty || s.at < 0
	}
	if !empty {
		return nil
	}
	return t.empty(now)
}

// empty forgets everything, to be read from the beginning from a time on. The table itself is last: who finds a partition that
// was not read empties it again.
func (t *globalTable) empty(at time.Time) error {
	for tp := range t.ends {
		if err := anew(t.state, t.cursor(tp.Partition), at); err != nil {
			return err
		}
	}
	return t.state.Reset(t.plan.Store.Name)
}

func (g *globals) apply(b kafka.Batch) error {
	for _, t := range g.of(b.Topic) {
		if err := t.load(b); err != nil {
			g.fail(t, err)
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wake()
	return nil
}

func (t *globalTable) load(b kafka.Batch) error {
	changes := make([]store.Change, 0, len(b.Records))
	for _, r := range b.Records {
		if r.Key != nil {
			changes = append(changes, store.Change{Store: t.plan.Store.Name, Key: r.Key, Value: r.Value, Time: r.Timestamp})
		}
	}
	if err := t.state.Load(t.plan.Store.Name, changes, 0); err != nil {
		return err
	}
	return t.state.Load(t.cursor(b.Partition), nil, b.Next)
}

// wake is called with mu held.
func (g *globals) wake() {
	close(g.came)
	g.came = make(chan struct{})
}

// fail stops the topology: workers must not go on for ever with a table that stands still.
func (g *globals) fail(t *globalTable, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == nil {
		g.failed = fmt.Errorf("write global table %q: %w", t.plan.Name, err)
		close(g.broken)
	}
	g.wake()
}

// lost reads tables anew from which the log has deleted what was not read yet: they may hold keys that are deleted.
func (g *globals) lost(tp kafka.TopicPartition, _ int64) {
	tables := g.of(tp.Topic)
	for _, t := range tables {
		g.engine.log.Warn("a global table does not fit its topic any more and is read anew", "table", t.plan.Name, "partition", tp.Partition)
		if err := t.empty(time.Now()); err != nil {
			g.fail(t, err)
			return
		}
	}
	for _, t := range tables {
		for other := range t.ends {
			g.follower.Add(other.Topic, other.Partition, -1)
		}
	}
}

// watch stops the topology when a table can't be written.
func (g *globals) watch(ctx context.Context) {
	select {
	case <-g.broken:
		g.mu.Lock()
		defer g.mu.Unlock()
		g.engine.fail(g.failed)
	case <-ctx.Done():
	}
}

// awaitWhole waits until everything that was committed when the tables were opened is in them.
func (g *globals) awaitWhole(ctx context.Context) error {
	for {
		g.mu.Lock()
		came, failed := g.came, g.failed
		g.mu.Unlock()
		if failed != nil {
			return failed
		}
		if g.whole() {
			return nil
		}
		select {
		case <-came:
		case <-ctx.Done():
			return fmt.Errorf("read global tables: %w", context.Cause(ctx))
		}
	}
}

func (g *globals) whole() bool {
	at := g.follower.Positions()
	for _, t := range g.all() {
		for tp, end := range t.ends {
			if end > 0 && at[tp].Next < end {
				return false
			}
		}
	}
	return true
}

// kept lists what the keeper looks after: how far each partition is read.
func (g *globals) kept() (all []kept) {
	for _, t := range g.all() {
		for tp := range t.ends {
			all = append(all, kept{state: t.state, name: t.cursor(tp.Partition), log: tp, owner: "global " + t.plan.Name})
		}
	}
	return all
}

func (g *globals) close() {
	if g.follower != nil {
		g.follower.Close()
	}
	for _, t := range g.all() {
		if err := t.state.Close(); err != nil {
			g.engine.log.Warn("close a global table", "table", t.plan.Name, "err", err)
		}
	}
}

func (g *globals) view(name string) (tables.View, error) {
	t := g.named(name)
	if t == nil {
		return tables.View{}, tables.ErrElsewhere
	}
	return tables.View{Stores: t.reader, Release: func() {}}, nil
}

func (g *globals) position(topic string, n int32) (int64, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tables[topic] == nil {
		return 0, false
	}
	return g.follower.Positions()[kafka.TopicPartition{Topic: topic, Partition: n}].Next, true
}
