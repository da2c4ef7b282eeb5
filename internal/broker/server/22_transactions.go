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

// nothing holds a group for a moment.
func nothing(*group.Group, time.Time) *kerr.Error { return nil }

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

// addPartitionsToTxn tells a transaction which partitions it writes to, for clients that do so before they write.
func addPartitionsToTxn(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.AddPartitionsToTxnRequest)
	response := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	if r.version < 4 {
		topics := map[string][]int32{}
		var order []string
		for _, t := range req.Topics {
			order = append(order, t.Topic)
			topics[t.Topic] = append(topics[t.Topic], t.Partitions...)
		}
		failed := s.addPartitions(ctx, r, req.TransactionalID, txn.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch}, order, topics, false)
		for _, name := range order {
			out := kmsg.NewAddPartitionsToTxnResponseTopic()
			out.Topic = name
			for _, p := range topics[name] {
				part := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				part.Partition, part.ErrorCode = p, failed(name, p)
				out.Partitions = append(out.Partitions, part)
			}
			response.Topics = append(response.Topics, out)
		}
		return response
	}
	for _, t := range req.Transactions {
		response.Transactions = append(response.Transactions, s.addForBroker(ctx, r, t))
	}
	return response
}

// addForBroker is the form in which brokers ask each other; clients may, too, if they may act on the cluster.
func (s *Server) addForBroker(ctx context.Context, r *request, t kmsg.AddPartitionsToTxnRequestTransaction) kmsg.AddPartitionsToTxnResponseTransaction {
	out := kmsg.NewAddPartitionsToTxnResponseTransaction()
	out.TransactionalID = t.TransactionalID
	topics := map[string][]int32{}
	var order []string
	for _, topic := range t.Topics {
		order = append(order, topic.Topic)
		topics[topic.Topic] = append(topics[topic.Topic], topic.Partitions...)
	}
	failed := s.addPartitions(ctx, r, t.TransactionalID, txn.Producer{ID: t.ProducerID, Epoch: t.ProducerEpoch}, order, topics, t.VerifyOnly)
	for _, name := range order {
		topic := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		topic.Topic = name
		for _, p := range topics[name] {
			part := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			part.Partition, part.ErrorCode = p, failed(name, p)
			topic.Partitions = append(topic.Partitions, part)
		}
		out.Topics = append(out.Topics, topic)
	}
	return out
}

// addPartitions adds all partitions or none, and returns what to say about each.
func (s *Server) addPartitions(ctx context.Context, r *request, id string, p txn.Producer, order []string, topics map[string][]int32, verify bool) func(string, int32) int16 {
	all := func(err error) func(string, int32) int16 {
		return func(string, int32) int16 { return code(txn.ErrorFor(kmsg.AddPartitionsToTxn, r.version, err)) }
	}
	if !s.allowed(r, acl.TransactionalID(id), opWrite) || r.version >= 4 && !s.allowed(r, acl.Cluster(), kmsg.ACLOperationClusterAction) {
		return all(kerr.TransactionalIDAuthorizationFailed)
	}
	bad := map[txn.TopicPartition]error{}
	var parts []txn.TopicPartition
	for _, name := range order {
		for _, index := range topics[name] {
			at := txn.TopicPartition{Topic: name, Partition: index}
			parts = append(parts, at)
			switch {
			case !s.allowed(r, acl.Topic(name), opWrite):
				bad[at] = kerr.TopicAuthorizationFailed
			case s.topics.partition(name, index) == nil:
				bad[at] = kerr.UnknownTopicOrPartition
			}
		}
	}
	if len(bad) > 0 {
		return func(name string, index int32) int16 {
			if err := bad[txn.TopicPartition{Topic: name, Partition: index}]; err != nil {
				return code(err)
			}
			return kerr.OperationNotAttempted.Code
		}
	}
	if verify {
		return s.verifyPartitions(id, p, parts)
	}
	err := s.txns.call(ctx, func(c *txn.Coordinator, at time.Time) (txn.Effects, error) { return c.AddPartitions(at, id, p, parts) })
	return all(err)
}

func (s *Server) verifyPartitions(id string, p txn.Producer, parts []txn.TopicPartition) func(string, int32) int16 {
	s.txns.mu.Lock()
	errs := s.txns.c.VerifyPartitions(id, p, parts)
	s.txns.mu.Unlock()
	said := map[txn.TopicPartition]int16{}
	for i, at := range parts {
		said[at] = code(errs[i])
	}
	return func(name string, index int32) int16 { return said[txn.TopicPartition{Topic: name, Partition: index}] }
}

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
