package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
)

// ErrTakenOver says that another replay or drop on the same topology began meanwhile. What was done up to then is done
// and marked; the other one goes on.
var ErrTakenOver = errors.New("another replay or drop took over")

// transactionTimeout is how long a crashed replay may hold back committed readers if nobody replays again.
const transactionTimeout = 30 * time.Second

// Replay sends letters back to where their records came in, in their order, and marks them. The records and their
// marks are committed together, in batches: after a crash, and after an error, every letter is either replayed and
// marked or neither. It returns how many were replayed.
//
// A letter that was replayed or dropped before is refused with a *SettledError before anything is done, unless forced.
func (s *Store) Replay(ctx context.Context, sel Selection, force bool) (replayed int, err error) {
	return s.settle(ctx, sel, force, Replayed)
}

// Drop marks letters as dropped, so that they are no longer listed or replayed. It returns how many.
func (s *Store) Drop(ctx context.Context, sel Selection, force bool) (dropped int, err error) {
	return s.settle(ctx, sel, force, Dropped)
}

func (s *Store) settle(ctx context.Context, sel Selection, force bool, to State) (n int, err error) {
	w, err := s.newWriter(ctx)
	if err != nil {
		return 0, err
	}
	defer w.client.Close()
	// What is on its way to a broker that is gone does not heed ctx; the end of the client ends it.
	defer context.AfterFunc(ctx, w.client.Close)()
	found, err := s.find(ctx, sel) // after taking over: what a predecessor did is decided and visible
	if err == nil && !force {
		err = allWaiting(found)
	}
	if err != nil {
		return 0, err
	}
	err = s.batches(ctx, found, func(letters []Letter) error {
		if err := w.commit(ctx, letters, to); err != nil {
			return err
		}
		n += len(letters)
		return nil
	})
	s.log.Info("dead letters settled", "as", to, "letters", n, "selected", len(found))
	return n, err
}

func allWaiting(found []*entry) error {
	var problems []error
	for _, e := range found {
		if e.state != Waiting {
			problems = append(problems, &SettledError{ID: e.id, State: e.state, At: e.changed})
		}
	}
	return errors.Join(problems...)
}

// writer commits letters. Its transactional id is the same in every process, so the newest writer fences the others.
type writer struct {
	o          Options
	client     *kgo.Client
	partitions map[string]int32 // of the topics letters go back to
}

func (s *Store) newWriter(ctx context.Context) (*writer, error) {
	client, err := kgo.NewClient(append(s.o.Kafka.Options(),
		kgo.TransactionalID("raven."+s.o.Topology+".dead-letters"),
		kgo.TransactionTimeout(transactionTimeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)...)
	if err != nil {
		return nil, fmt.Errorf("take over the dead letters of %q: %w", s.o.Topology, err)
	}
	if _, _, err := client.ProducerID(ctx); err != nil { // ends a predecessor's transaction
		client.Close()
		return nil, fmt.Errorf("take over the dead letters of %q: %w", s.o.Topology, err)
	}
	return &writer{o: s.o, client: client, partitions: map[string]int32{}}, nil
}

// commit writes one batch in one transaction.
func (w *writer) commit(ctx context.Context, letters []Letter, to State) error {
	records, err := w.records(ctx, letters, to)
	if err != nil {
		return err
	}
	if err := w.client.BeginTransaction(); err != nil {
		return w.failed(err)
	}
	produced := kgo.AbortingFirstErrPromise(w.client)
	for _, r := range records {
		w.client.Produce(ctx, r, produced.Promise())
	}
	if err := produced.Err(); err != nil {
		// A fenced client cannot abort, and need not: whoever fenced it did.
		return w.failed(errors.Join(err, w.client.EndTransaction(context.WithoutCancel(ctx), kgo.TryAbort)))
	}
	if err := w.client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return w.failed(err)
	}
	return nil
}

func (w *writer) failed(err error) error {
	if errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) {
		err = ErrTakenOver
	}
	return fmt.Errorf("write the dead letters of %q: %w", w.o.Topology, err)
}

func (w *writer) records(ctx context.Context, letters []Letter, to State) ([]*kgo.Record, error) {
	now := time.Now()
	var records []*kgo.Record
	for i := range letters {
		l := &letters[i]
		if to == Replayed {
			r, err := w.back(ctx, l)
			if err != nil {
				return nil, err
			}
			records = append(records, r)
		}
		records = append(records, mark(w.o.Topic, l, to, now))
	}
	return records, nil
}

// back is the letter's record on its way back, as it was when it came in, on the partition it came in by.
func (w *writer) back(ctx context.Context, l *Letter) (*kgo.Record, error) {
	r := &kgo.Record{Topic: cmp.Or(w.o.Back[l.Input], l.Replay, w.o.Replay), Key: l.Key, Value: l.Value}
	r.Headers = append(without(l.Headers, replayPrefix), header(record.HeaderOrigin, l.Origin.String()))
	kafka.SetTime(r, l.OriginalTime, time.Now())
	if l.delivery() {
		r.Topic = l.Source.Topic
		r.Headers = append(r.Headers, header(record.HeaderReplayed, l.ID()))
	} else {
		r.Headers = append(r.Headers, header(HeaderReplayID, l.ID()), header(HeaderReplayInput, l.Input), header(HeaderReplayBolt, l.Bolt))
	}
	n, err := w.count(ctx, r.Topic)
	if err != nil {
		return nil, err
	}
	r.Partition = l.Source.Partition % n // the same for all records of a source partition, so the order stays
	return r, nil
}

func (w *writer) count(ctx context.Context, topic string) (int32, error) {
	if n := w.partitions[topic]; n > 0 {
		return n, nil
	}
	n, err := countPartitions(ctx, w.o.Kafka, topic)
	w.partitions[topic] = n
	return n, err
}

func countPartitions(ctx context.Context, cfg kafka.Config, topic string) (int32, error) {
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	ends, err := admin.EndOffsets(ctx, topic)
	return int32(len(ends)), err
}

// mark is the record that says what has become of a letter. It stands behind it, on the same partition.
func mark(topic string, l *Letter, to State, now time.Time) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Partition: l.at.partition, Key: l.Key, Timestamp: now,
		Headers: []kgo.RecordHeader{header(headerMark, string(to)), header(headerMarked, l.ID())},
	}
}

func readMark(r *kgo.Record) (id string, to State, ok bool) {
	p := parser{headers: r.Headers}
	to, id = State(p.text(headerMark)), p.text(headerMarked)
	return id, to, p.err == nil && (to == Replayed || to == Dropped)
}
