package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fence makes sure that nobody but us has a transaction open in which the partitions were worked on: neither a predecessor
// under our id, nor a member that is gone and had tasks that are ours now. Offsets and changelogs would wait for such a
// transaction until it times out.
func (t *Transactor) fence(ctx context.Context) error {
	if !t.cfg.Transactional {
		return nil
	}
	if _, _, err := t.cl.ProducerID(ctx); err != nil {
		return fmt.Errorf("take over transactional id %q: %w", t.cfg.ID, err)
	}
	if t.cfg.Unfenced {
		return nil
	}
	for _, id := range t.membership.gone() {
		if err := t.endTransactionsOf(ctx, id); err != nil {
			return fmt.Errorf("end the transaction of worker %q, which is gone: %w", id, err)
		}
	}
	return nil
}

// gone are the members that had tasks which this one has just been given, and are not in the group any more. One that is
// still at work somewhere has lost its tasks all the same, and learns of it when it writes.
func (m *membership) gone() (ids []string) {
	if m.balancer == nil {
		return nil
	}
	a, ok := m.balancer.assignment()
	if !ok || a.Members == nil {
		return nil
	}
	for _, peer := range m.peers {
		here := slices.ContainsFunc(a.Members, func(p Peer) bool { return p.ID == peer.ID })
		ours := slices.ContainsFunc(peer.Active, func(task Task) bool { return slices.Contains(a.Active, task) })
		if ours && !here {
			ids = append(ids, peer.ID)
		}
	}
	return ids
}

// endTransactionsOf takes an id over for a moment. The broker answers when what was open has been aborted everywhere.
func (t *Transactor) endTransactionsOf(ctx context.Context, id string) error {
	for {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &id, int32(transactionTimeout.Milliseconds())
		resp, err := req.RequestWith(ctx, t.cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if !errors.Is(err, kerr.ConcurrentTransactions) {
			return err
		}
		if err := pause(ctx, retryPause/4); err != nil {
			return err
		}
	}
}
