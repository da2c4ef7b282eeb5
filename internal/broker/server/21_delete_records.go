package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// deleteRecords moves where partitions begin.
func deleteRecords(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DeleteRecordsRequest)
	response := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for _, t := range req.Topics {
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewDeleteRecordsResponseTopicPartition()
			part.Partition = p.Partition
			low, err := s.deleteUpTo(ctx, r, t.Topic, p.Partition, p.Offset)
			part.LowWatermark, part.ErrorCode = low, code(err)
			out.Partitions = append(out.Partitions, part)
		}
		response.Topics = append(response.Topics, out)
	}
	return response
}

// deleteUpTo removes what lies below an offset; -1 is everything that readers see.
func (s *Server) deleteUpTo(ctx context.Context, r *request, topic string, index int32, offset int64) (int64, error) {
	if !s.allowed(r, acl.Topic(topic), opDelete) {
		return -1, kerr.TopicAuthorizationFailed
	}
	p := s.topics.partition(topic, index)
	if p == nil {
		return -1, kerr.UnknownTopicOrPartition
	}
	if !p.topic.effective.Load().Delete {
		return -1, kerr.PolicyViolation
	}
	if err := p.fenced(); err != nil {
		return -1, err
	}
	high := p.durable.Load()
	if offset == -1 {
		offset = high
	}
	if offset < 0 || offset > high {
		return -1, kerr.OffsetOutOfRange
	}
	if err := s.begin(ctx, p, offset); err != nil {
		return -1, err
	}
	return p.log.Start(), nil
}

// begin makes a partition begin at an offset: first for good, then by removing the files below.
func (s *Server) begin(ctx context.Context, p *partition, offset int64) error {
	if offset <= p.log.Start() {
		return nil
	}
	entry := startEntry{ID: p.topic.id, Partition: p.index, Offset: offset}
	var failed error
	err := s.change(ctx, entryStart, entry, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.deleted {
			failed = kerr.UnknownTopicOrPartition
		} else if err := p.log.SetStart(offset); err != nil {
			failed = p.fail(err)
		}
	})
	if err != nil {
		return err
	}
	return failed
}
