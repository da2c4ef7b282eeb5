package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/txn"
)

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
