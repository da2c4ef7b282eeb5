package server

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// maxDescribed bounds the partitions of one answer to DescribeTopicPartitions; a cursor tells where to go on.
const maxDescribed = 2000

// describeTopicPartitions is metadata in pages.
func describeTopicPartitions(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DescribeTopicPartitionsRequest)
	response := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	left := maxDescribed
	if req.ResponsePartitionLimit > 0 {
		left = min(left, int(req.ResponsePartitionLimit))
	}
	for _, name := range s.describedTopics(r, req) {
		from := int32(0)
		if req.Cursor != nil && name == req.Cursor.Topic {
			from = req.Cursor.Partition
		}
		out, next := s.describePage(r, name, from, left)
		response.Topics = append(response.Topics, out)
		left -= len(out.Partitions)
		if next >= 0 {
			c := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
			c.Topic, c.Partition = name, next
			response.NextCursor = &c
			break
		}
	}
	return response
}

// describedTopics are the names asked for, or all that the client may know of, sorted, from the cursor on.
func (s *Server) describedTopics(r *request, req *kmsg.DescribeTopicPartitionsRequest) []string {
	var names []string
	for _, t := range req.Topics {
		names = append(names, t.Topic)
	}
	if len(req.Topics) == 0 {
		for _, t := range s.topics.sorted() {
			if s.allowed(r, acl.Topic(t.name), opDescribe) {
				names = append(names, t.name)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if req.Cursor == nil {
		return names
	}
	at, _ := slices.BinarySearch(names, req.Cursor.Topic)
	return names[at:]
}

func (s *Server) describePage(r *request, name string, from int32, left int) (kmsg.DescribeTopicPartitionsResponseTopic, int32) {
	out := kmsg.NewDescribeTopicPartitionsResponseTopic()
	out.Topic = kmsg.StringPtr(name)
	if !s.allowed(r, acl.Topic(name), opDescribe) {
		out.ErrorCode = kerr.TopicAuthorizationFailed.Code
		return out, -1
	}
	t := s.topics.named(name)
	if t == nil {
		out.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return out, -1
	}
	out.TopicID = t.id
	out.AuthorizedOperations = s.security.operations(r, acl.Topic(name))
	for _, p := range t.all() {
		if p.index < from {
			continue
		}
		if len(out.Partitions) == left {
			return out, p.index
		}
		part := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		part.Partition, part.LeaderID, part.LeaderEpoch = p.index, Node, s.epoch
		part.Replicas, part.ISR, part.OfflineReplicas = replicas(), replicas(), []int32{}
		part.EligibleLeaderReplicas, part.LastKnownELR = []int32{}, []int32{}
		out.Partitions = append(out.Partitions, part)
	}
	return out, -1
}
