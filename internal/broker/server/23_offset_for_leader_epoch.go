package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// offsetForLeaderEpoch tells clients where an epoch ended, so that they notice a log that was cut.
func offsetForLeaderEpoch(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.OffsetForLeaderEpochRequest)
	response := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for _, t := range req.Topics {
		out := kmsg.NewOffsetForLeaderEpochResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			part.Partition, part.LeaderEpoch, part.EndOffset = p.Partition, -1, -1
			part.ErrorCode = code(s.epochEnd(r, t.Topic, p, &part))
			out.Partitions = append(out.Partitions, part)
		}
		response.Topics = append(response.Topics, out)
	}
	return response
}

func (s *Server) epochEnd(r *request, topic string, ask kmsg.OffsetForLeaderEpochRequestTopicPartition, out *kmsg.OffsetForLeaderEpochResponseTopicPartition) error {
	if !s.allowed(r, acl.Topic(topic), opDescribe) && !s.allowed(r, acl.Cluster(), opClusterAction) {
		return kerr.TopicAuthorizationFailed
	}
	p := s.topics.partition(topic, ask.Partition)
	if p == nil {
		return kerr.UnknownTopicOrPartition
	}
	if err := p.fenced(); err != nil {
		return err
	}
	if err := checkEpoch(ask.CurrentLeaderEpoch, s.epoch); err != nil {
		return err
	}
	if ask.LeaderEpoch == s.epoch {
		out.LeaderEpoch, out.EndOffset = s.epoch, p.log.End()
		return nil
	}
	out.LeaderEpoch, out.EndOffset = p.log.EpochEnd(ask.LeaderEpoch)
	return nil
}
