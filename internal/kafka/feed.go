package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// FeedConfig says what a FeedWriter writes and as whom.
type FeedConfig struct {
	Config
	ID    string // transactional id: a second writer of the same id ends the first
	Group string // holds the position as the metadata of partition 0's offset; it has no members
	Topic string
}

// FeedWriter writes records from outside the log together with the position in their source, in one transaction.
// It is for one goroutine.
type FeedWriter struct {
	cl     *kgo.Client
	cfg    FeedConfig
	inTxn  bool
	count  int64 // commits; the offset that goes with the position
	failed atomic.Pointer[error]
}

// NewFeedWriter takes the id over: after it returns, nothing of a predecessor is under way.
func NewFeedWriter(ctx context.Context, cfg FeedConfig) (*FeedWriter, error) {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 5) // see NewTransactor
	cl, err := cfg.client(kgo.TransactionalID(cfg.ID), kgo.TransactionTimeout(transactionTimeout), kgo.MaxVersions(versions),
		kgo.ProducerBatchMaxBytes(InternalMaxRecord))
	if err != nil {
		return nil, fmt.Errorf("open feed %q: %w", cfg.ID, err)
	}
	if _, _, err := cl.ProducerID(ctx); err != nil {
		cl.Close()
		return nil, fmt.Errorf("take over transactional id %q: %w", cfg.ID, err)
	}
	return &FeedWriter{cl: cl, cfg: cfg}, nil
}

// InternalMaxRecord is the max.message.bytes of the topics a topology makes for itself: room for any record that a
// user's topic may hold, and what we add to it.
const InternalMaxRecord = 32 << 20

// Position returns what the last commit stored, nil before the first.
func (w *FeedWriter) Position(ctx context.Context) ([]byte, error) {
	offsets, err := kadm.NewClient(w.cl).FetchOffsets(ctx, w.cfg.Group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil // some brokers say so of a group that never committed
	}
	if err != nil {
		return nil, fmt.Errorf("read position of %q: %w", w.cfg.Group, err)
	}
	o, ok := offsets.Lookup(w.cfg.Topic, 0)
	if !ok || o.At < 0 {
		return nil, nil
	}
	if o.Err != nil {
		return nil, fmt.Errorf("read position of %q: %w", w.cfg.Group, o.Err)
	}
	w.count = o.At
	return []byte(o.Metadata), nil
}

// Produce adds a record to the open transaction, opening one if need be. Failures show at Commit.
func (w *FeedWriter) Produce(ctx context.Context, r *kgo.Record) {
	if !w.inTxn {
		if err := w.cl.BeginTransaction(); err != nil {
			w.failed.CompareAndSwap(nil, &err)
			return
		}
		w.inTxn = true
	}
	w.cl.Produce(ctx, r, func(_ *kgo.Record, err error) {
		if err != nil {
			w.failed.CompareAndSwap(nil, &err)
		}
	})
}

// Commit makes the records since the last commit and the position durable together. After an error the writer is of
// no more use: close it, make another, and go on from its Position.
func (w *FeedWriter) Commit(ctx context.Context, position []byte) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if err := w.cl.Flush(ctx); err != nil {
		return fmt.Errorf("write topic %q: %w", w.cfg.Topic, err)
	}
	if err := w.failed.Load(); err != nil {
		return fmt.Errorf("write topic %q: %w", w.cfg.Topic, *err)
	}
	if !w.inTxn {
		return nil // a position without records is told again by the source
	}
	if err := w.commitPosition(ctx, position); err != nil {
		return fmt.Errorf("store position of %q: %w", w.cfg.Group, err)
	}
	if err := w.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return fmt.Errorf("end transaction of %q: %w", w.cfg.ID, err)
	}
	w.inTxn = false
	return nil
}

func (w *FeedWriter) commitPosition(ctx context.Context, position []byte) error {
	id, epoch, err := w.cl.ProducerID(ctx)
	if err != nil {
		return err
	}
	w.count++
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch = w.cfg.ID, w.cfg.Group, id, epoch
	rt := kmsg.NewTxnOffsetCommitRequestTopic()
	rt.Topic = w.cfg.Topic
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Offset, rp.Metadata = w.count, kmsg.StringPtr(string(position))
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, w.cl)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close ends the writer; an open transaction is aborted.
func (w *FeedWriter) Close() {
	if w.inTxn {
		ctx, cancel := context.WithTimeout(context.Background(), commitTimeout/20)
		defer cancel()
		_ = w.cl.AbortBufferedRecords(ctx)
		_ = w.cl.EndTransaction(ctx, kgo.TryAbort) // unanswered: the successor's takeover or the timeout ends it
	}
	w.cl.Close()
}
