package tables_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/tables"
	"ravenswood.dev/internal/topology"
	client "ravenswood.dev/stream/tables"
)

// The tables of the plan that all tests ask, each in stage 1 but for the global one.
var specs = []store.Spec{
	{Name: "users", Kind: store.KindKeyValue},
	{Name: "hours", Kind: store.KindWindow, Window: time.Hour, Retention: 1000 * time.Hour},
	{Name: "visits", Kind: store.KindSession, Retention: 1000 * time.Hour},
	{Name: "prices", Kind: store.KindVersioned, Retention: 1000 * time.Hour},
}

// shop is a topology of two stages: "split" reads orders and writes shop.users.repartition, which "users" reads besides
// the topic of users.
func shop(partitions int) *topology.Plan {
	p := &topology.Plan{
		Name: "shop", Group: "shop",
		Inputs: []topology.Input{
			{Name: "orders", Topic: "orders", Stage: 0, Next: []topology.Target{{Index: 0}}},
			{Name: "users", Topic: "users", Stage: 1, Next: []topology.Target{{Index: 1}}},
			{Name: "users.repartition", Topic: "shop.users.repartition", Stage: 1, Repartition: true, Next: []topology.Target{{Index: 1}}},
			{Topic: "shop.replay", Stage: 0},
			{Name: "other", Topic: "other", Stage: 2, Next: []topology.Target{{Sink: true, Index: 1}}},
		},
		Bolts: []topology.Bolt{
			{Name: "split", Stage: 0, Next: [][]topology.Target{{{Sink: true, Index: 0}}}},
			{Name: "users", Stage: 1},
		},
		Sinks:   []topology.Sink{{Name: "users.repartition", Topic: "shop.users.repartition", Repartition: true}, {Name: "out", Topic: "out"}},
		Stages:  []topology.Stage{{Name: "split"}, {Name: "users", Stateful: true, Partitions: partitions}, {Name: "other"}},
		Globals: []topology.Global{{Name: "countries", Topic: "countries", Store: store.Spec{Name: "countries"}, Format: record.Text}},
		Tables:  []topology.Table{{Name: "countries", Stage: tables.Global, Store: store.Spec{Name: "countries"}, Format: record.Text}},
		Topics:  []topology.Topic{{Name: "shop.users.changelog", Internal: true, Spec: api.TopicSpec{Partitions: partitions}}},
	}
	for _, spec := range specs {
		p.Stages[1].Stores = append(p.Stages[1].Stores, topology.Store{Spec: spec, Bolt: "users", Changelog: "shop." + spec.Name + ".changelog"})
		p.Tables = append(p.Tables, topology.Table{Name: spec.Name, Stage: 1, Store: spec, Format: record.JSON})
	}
	return p
}

// process is one process of the topology: an Engine that does what a test says, and its Service.
type process struct {
	t       *testing.T
	id      string
	plan    *topology.Plan
	cluster *cluster
	service *tables.Service
	server  *httptest.Server
	client  *client.Client
	asked   int // questions that other processes asked

	mu        sync.Mutex
	running   map[int32]*store.State
	restoring map[int32]*store.State
	copies    map[int32]*store.State
	lag       tables.Staleness
	global    *store.State
	positions map[kafka.TopicPartition]int64
	changed   chan struct{}
	lent      int
}

var _ tables.Engine = (*process)(nil)

// cluster is some processes and who has what, which all of them know.
type cluster struct {
	partitions int
	log        *memoryLog
	processes  []*process

	mu     sync.Mutex
	owners []tables.Owner
}

// newCluster runs processes that have no partitions yet.
func newCluster(t *testing.T, processes, partitions int) *cluster {
	t.Helper()
	c := &cluster{partitions: partitions, log: newMemoryLog(), owners: make([]tables.Owner, partitions)}
	for i := range processes {
		c.processes = append(c.processes, c.start(t, "p"+strconv.Itoa(i)))
	}
	return c
}

func (c *cluster) start(t *testing.T, id string) *process {
	t.Helper()
	p := &process{
		t: t, id: id, plan: shop(c.partitions), cluster: c, changed: make(chan struct{}),
		running: map[int32]*store.State{}, restoring: map[int32]*store.State{}, copies: map[int32]*store.State{}, positions: map[kafka.TopicPartition]int64{},
	}
	p.service = tables.New(tables.Options{ID: id, Engines: func() []tables.Engine { return []tables.Engine{p} }, Log: c.log, Logger: slog.New(slog.DiscardHandler)})
	handler := p.service.Handler()
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.Header.Get("Raven-Asked-By") != "" {
			p.mu.Lock()
			p.asked++
			p.mu.Unlock()
		}
		handler.ServeHTTP(w, r)
	}))
	p.client = client.NewClient(client.Options{}, p.address())
	t.Cleanup(func() {
		p.server.CloseClientConnections()
		_ = p.service.Close()
		p.server.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.lent != 0 {
			t.Errorf("process %s: %d views were not given back", id, p.lent)
		}
	})
	return p
}

func (p *process) address() string { return p.server.Listener.Addr().String() }

func (p *process) instance() tables.Instance { return tables.Instance{ID: p.id, Address: p.address()} }

// own gives a partition to a process.
func (c *cluster) own(t *testing.T, p *process, n int32) *store.State {
	t.Helper()
	s := newState(t)
	c.mu.Lock()
	c.owners[n].Active = p.instance()
	c.mu.Unlock()
	p.change(func() { p.running[n] = s })
	return s
}

// spread gives all partitions away, one process after the other.
func (c *cluster) spread(t *testing.T) []*store.State {
	t.Helper()
	var states []*store.State
	for n := range c.partitions {
		states = append(states, c.own(t, c.processes[n%len(c.processes)], int32(n)))
	}
	return states
}

// standby lets a process keep a copy of a partition.
func (c *cluster) standby(t *testing.T, p *process, n int32) *store.State {
	t.Helper()
	s := newState(t)
	c.mu.Lock()
	c.owners[n].Standbys = append(c.owners[n].Standbys, p.instance())
	c.mu.Unlock()
	p.change(func() { p.copies[n] = s })
	return s
}

func newState(t *testing.T) *store.State {
	t.Helper()
	s, err := store.Open(store.Options{Specs: specs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// commit writes to a state and commits that.
func commit(t *testing.T, s *store.State, write func(*store.State)) {
	t.Helper()
	write(s)
	s.Seal()
	if err := s.Commit(nil); err != nil {
		t.Fatal(err)
	}
}

func (p *process) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *process) move(topic string, n int32, next int64) {
	p.change(func() { p.positions[kafka.TopicPartition{Topic: topic, Partition: n}] = next })
}

func (p *process) Plan() *topology.Plan { return p.plan }

func (p *process) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

func (p *process) Owners(stage int) []tables.Owner {
	if stage != 1 {
		return nil
	}
	p.cluster.mu.Lock()
	defer p.cluster.mu.Unlock()
	var owners []tables.Owner
	for _, o := range p.cluster.owners {
		mine := tables.Owner{Active: o.Active}
		mine.Active.Local = o.Active.ID == p.id
		for _, s := range o.Standbys {
			s.Local = s.ID == p.id
			mine.Standbys = append(mine.Standbys, s)
		}
		owners = append(owners, mine)
	}
	return owners
}

func (p *process) View(_ int, n int32, stale bool) (tables.View, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.running[n] != nil:
		return p.lend(p.running[n], nil), nil
	case p.copies[n] == nil && p.restoring[n] == nil:
		return tables.View{}, tables.ErrElsewhere
	case !stale:
		return tables.View{}, tables.ErrRestoring
	case p.copies[n] != nil:
		return p.lend(p.copies[n], &p.lag), nil
	}
	return p.lend(p.restoring[n], &tables.Staleness{Records: 99}), nil
}

func (p *process) Global(string) (tables.View, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.global == nil {
		return tables.View{}, tables.ErrRestoring
	}
	return p.lend(p.global, nil), nil
}

func (p *process) lend(s *store.State, lag *tables.Staleness) tables.View {
	p.lent++
	return tables.View{Stores: s.Reader(), Stale: lag, Release: func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lent--
	}}
}

func (p *process) Position(_ int, topic string, n int32) (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next, ok := p.positions[kafka.TopicPartition{Topic: topic, Partition: n}]
	return next, ok
}

// memoryLog is a log in memory.
type memoryLog struct {
	mu         sync.Mutex
	topics     map[string]int // partitions
	records    map[kafka.TopicPartition][]*kgo.Record
	group      map[kafka.TopicPartition]int64
	changed    chan struct{}
	following  int
	partitions func(*kgo.Record, int) int
}

var _ tables.Log = (*memoryLog)(nil)

func newMemoryLog() *memoryLog {
	byKey := kgo.StickyKeyPartitioner(nil).ForTopic("")
	return &memoryLog{
		topics: map[string]int{}, records: map[kafka.TopicPartition][]*kgo.Record{}, group: map[kafka.TopicPartition]int64{},
		changed: make(chan struct{}), partitions: byKey.Partition,
	}
}

func (l *memoryLog) tell(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *memoryLog) create(topic string, partitions int) {
	l.tell(func() { l.topics[topic] = partitions })
}

func (l *memoryLog) commit(topic string, n int32, next int64) {
	l.tell(func() { l.group[kafka.TopicPartition{Topic: topic, Partition: n}] = next })
}

func (l *memoryLog) Committed(context.Context, string) (map[kafka.TopicPartition]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.group), nil
}

func (l *memoryLog) Ends(_ context.Context, topic string, from map[int32]int64) (map[int32]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ends := map[int32]int64{}
	for p, o := range from {
		ends[p] = max(o, int64(len(l.records[kafka.TopicPartition{Topic: topic, Partition: p}])))
	}
	return ends, nil
}

func (l *memoryLog) Stable(ctx context.Context, topic string) (map[int32]int64, error) {
	l.mu.Lock()
	n, ok := l.topics[topic]
	l.mu.Unlock()
	if !ok {
		return nil, tables.ErrNoTopic
	}
	from := map[int32]int64{}
	for p := range n {
		from[int32(p)] = 0
	}
	return l.Ends(ctx, topic, from)
}

func (l *memoryLog) Write(_ context.Context, records []*kgo.Record) error {
	for _, r := range records {
		l.mu.Lock()
		n, ok := l.topics[r.Topic]
		l.mu.Unlock()
		if !ok {
			return tables.ErrNoTopic
		}
		l.tell(func() {
			if r.Context == nil {
				r.Partition = int32(l.partitions(r, n))
			}
			tp := kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			r.Offset = int64(len(l.records[tp]))
			l.records[tp] = append(l.records[tp], r)
		})
	}
	return nil
}

func (l *memoryLog) Follow(ctx context.Context, topic string, from map[int32]int64, visit func(*kgo.Record) error) error {
	l.tell(func() { l.following++ })
	defer l.tell(func() { l.following-- })
	next := maps.Clone(from)
	for {
		l.mu.Lock()
		changed := l.changed
		var fresh []*kgo.Record
		for p := range next {
			all := l.records[kafka.TopicPartition{Topic: topic, Partition: p}]
			if at := min(next[p], int64(len(all))); at < int64(len(all)) {
				fresh = append(fresh, all[at:]...)
				next[p] = int64(len(all))
			}
		}
		l.mu.Unlock()
		for _, r := range fresh {
			if err := visit(r); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *memoryLog) followers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.following
}

// get asks a process by its address and returns the status and the answer.
func get(t *testing.T, p *process, path string, change ...func(*http.Request)) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, r, change...)
}

func do(t *testing.T, r *http.Request, change ...func(*http.Request)) (int, map[string]any) {
	t.Helper()
	for _, c := range change {
		c(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{}
	if err := json.Unmarshal(raw, &answer); err != nil && resp.StatusCode < 400 {
		t.Fatalf("got %d %q", resp.StatusCode, raw)
	}
	return resp.StatusCode, answer
}

// ownerOf says which partition a key is in.
func (c *cluster) ownerOf(key string) int32 {
	return int32(c.log.partitions(&kgo.Record{Key: []byte(key)}, c.partitions))
}
