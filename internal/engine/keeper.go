package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// keepEvery is how often a keeper looks at the stores.
const keepEvery = time.Minute

// keeper looks after the stores of a process: it notes which of them have everything that the log has, counts how far behind
// those are that nobody uses, and has what is no longer needed closed and removed. It is one goroutine; lags may be
// called by any.
type keeper struct {
	engine *Engine
	aims   map[aimKey]aim

	mu     sync.Mutex
	behind map[unitID]int64 // of the stores that nobody uses; GUARDED_BY(mu)
}

// aim is an end of the log that a store is to reach: then it had, at the time of that end, everything.
type aim struct {
	end   int64
	at    time.Time // before the log said so
	stood int64     // where the store stood then
	empty bool      // there is nothing between stood and end
}

// aimKey tells apart who reads a partition: a table that is read from a topic, and a global table of it.
type aimKey struct {
	kafka.TopicPartition
	owner string
}

func newKeeper(e *Engine) *keeper { return &keeper{engine: e, aims: make(map[aimKey]aim)} }

// begin finds out what is here from before, so that the group knows when this process joins. A log that can't be asked now
// does not hold up the start.
func (k *keeper) begin(ctx context.Context) {
	bound, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	k.engine.states.begin(time.Now())
	k.count(bound)
}

func (k *keeper) run(ctx context.Context) {
	for sleep(ctx, keepEvery) {
		k.look(ctx)
		k.engine.states.sweep(time.Now())
		k.count(ctx)
	}
}

// kept is a store that is in use.
type kept struct {
	state  *store.State
	name   string // of the store in the State
	log    kafka.TopicPartition
	owner  string
	source bool // its checkpoint is what is committed of an input
}

// kept lists the stores in use.
func (k *keeper) kept() (all []kept) {
	e := k.engine
	for id, state := range e.states.inWork() {
		for _, s := range e.plan.Stages[id.stage].Stores {
			if s.Changelog != "" {
				all = append(all, kept{state, s.Name, kafka.TopicPartition{Topic: s.Changelog, Partition: id.n}, s.Name, s.Source})
			}
		}
	}
	return append(all, e.globals.kept()...)
}

// look confirms the stores that have everything. A log that can't be asked is asked the next time.
func (k *keeper) look(ctx context.Context) {
	all := k.kept()
	var topics []string
	for _, s := range all {
		topics = append(topics, s.log.Topic)
	}
	slices.Sort(topics)
	asked := time.Now()
	ends, err := k.engine.admin.StableOffsets(ctx, slices.Compact(topics)...)
	if err != nil {
		return
	}
	next := make(map[aimKey]aim, len(all))
	for _, s := range all {
		key := aimKey{s.log, s.owner}
		a, ok := k.aims[key]
		if ok {
			k.idle(ctx, s, ends[s.log], &a)
		}
		if ok && !a.reached(s.state.Checkpoint(s.name)) {
			next[key] = a
			continue
		}
		if ok {
			k.confirm(s, a.at)
		}
		next[key] = a.after(aim{end: ends[s.log], at: asked, stood: s.state.Checkpoint(s.name)})
	}
	k.aims = next
}

// reached says whether a store that stands at an offset has everything of before the end.
func (a aim) reached(at int64) bool { return at >= a.end || a.empty && at == a.stood }

// after is the next aim. What was found empty need not be read again.
func (a aim) after(b aim) aim {
	b.empty = a.empty && a.stood == b.stood && a.end == b.end
	return b
}

// idle finds out whether there is anything at all before the end of a log to which nothing was added, for a store that has
// not moved: the marks of transactions are at the end of most, and no store gets past its own.
func (k *keeper) idle(ctx context.Context, s kept, end int64, a *aim) {
	at := s.state.Checkpoint(s.name)
	if a.empty || at < 0 || at != a.stood || at >= a.end || end != a.end {
		return
	}
	bound, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	found := errors.New("there is something")
	err := kafka.ReadBatches(bound, k.engine.env.Kafka, s.log.Topic, map[int32]kafka.Range{s.log.Partition: {From: at, To: a.end}}, func(b kafka.Batch) error {
		if len(b.Records) > 0 {
			return found
		}
		return nil
	})
	if err != nil {
		return
	}
	a.empty = true
	if !s.source {
		_ = s.state.Pass(s.name, at, a.end) // a State that is being closed is confirmed by whoever has it next
	}
}

// confirm notes that a store had everything at a time, unless it has missed deletions before: then it is begun anew when it
// is opened the next time, and a copy at once.
func (k *keeper) confirm(s kept, at time.Time) {
	keeps := k.engine.keeps[s.log.Topic]
	if recent(s.state.Current(s.name), keeps, at) {
		_ = s.state.Confirm(s.name, at) // as above
		return
	}
	k.engine.standbys.renew(s.log, s.state)
}

// count finds out how far behind the stores are that nobody uses.
func (k *keeper) count(ctx context.Context) {
	e := k.engine
	waiting := e.states.waiting()
	var stages []*topology.Stage
	for id := range waiting {
		stages = append(stages, &e.plan.Stages[id.stage])
	}
	ends, err := e.askEnds(ctx, stages...)
	if err != nil {
		return
	}
	var committed map[kafka.TopicPartition]kafka.Committed
	if len(waiting) > 0 {
		if committed, err = e.admin.CommittedOffsets(ctx, e.plan.Group); err != nil {
			return
		}
	}
	behind := make(map[unitID]int64, len(waiting))
	for id, n := range waiting {
		behind[id] = e.behind(id, n, ends, committed)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.behind = behind
}

// behind is how much is to be read before a task can work on what a folder has.
func (e *Engine) behind(id unitID, n folderNote, ends logEnds, committed map[kafka.TopicPartition]kafka.Committed) (sum int64) {
	st := &e.plan.Stages[id.stage]
	for i := range st.Stores {
		s := &st.Stores[i]
		if s.Changelog == "" {
			continue
		}
		has, ok := n.Stores[s.Name]
		if !ok || has.Origin != e.originOf(*s) {
			has = storeNote{Next: -1}
		}
		at := max(committed[kafka.TopicPartition{Topic: s.Changelog, Partition: id.n}].Offset, 0)
		sum += ends.of(s, id.n, has.Next, has.Current, at).lag(ends.asked)
	}
	return sum
}

// lags says how far behind the stores are that nobody uses, as it was counted last.
func (k *keeper) lags() map[unitID]int64 {
	waiting := k.engine.states.waiting()
	k.mu.Lock()
	defer k.mu.Unlock()
	lags := make(map[unitID]int64)
	for id, lag := range k.behind {
		if _, still := waiting[id]; still {
			lags[id] = lag
		}
	}
	return lags
}
