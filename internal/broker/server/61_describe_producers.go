package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// describeProducers tells who writes to partitions and which transactions are open.
func describeProducers(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DescribeProducersRequest)
	response := req.ResponseKind().(*kmsg.DescribeProducersResponse)
	for _, t := range req.Topics {
		out := kmsg.NewDescribeProducersResponseTopic()
		out.Topic = t.Topic
		for _, index := range t.Partitions {
			part := kmsg.NewDescribeProducersResponseTopicPartition()
			part.Partition = index
			p := s.topics.partition(t.Topic, index)
			switch {
			case !s.allowed(r, acl.Topic(t.Topic), opRead):
				part.ErrorCode = kerr.TopicAuthorizationFailed.Code
			case p == nil:
				part.ErrorCode = kerr.UnknownTopicOrPartition.Code
			case p.fenced() != nil:
				part.ErrorCode = kerr.KafkaStorageError.Code
			default:
				part.ActiveProducers = p.activeProducers()
			}
			out.Partitions = append(out.Partitions, part)
		}
		response.Topics = append(response.Topics, out)
	}
	return response
}

func (p *partition) activeProducers() []kmsg.DescribeProducersResponseTopicPartitionActiveProducer {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []kmsg.DescribeProducersResponseTopicPartitionActiveProducer
	for _, state := range p.producers.Describe() {
		a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		a.ProducerID, a.ProducerEpoch, a.LastSequence = state.ProducerID, int32(state.Epoch), state.LastSequence
		a.LastTimestamp, a.CoordinatorEpoch, a.CurrentTxnStartOffset = state.LastTimestamp, state.CoordinatorEpoch, state.First
		all = append(all, a)
	}
	return all
}
