package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

func describeTransactions(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DescribeTransactionsRequest)
	response := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
	for _, id := range req.TransactionalIDs {
		out := kmsg.NewDescribeTransactionsResponseTransactionState()
		out.TransactionalID, out.ProducerID, out.ProducerEpoch, out.StartTimestamp = id, -1, -1, -1
		if !s.allowed(r, acl.TransactionalID(id), opDescribe) {
			out.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		} else {
			out.ErrorCode = code(s.describeTransaction(r, id, &out))
		}
		response.TransactionStates = append(response.TransactionStates, out)
	}
	return response
}

func (s *Server) describeTransaction(r *request, id string, out *kmsg.DescribeTransactionsResponseTransactionState) error {
	s.txns.mu.Lock()
	d, err := s.txns.c.Describe(id)
	s.txns.mu.Unlock()
	if err != nil {
		return err
	}
	out.State, out.TimeoutMillis = d.State.String(), int32(d.Timeout.Milliseconds())
	out.ProducerID, out.ProducerEpoch = d.Producer.ID, d.Producer.Epoch
	if !d.Start.IsZero() {
		out.StartTimestamp = d.Start.UnixMilli()
	}
	at := map[string]int{}
	for _, p := range d.Partitions {
		if !s.allowed(r, acl.Topic(p.Topic), opDescribe) {
			continue
		}
		i, known := at[p.Topic]
		if !known {
			t := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
			t.Topic = p.Topic
			i = len(out.Topics)
			at[p.Topic] = i
			out.Topics = append(out.Topics, t)
		}
		out.Topics[i].Partitions = append(out.Topics[i].Partitions, p.Partition)
	}
	return nil
}
