package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/kafka"
)

// transaction is one that a worker left open when it died. Who knows its producer can end it in the worker's place: so the
// harness has in hand when that happens.
type transaction struct {
	client   *kgo.Client // its own: on a connection the broker answers one request after the other, and the end of this one may wait
	id       string
	producer int64
	epoch    int16
	topics   kadm.TopicsSet // what was written to
}

// leftOpen finds the open transaction of a worker, of which there is one.
func leftOpen(ctx context.Context, outside *kgo.Client, cfg kafka.Config, worker string) (*transaction, error) {
	all, err := kadm.NewClient(outside).DescribeTransactions(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the transaction of %s: %w", worker, err)
	}
	for _, t := range all {
		if t.State == "Ongoing" && strings.HasPrefix(t.TxnID, bankGroup+"."+worker+".") {
			client, err := kgo.NewClient(append(cfg.Options(), kgo.RequestTimeoutOverhead(storyPatience), kgo.RequestRetries(0))...)
			return &transaction{client: client, id: t.TxnID, producer: t.ProducerID, epoch: t.ProducerEpoch, topics: t.Topics}, err
		}
	}
	return nil, fmt.Errorf("find the transaction of %s: none of %d is open", worker, len(all))
}

// commit ends it.
func (t *transaction) commit(ctx context.Context) error {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = t.id, t.producer, t.epoch, true
	resp, err := req.RequestWith(ctx, t.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("commit %q: %w", t.id, err)
	}
	return nil
}

// claim makes it look like that of a producer which keeps offsets under its own name: workers leave it alone.
func (t *transaction) claim(ctx context.Context) error {
	var any kadm.Offsets
	any.AddOffset(topicTransfers, 0, 0, -1)
	if err := kadm.NewClient(t.client).CommitAllOffsets(ctx, t.id, any); err != nil {
		return fmt.Errorf("claim transaction %q: %w", t.id, err)
	}
	return nil
}

// leave takes the member that wrote it out of the group, so that nobody has to wait for the end of its session. Its name
// there is that of its transactions.
func (t *transaction) leave(ctx context.Context, outside *kgo.Client) error {
	left, err := kadm.NewClient(outside).LeaveGroup(ctx, kadm.LeaveGroup(bankGroup).InstanceIDs(t.id).Reason("killed"))
	if err = errors.Join(err, left.Error()); err != nil {
		return fmt.Errorf("take %q out of its group: %w", t.id, err)
	}
	return nil
}
