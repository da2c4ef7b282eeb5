package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// alterPartitionAssignments refuses to move anything: there is nowhere to move it to.
func alterPartitionAssignments(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.AlterPartitionAssignmentsRequest)
	response := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	if !s.allowed(r, acl.Cluster(), opAlter) {
		response.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		return response
	}
	for _, t := range req.Topics {
		out := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, code(s.reassign(t.Topic, p))
			out.Partitions = append(out.Partitions, part)
		}
		response.Topics = append(response.Topics, out)
	}
	return response
}

func (s *Server) reassign(topic string, p kmsg.AlterPartitionAssignmentsRequestTopicPartition) error {
	switch {
	case s.topics.partition(topic, p.Partition) == nil:
		return kerr.UnknownTopicOrPartition
	case p.Replicas == nil:
		return kerr.NoReassignmentInProgress
	case len(p.Replicas) == 1 && p.Replicas[0] == Node:
		return nil
	}
	return kerr.InvalidReplicaAssignment
}
