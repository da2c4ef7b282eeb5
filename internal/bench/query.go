package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/node"
	"ravenswood.dev/stream/tables"
)

// QueryTimes is what Query has measured.
type QueryTimes struct {
	Benchmark   string     `json:"benchmark"`
	Local       CallTimes  `json:"local"`     // the process that is asked has the key
	Forwarded   CallTimes  `json:"forwarded"` // it asks the one that has
	AddedP50    float64    `json:"added_p50_us"`
	AddedP99    float64    `json:"added_p99_us"`
	Alone       QueryAlone `json:"one_at_a_time"`
	Fresh       CallTimes  `json:"read_your_writes"` // from a produce until a query with its token is answered, one at a time
	Commit      float64    `json:"commit_interval_ms"`
	LoadPerS    int        `json:"records_per_s"` // that the topology works on meanwhile
	Keys        int        `json:"keys"`
	Concurrency int        `json:"concurrency"`
	Rounds      int        `json:"rounds"`
	Machine
}

// QueryAlone is the same with a single client, where nobody waits for a processor.
type QueryAlone struct {
	Local     CallTimes `json:"local"`
	Forwarded CallTimes `json:"forwarded"`
}

const (
	queryClients = 16
	queryKeys    = 100_000
	queryLoad    = 2000 // records a second
	queryTable   = "last"
)

// queryIDs are the two processes; the first one is asked.
var queryIDs = []string{"a", "b"}

// Query measures questions for one key of a table on disk, to the process that has it and to one that has to ask it,
// while the topology works on records of the same keys.
func Query(ctx context.Context, o Options) (*QueryTimes, error) {
	o = o.orElse(queryKeys, 5, 3*time.Second)
	r := &QueryTimes{
		Benchmark: "query", Commit: millis(Commit), LoadPerS: queryLoad, Keys: o.Records,
		Concurrency: queryClients, Rounds: o.Rounds, Machine: o.machine(),
	}
	c, err := newCluster(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	q := &querying{cluster: c, name: unique("query"), in: unique("in"), keys: o.Records}
	defer q.stop()
	if err := q.start(ctx, o); err != nil {
		return nil, err
	}
	loading, endLoad := context.WithCancel(ctx)
	var load sync.WaitGroup
	load.Go(func() { q.load(loading) })
	defer load.Wait()
	defer endLoad()
	return r, r.measure(ctx, o, q)
}

// querying is two processes that share a topology, and its clients.
type querying struct {
	*cluster
	name, in string
	keys     int
	nodes    []*node.Node
	table    *tables.Handle
	client   *tables.Client
	mine     [2][][]byte // keys that the asked process has, and that the other one has
}

func (q *querying) stop() {
	for _, n := range slices.Backward(q.nodes) {
		_ = n.Stop() // what it holds is of no more use
	}
}

// start runs both processes, fills the table, and finds out who has which keys.
func (q *querying) start(ctx context.Context, o Options) error {
	s := subject{format: "json", delivery: "exactly-once", commit: Commit, bolts: "last: {from: in, aggregate: {compute: {n: count}}}"}
	set, _, err := plan(s.text(q.name, q.in, q.name+"-out"), q.dir)
	if err != nil {
		return err
	}
	for _, id := range queryIDs {
		n, err := node.Up(ctx, node.Options{
			Set: set, Registry: all.Components(), Data: filepath.Join(q.dir, id), Brokers: q.cfg.Brokers, ID: id,
			Topologies: true, Admin: "127.0.0.1:0", Started: time.Now(), Log: o.Log,
		})
		if err != nil {
			return err
		}
		q.nodes = append(q.nodes, n)
	}
	q.client = tables.NewClient(tables.Options{}, q.nodes[0].Admin())
	q.table = q.client.Table(q.name, queryTable)
	if err := q.shared(ctx); err != nil {
		return err
	}
	o.say("writing %d keys", q.keys)
	return q.fill(ctx)
}

// queryPatience is how long two processes may take to share their work, or to count what was written.
const queryPatience = 3 * time.Minute

// shared waits until both processes have partitions of the table.
func (q *querying) shared(ctx context.Context) error {
	for begun := time.Now(); time.Since(begun) < queryPatience; {
		list, err := q.client.Tables(ctx, q.name)
		if err == nil && len(list) == 1 {
			has := map[string]int{}
			for _, p := range list[0].Partitions {
				has[p.Active]++
			}
			if has[queryIDs[0]] > 0 && has[queryIDs[1]] > 0 && has[""] == 0 {
				return nil
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("share the work between two processes: one of them got none")
}

// fill writes a record of each key and waits until the table holds them.
func (q *querying) fill(ctx context.Context) error {
	last := map[int32]int64{}
	var mu sync.Mutex
	var failed error
	for i := range q.keys {
		q.cluster.client.Produce(ctx, q.record(i), func(r *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			last[r.Partition] = max(last[r.Partition], r.Offset)
		})
	}
	if err := errors.Join(q.cluster.client.Flush(ctx), failed); err != nil {
		return fmt.Errorf("write keys: %w", err)
	}
	var token tables.Token
	for p, offset := range last {
		token = token.And(tables.NewToken(tables.Coordinate{Topic: q.in, Partition: p, Offset: offset}))
	}
	for begun := time.Now(); ; {
		_, err := q.table.Range(ctx, tables.Range{Limit: 1, Ask: tables.Ask{After: token, Wait: tables.WaitMax}})
		if err == nil {
			break
		}
		if ctx.Err() != nil || time.Since(begun) > queryPatience {
			return fmt.Errorf("wait for the table: %w", err)
		}
	}
	return q.sort(ctx)
}

// sortKeys is how many keys of each process are asked for.
const sortKeys = 2000

// sort asks who has which keys.
func (q *querying) sort(ctx context.Context) error {
	for i := 0; i < q.keys && (len(q.mine[0]) < sortKeys || len(q.mine[1]) < sortKeys); i++ {
		a, err := q.table.Get(ctx, q.record(i).Key, tables.Ask{})
		if err != nil {
			return fmt.Errorf("ask for a key: %w", err)
		}
		who := 1
		if a.By == queryIDs[0] {
			who = 0
		}
		if len(q.mine[who]) < sortKeys {
			q.mine[who] = append(q.mine[who], a.Key)
		}
	}
	return nil
}

func (q *querying) record(i int) *kgo.Record {
	return &kgo.Record{Topic: q.in, Key: fmt.Appendf(nil, "key-%d", i), Value: []byte(`{"total":7}`)}
}

// load writes records of all keys at a steady rate.
func (q *querying) load(ctx context.Context) {
	const every = 10 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; {
		select {
		case <-tick.C:
			for range queryLoad * int(every/time.Millisecond) / 1000 {
				q.cluster.client.Produce(ctx, q.record(i%q.keys), nil)
				i++
			}
		case <-ctx.Done():
			return
		}
	}
}

// measure asks both kinds of keys in turn.
func (r *QueryTimes) measure(ctx context.Context, o Options, q *querying) error {
	var many, one [2]series3
	var added50, added99 Series
	for turn := range o.Rounds + 1 { // the first is to warm up
		var got [2]CallTimes
		for who := range got {
			var err error
			if got[who], err = q.hammer(ctx, who, queryClients, o.Span); err != nil {
				return err
			}
			alone, err := q.hammer(ctx, who, 1, o.Span/3)
			if err != nil {
				return err
			}
			if turn > 0 {
				many[who].add(got[who])
				one[who].add(alone)
			}
		}
		if turn > 0 {
			added50, added99 = append(added50, got[1].P50-got[0].P50), append(added99, got[1].P99-got[0].P99)
		}
		o.say("  %-8s local %6.0f/s p50 %4.0f us p99 %5.0f us   forwarded %6.0f/s p50 %4.0f us p99 %5.0f us", roundName(turn),
			got[0].PerS, got[0].P50, got[0].P99, got[1].PerS, got[1].P50, got[1].P99)
	}
	r.Local, r.Forwarded = many[0].median(), many[1].median()
	r.Alone = QueryAlone{one[0].median(), one[1].median()}
	r.AddedP50, r.AddedP99 = round(added50.Median(), 1), round(added99.Median(), 1)
	var err error
	r.Fresh, err = q.readYourWrites(ctx, o.Span)
	o.say("a write is read after p50 %.0f us, p99 %.0f us (commit interval %.0f ms)", r.Fresh.P50, r.Fresh.P99, r.Commit)
	return err
}

// series3 is CallTimes of several rounds.
type series3 struct{ rate, p50, p99 Series }

func (s *series3) add(c CallTimes) {
	s.rate, s.p50, s.p99 = append(s.rate, c.PerS), append(s.p50, c.P50), append(s.p99, c.P99)
}

func (s *series3) median() CallTimes {
	return CallTimes{PerS: round(s.rate.Median(), 0), P50: round(s.p50.Median(), 1), P99: round(s.p99.Median(), 1)}
}

// hammer asks for keys of one process from so many clients for a while, each as fast as it is answered.
func (q *querying) hammer(ctx context.Context, who, clients int, span time.Duration) (CallTimes, error) {
	times, errs := make([][]time.Duration, clients), make([]error, clients)
	began := time.Now()
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			for n := i; time.Since(began) < span && errs[i] == nil; n += clients {
				start := time.Now()
				_, errs[i] = q.table.Get(ctx, q.mine[who][n%len(q.mine[who])], tables.Ask{Fresh: true})
				times[i] = append(times[i], time.Since(start))
			}
		})
	}
	group.Wait()
	return callTimes(slices.Concat(times...), time.Since(began)), errors.Join(errs...)
}

func callTimes(all []time.Duration, took time.Duration) CallTimes {
	slices.Sort(all)
	return CallTimes{PerS: round(float64(len(all))/took.Seconds(), 0), P50: micros(quantile(all, 0.5)), P99: micros(quantile(all, 0.99))}
}

// readYourWrites writes a record and asks for its key with the token, again and again.
func (q *querying) readYourWrites(ctx context.Context, span time.Duration) (CallTimes, error) {
	var times []time.Duration
	began := time.Now()
	for i := 0; time.Since(began) < span; i++ {
		key := q.mine[i%2][i%sortKeys%len(q.mine[i%2])]
		start := time.Now()
		token, err := q.client.Produce(ctx, q.in, tables.Record{Key: key, Value: []byte(`{"total":7}`)})
		if err == nil {
			_, err = q.table.Get(ctx, key, tables.Ask{After: token, Wait: tables.WaitMax})
		}
		if err != nil {
			return CallTimes{}, fmt.Errorf("read what was written: %w", err)
		}
		times = append(times, time.Since(start))
	}
	return callTimes(times, time.Since(began)), nil
}
