package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

// batchMax is how many letters are in memory, or in one transaction, at a time.
const batchMax = 500

// Options say whose letters a Store works on.
type Options struct {
	Kafka    kafka.Config
	Topology string
	Topic    string // the dead-letter topic
	Replay   string // the topic that brings letters back
	// Back is the topic that brings letters back today, by the spout they came in by, where that is known: a letter names
	// that of the version that gave up on it, and the stage may have another now.
	Back map[string]string
}

// Store lists, replays and drops the dead letters of one topology.
type Store struct {
	o   Options
	log *slog.Logger
}

// New makes a Store; it connects with each call.
func New(o Options) *Store {
	log := o.Kafka.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Store{o: o, log: log.With("topology", o.Topology)}
}

// List returns the selected letters in the order in which Replay would take them. A topic that does not exist yet has
// none. Set a limit, or use Each, where there may be many.
func (s *Store) List(ctx context.Context, sel Selection) ([]Letter, error) {
	var letters []Letter
	err := s.Each(ctx, sel, func(l Letter) error {
		letters = append(letters, l)
		return nil
	})
	return letters, err
}

// Each is List, one letter at a time.
func (s *Store) Each(ctx context.Context, sel Selection, visit func(Letter) error) error {
	found, err := s.find(ctx, sel)
	if err != nil {
		return err
	}
	return s.batches(ctx, found, func(letters []Letter) error {
		for _, l := range letters {
			if err := visit(l); err != nil {
				return err
			}
		}
		return nil
	})
}

// Get returns one letter, or an *UnknownError.
func (s *Store) Get(ctx context.Context, id string) (Letter, error) {
	letters, err := s.List(ctx, Selection{IDs: []string{id}})
	if err != nil {
		return Letter{}, err
	}
	return letters[0], nil
}

// Counts says how many letters there are by state. It reads the whole topic.
func (s *Store) Counts(ctx context.Context) (map[State]int, error) {
	counts := map[State]int{Waiting: 0, Replayed: 0, Dropped: 0}
	x, err := s.index(ctx, Selection{})
	if err != nil {
		return nil, err
	}
	for _, e := range x {
		counts[e.state]++
	}
	return counts, nil
}

// entry is what is kept of a letter while the topic is read: no more than is needed to choose and to find it again.
type entry struct {
	id      string
	at      place // of the first copy
	time    time.Time
	rank    rank
	admit   bool
	state   State
	changed time.Time
}

// find returns the entries of the selected letters in order. Every id that was asked for is there, or it is an error.
func (s *Store) find(ctx context.Context, sel Selection) ([]*entry, error) {
	x, err := s.index(ctx, sel)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, id := range sel.IDs {
		if x[id] == nil {
			problems = append(problems, &UnknownError{id})
		}
	}
	states := sel.states()
	var found []*entry
	for _, e := range x {
		if e.admit && slices.Contains(states, e.state) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *entry) int { return a.rank.compare(b.rank) })
	if sel.Limit > 0 && len(found) > sel.Limit {
		found = found[:sel.Limit]
	}
	return found, errors.Join(problems...)
}

// index reads the whole topic, folding copies and marks into the first copy of each letter.
func (s *Store) index(ctx context.Context, sel Selection) (map[string]*entry, error) {
	x := map[string]*entry{}
	foreign := 0
	err := kafka.ReadToEnd(ctx, s.o.Kafka, s.o.Topic, nil, func(r *kgo.Record) error {
		if id, state, ok := readMark(r); ok {
			if e := x[id]; e != nil {
				e.state, e.changed = state, r.Timestamp
			}
			return nil
		}
		l, err := Parse(r)
		if err != nil {
			foreign++
			return nil
		}
		id := l.ID()
		// The same coordinates with another time are another record: the input topic was made anew.
		if e := x[id]; e == nil || !e.time.Equal(l.OriginalTime) {
			x[id] = &entry{id: id, at: l.at, time: l.OriginalTime, rank: l.rank(), admit: sel.admits(id, &l), state: Waiting}
		}
		return nil
	})
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return x, nil
	}
	if foreign > 0 {
		s.log.Warn("the dead-letter topic holds records that are no dead letters", "topic", s.o.Topic, "records", foreign)
	}
	return x, err
}

// batches reads the letters of the entries, a batch at a time, in the order of the entries.
func (s *Store) batches(ctx context.Context, entries []*entry, visit func([]Letter) error) error {
	for batch := range slices.Chunk(entries, batchMax) {
		letters, err := s.read(ctx, batch)
		if err != nil {
			return err
		}
		if err := visit(letters); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) read(ctx context.Context, batch []*entry) ([]Letter, error) {
	ranges := map[int32]kafka.Range{}
	index := map[place]int{}
	for i, e := range batch {
		index[e.at] = i
		r, ok := ranges[e.at.partition]
		if !ok {
			r = kafka.Range{From: e.at.offset}
		}
		ranges[e.at.partition] = kafka.Range{From: min(r.From, e.at.offset), To: max(r.To, e.at.offset+1)}
	}
	letters := make([]Letter, len(batch))
	err := kafka.ReadRanges(ctx, s.o.Kafka, s.o.Topic, ranges, func(r *kgo.Record) error {
		i, wanted := index[place{r.Partition, r.Offset}]
		if !wanted {
			return nil
		}
		l, err := Parse(own(r))
		l.State, l.Changed = batch[i].state, batch[i].changed
		letters[i] = l
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, e := range batch {
		if letters[i].Source.Topic == "" {
			return nil, fmt.Errorf("read dead letter %q: the topic's retention removed it meanwhile", e.id)
		}
	}
	return letters, nil
}

// own copies a record's bytes, so that keeping it does not keep the whole fetch it came with.
func own(r *kgo.Record) *kgo.Record {
	c := *r
	c.Key, c.Value = slices.Clone(r.Key), slices.Clone(r.Value)
	c.Headers = slices.Clone(r.Headers)
	for i := range c.Headers {
		c.Headers[i].Value = slices.Clone(c.Headers[i].Value)
	}
	return &c
}
