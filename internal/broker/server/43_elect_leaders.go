package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// electLeaders answers that the one node there is leads already.
func electLeaders(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.ElectLeadersRequest)
	response := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	if !s.allowed(r, acl.Cluster(), opAlter) {
		response.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		return response
	}
	for _, t := range req.Topics {
		out := kmsg.NewElectLeadersResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewElectLeadersResponseTopicPartition()
			part.Partition, part.ErrorCode = p, kerr.ElectionNotNeeded.Code
			if s.topics.partition(t.Topic, p) == nil {
				part.ErrorCode = kerr.UnknownTopicOrPartition.Code
			}
			out.Partitions = append(out.Partitions, part)
		}
		response.Topics = append(response.Topics, out)
	}
	return response
}
