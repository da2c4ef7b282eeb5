package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/group"
	"ravenswood.dev/internal/broker/txn"
)

// txnOffsetCommit keeps offsets until their transaction ends.
func txnOffsetCommit(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.TxnOffsetCommitRequest)
	if !s.allowed(r, acl.TransactionalID(req.TransactionalID), opWrite) {
		return group.RefuseTxnCommit(req, kerr.TransactionalIDAuthorizationFailed)
	}
	if err := s.mayUse(r, req.Group, opRead); err != nil {
		return group.RefuseTxnCommit(req, err)
	}
	if len(req.Topics) > 0 && !slices.ContainsFunc(req.Topics, func(t kmsg.TxnOffsetCommitRequestTopic) bool { return s.allowed(r, acl.Topic(t.Topic), opRead) }) {
		return group.RefuseTxnCommit(req, kerr.TopicAuthorizationFailed) // whatever the state of the transaction
	}
	var response *kmsg.TxnOffsetCommitResponse
	failed := s.groups.within(ctx, req.Group, func(g *group.Group, at time.Time) *kerr.Error {
		if err := g.AllowTxnCommit(req); err != nil {
			return err
		}
		if err := s.txns.joinGroup(at, req, r.version >= 5); err != nil {
			return kafkaError(txn.ErrorFor(kmsg.TxnOffsetCommit, r.version, err))
		}
		var e group.OffsetsEntry
		s.groups.offsetsMu.Lock()
		e, response = s.groups.offsets.TxnCommit(at, req, s.groups.resolve(r, opRead))
		s.groups.offsetsMu.Unlock()
		return s.groups.commit(e)
	})
	if failed != nil {
		return group.RefuseTxnCommit(req, failed)
	}
	return response
}

func kafkaError(err error) *kerr.Error {
	if k, ok := errors.AsType[*kerr.Error](err); ok {
		return k
	}
	return kerr.UnknownServerError
}

func (t *transactions) joinGroup(at time.Time, req *kmsg.TxnOffsetCommitRequest, implicit bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.nudge()
	return t.c.JoinGroup(at, req.TransactionalID, txn.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch}, req.Group, implicit)
}
