package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fenceTimeout bounds what is done about the transactions of others. It is much shorter than the group waits for a member
// that is busy, so that nobody whose transaction is ended can have come back meanwhile: who comes back is given nothing
// before this member has joined again.
const fenceTimeout = 8 * time.Second

// takeOver makes the id ours: a predecessor under it can write no more, and what it had open has ended. It is done before
// anything else, and by a member without partitions, too: what it left may hold up everybody else.
func (t *Transactor) takeOver(ctx context.Context) error {
	if !t.cfg.Transactional {
		return nil
	}
	if _, _, err := t.cl.ProducerID(ctx); err != nil {
		return fmt.Errorf("take over transactional id %q: %w", t.cfg.ID, err)
	}
	return nil
}

// endPredecessors ends the transactions of members that are gone. Offsets, changelogs, and whoever reads what they wrote
// would wait for them until they time out.
//
// It saves time and no more: what a member that is gone still writes is refused by the group's generation, and where it has
// written is waited for. So it is bounded, and what goes wrong with it is said and ends nothing.
func (t *Transactor) endPredecessors(ctx context.Context) {
	if !t.cfg.Transactional || t.cfg.Unfenced {
		return
	}
	bound, cancel := context.WithTimeout(ctx, fenceTimeout)
	defer cancel()
	for _, id := range t.predecessors(bound) {
		if err := t.endTransactionsOf(bound, id); err != nil {
			t.cfg.logger().Warn("the transaction of a worker that is gone is open until it times out", "group", t.cfg.Group, "worker", id, "err", err)
			continue
		}
		t.cfg.logger().Info("what a worker that is gone had open has ended", "group", t.cfg.Group, "worker", id)
	}
}

// predecessors are the members that are gone and may have a transaction open: those whose tasks this one has just been
// given, and those that nobody here has met.
func (t *Transactor) predecessors(ctx context.Context) []string {
	ids := t.membership.gone()
	strangers, err := t.strangers(ctx)
	if err != nil {
		t.cfg.logger().Warn("cannot look for transactions of workers that are gone; what they hold is held until they time out", "group", t.cfg.Group, "err", err)
	}
	for _, id := range strangers {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
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
