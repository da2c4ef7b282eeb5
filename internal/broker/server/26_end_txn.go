package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/txn"
)

// endTxn decides a transaction. It is answered when the decision is durable and its markers are written.
func endTxn(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.EndTxnRequest)
	response := req.ResponseKind().(*kmsg.EndTxnResponse)
	response.ProducerID, response.ProducerEpoch = txn.NoProducer.ID, txn.NoProducer.Epoch
	if !s.allowed(r, acl.TransactionalID(req.TransactionalID), opWrite) {
		response.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		return response
	}
	ask := txn.EndRequest{
		ID: req.TransactionalID, Producer: txn.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch},
		Commit: req.Commit, Bump: r.version >= 5,
	}
	var next txn.Producer
	err := s.txns.call(ctx, func(c *txn.Coordinator, at time.Time) (e txn.Effects, err error) {
		next, e, err = c.EndTxn(at, ask)
		return e, err
	})
	if err != nil {
		response.ErrorCode = code(txn.ErrorFor(kmsg.EndTxn, r.version, err))
		return response
	}
	response.ProducerID, response.ProducerEpoch = next.ID, next.Epoch
	return response
}
