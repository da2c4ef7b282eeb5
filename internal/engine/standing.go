package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// standing is where a store stands in its changelog when somebody is to go on with it.
type standing struct {
	at      int64         // its checkpoint; -1: it has nothing
	current time.Time     // a time at which it had everything; zero: none is known
	start   int64         // the first offset that the log has
	end     int64         // where the log ends
	to      int64         // how far it is to be read: to end, or to what is committed of an input
	keeps   time.Duration // how long the log keeps a deletion; 0: as long as everything else
}

// The reasons for which a store can't go on where it stands.
const (
	aheadOfLog  = "it is ahead of what is committed"
	cutOff      = "the log has lost records that it has not read"
	awayTooLong = "it was away for longer than the log keeps deletions"
)

// unfit says why a store can't go on where it stands, "" if it can.
//
// A compacted log removes a deletion some time after it was written (delete.retention.ms), and with it the last trace of
// its key. Who has not read so far has to be told in another way, and there is none but reading everything. The deletions that a
// store may have missed were written after it last had everything: so it is this time that counts, and not how long the
// process was away. A store that has nothing to read has missed nothing.
func (s standing) unfit(now time.Time) string {
	switch {
	case s.at < 0:
		return ""
	case s.at > s.to:
		return aheadOfLog
	case s.at < s.start:
		return cutOff
	case s.at < s.end && !recent(s.current, s.keeps, now):
		return awayTooLong
	}
	return ""
}

// whole says whether a log is read from its beginning to bring a store up to date.
func (s standing) whole(now time.Time) bool { return s.at < 0 || s.unfit(now) != "" }

// lag is how many offsets there are to read.
func (s standing) lag(now time.Time) int64 {
	if s.whole(now) {
		return max(s.to-s.start, 0)
	}
	return s.to - s.at
}

// marginShare is the part of the time for which deletions are kept that is left for reading, and for clocks that differ.
const marginShare = 8

// recent says whether every deletion written since a time is still in a log that keeps them so long. A time that lies ahead
// says that a clock was wrong, and nothing else.
func recent(since time.Time, keeps time.Duration, now time.Time) bool {
	if keeps == 0 {
		return true
	}
	margin := keeps / marginShare
	age := now.Sub(since)
	return !since.IsZero() && age <= keeps-margin && age >= -margin
}

// The settings of a topic that decide how long it keeps deletions, and what brokers take if they don't say.
const (
	cleanupPolicy     = "cleanup.policy"
	deleteRetention   = "delete.retention.ms"
	defaultTombstones = 24 * time.Hour
	// leastTombstones stands for none at all: 0 would be for ever.
	leastTombstones = time.Nanosecond
)

// keepsDeletions is how long a topic keeps deletions; 0 if it does not remove them before other records.
func keepsDeletions(config map[string]string) time.Duration {
	if !strings.Contains(config[cleanupPolicy], "compact") {
		return 0
	}
	ms, err := strconv.ParseInt(config[deleteRetention], 10, 64)
	const most = int64(1<<63-1) / int64(time.Millisecond)
	switch {
	case err != nil:
		return defaultTombstones
	case ms > most:
		return 0
	}
	return max(time.Duration(ms)*time.Millisecond, leastTombstones)
}

// logEnds are the offsets between which logs are.
type logEnds struct {
	asked       time.Time // before they were given
	start, end  map[kafka.TopicPartition]int64
	keepsByName map[string]time.Duration
}

// askEnds asks where the changelogs of some stores begin and end, open transactions included.
func (e *Engine) askEnds(ctx context.Context, stages ...*topology.Stage) (logEnds, error) {
	l := logEnds{asked: time.Now(), keepsByName: e.keeps}
	topics := changelogs(stages...)
	var err error
	if l.start, err = e.admin.StartOffsets(ctx, topics...); err != nil {
		return l, err
	}
	l.end, err = e.restoreEnds(ctx, topics)
	return l, err
}

// changelogs lists the topics that the stores of some stages are made from.
func changelogs(stages ...*topology.Stage) (topics []string) {
	for _, st := range stages {
		for _, s := range st.Stores {
			if s.Changelog != "" {
				topics = append(topics, s.Changelog)
			}
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

// of is how a store stands whose checkpoint is at; committed counts for a store that is made from an input.
func (l logEnds) of(s *topology.Store, n int32, at int64, current time.Time, committed int64) standing {
	tp := kafka.TopicPartition{Topic: s.Changelog, Partition: n}
	st := standing{at: at, current: current, start: l.start[tp], end: l.end[tp], to: l.end[tp], keeps: l.keepsByName[s.Changelog]}
	if s.Source {
		st.to = min(st.to, committed)
	}
	return st
}

// dropDeleted takes from a store that is a copy of its topic what the topic has not any more. It is for one that was away
// for too long: what it has missed is still to be read, but for the deletions that are gone. Emptying it would be wrong: what
// the log held at the committed offset is compacted away, and records that are still to be joined need it.
//
// A key stays if the log has a value of it, whichever: then its deletion, if there is one, is removed at the earliest as
// long after now as the log keeps deletions, which is time enough to read it.
func (e *Engine) dropDeleted(ctx context.Context, state *store.State, j restoreJob) error {
	stable, err := e.admin.StableOffsets(ctx, j.store.Changelog)
	if err != nil {
		return err
	}
	var known hashes
	end := stable[kafka.TopicPartition{Topic: j.store.Changelog, Partition: j.n}]
	if j.start < end {
		ranges := map[int32]kafka.Range{j.n: {From: j.start, To: end}}
		err := kafka.ReadBatches(ctx, e.env.Kafka, j.store.Changelog, ranges, func(b kafka.Batch) error {
			for _, r := range b.Records {
				if r.Key != nil && r.Value != nil {
					known.add(r.Key)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	known.pack()
	return dropUnknown(state, j.store.Name, &known)
}

// dropPiece is how many deletions are loaded at once.
const dropPiece = 10_000

func dropUnknown(state *store.State, name string, known *hashes) error {
	at := state.Checkpoint(name)
	var gone []store.Change
	load := func() error {
		err := state.Load(name, gone, at)
		gone = gone[:0]
		return err
	}
	reader := state.Reader()
	for key := range reader.KeyValue(name).Range(nil, nil) {
		if known.has(key) {
			continue
		}
		if gone = append(gone, store.Change{Store: name, Key: key}); len(gone) == dropPiece {
			if err := load(); err != nil {
				return err
			}
		}
	}
	if err := cmp.Or(reader.Err(), load()); err != nil {
		return fmt.Errorf("take deleted keys from store %q: %w", name, err)
	}
	return nil
}

// hashes is a set of keys, by a hash of 64 bits: eight bytes for each key however long it is. Two keys that have the same
// one are so rare that a deleted key that stays because of it is not to be feared.
type hashes struct {
	all    []uint64
	packed int // so many at the beginning are sorted, each once
}

func (h *hashes) add(key []byte) {
	if len(h.all) >= 2*h.packed+1<<16 {
		h.pack()
	}
	h.all = append(h.all, xxhash.Sum64(key))
}

// pack must be called before has.
func (h *hashes) pack() {
	slices.Sort(h.all)
	h.all = slices.Compact(h.all)
	h.packed = len(h.all)
}

func (h *hashes) has(key []byte) bool {
	_, ok := slices.BinarySearch(h.all, xxhash.Sum64(key))
	return ok
}
