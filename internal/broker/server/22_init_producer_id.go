package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/txn"
)

// initProducerID gives a producer its id and epoch, and fences whoever had the transactional id before.
func initProducerID(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.InitProducerIDRequest)
	response := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	p, err := s.initProducer(ctx, r, req)
	if err != nil {
		p = txn.NoProducer
		response.ErrorCode = code(txn.ErrorFor(kmsg.InitProducerID, r.version, err))
	}
	response.ProducerID, response.ProducerEpoch = p.ID, p.Epoch
	return response
}

func (s *Server) initProducer(ctx context.Context, r *request, req *kmsg.InitProducerIDRequest) (p txn.Producer, err error) {
	if req.TransactionalID == nil {
		if !s.mayBeProducer(r) {
			return p, kerr.ClusterAuthorizationFailed
		}
		err = s.txns.call(ctx, func(c *txn.Coordinator, _ time.Time) (e txn.Effects, _ error) {
			p, e = c.NewProducer()
			return e, nil
		})
		return p, err
	}
	if !s.allowed(r, acl.TransactionalID(*req.TransactionalID), opWrite) {
		return p, kerr.TransactionalIDAuthorizationFailed
	}
	ask := txn.InitRequest{
		ID: *req.TransactionalID, Timeout: time.Duration(req.TransactionTimeoutMillis) * time.Millisecond, Producer: txn.NoProducer,
	}
	if r.version >= 3 {
		ask.Producer = txn.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch}
	}
	err = s.txns.call(ctx, func(c *txn.Coordinator, at time.Time) (e txn.Effects, err error) {
		p, e, err = c.InitProducerID(at, ask)
		return e, err
	})
	return p, err
}

// mayBeProducer: who may write some topic may have an id.
func (s *Server) mayBeProducer(r *request) bool {
	if !s.security.o.Authorize || s.allowed(r, acl.Cluster(), opIdempotentWrite) {
		return true
	}
	return s.security.state.ACLs.AllowedAny(r.principal, r.conn.host, opWrite, kmsg.ACLResourceTypeTopic)
}
