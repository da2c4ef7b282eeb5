package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/txn"
)

func addOffsetsToTxn(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.AddOffsetsToTxnRequest)
	response := req.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
	var err error
	switch {
	case !s.allowed(r, acl.TransactionalID(req.TransactionalID), opWrite):
		err = kerr.TransactionalIDAuthorizationFailed
	case !s.allowed(r, acl.Group(req.Group), opRead):
		err = kerr.GroupAuthorizationFailed
	default:
		p := txn.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch}
		err = s.txns.call(ctx, func(c *txn.Coordinator, at time.Time) (txn.Effects, error) {
			return c.AddOffsets(at, req.TransactionalID, p, req.Group)
		})
	}
	response.ErrorCode = code(txn.ErrorFor(kmsg.AddOffsetsToTxn, r.version, err))
	return response
}
