package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/txn"
)

func listTransactions(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.ListTransactionsRequest)
	response := req.ResponseKind().(*kmsg.ListTransactionsResponse)
	filter := txn.Filter{Producers: req.ProducerIDFilters}
	if req.DurationFilterMillis > 0 {
		filter.Longer = time.Duration(req.DurationFilterMillis) * time.Millisecond
	}
	if req.TransactionalIDPattern != nil {
		filter.Pattern = *req.TransactionalIDPattern
	}
	for _, name := range req.StateFilters {
		state, ok := txn.ParseState(name)
		if !ok {
			response.UnknownStateFilters = append(response.UnknownStateFilters, name)
			continue
		}
		filter.States = append(filter.States, state)
	}
	if len(req.StateFilters) > 0 && len(filter.States) == 0 {
		return response
	}
	s.txns.mu.Lock()
	list, err := s.txns.c.List(time.Now(), filter)
	s.txns.mu.Unlock()
	response.ErrorCode = code(err)
	for _, l := range list {
		if !s.allowed(r, acl.TransactionalID(l.ID), opDescribe) {
			continue
		}
		out := kmsg.NewListTransactionsResponseTransactionState()
		out.TransactionalID, out.ProducerID, out.TransactionState = l.ID, l.ProducerID, l.State.String()
		response.TransactionStates = append(response.TransactionStates, out)
	}
	return response
}
