package server

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// createPartitions adds partitions to topics.
func createPartitions(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.CreatePartitionsRequest)
	response := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	seen := map[string]int{}
	for _, t := range req.Topics {
		seen[t.Topic]++
	}
	for _, t := range req.Topics {
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic = t.Topic
		var err error
		if seen[t.Topic] > 1 {
			err = &detailed{kerr.InvalidRequest, fmt.Sprintf("topic %q is there twice", clip(t.Topic))}
		} else {
			err = s.growAsked(ctx, r, req.ValidateOnly, t)
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		response.Topics = append(response.Topics, out)
	}
	return response
}

func (s *Server) growAsked(ctx context.Context, r *request, dry bool, t kmsg.CreatePartitionsRequestTopic) error {
	if !s.allowed(r, acl.Topic(t.Topic), opAlter) {
		return kerr.TopicAuthorizationFailed
	}
	found := s.topics.named(t.Topic)
	if found == nil {
		return kerr.UnknownTopicOrPartition
	}
	before := int32(len(found.all()))
	if t.Assignment != nil && t.Count > before && len(t.Assignment) != int(t.Count-before) {
		return &detailed{kerr.InvalidReplicaAssignment, fmt.Sprintf("%d assignments for %d new partitions", len(t.Assignment), t.Count-before)}
	}
	for _, a := range t.Assignment {
		if len(a.Replicas) != 1 || a.Replicas[0] != Node {
			return &detailed{kerr.InvalidReplicaAssignment, fmt.Sprintf("the only node is %d", Node)}
		}
	}
	if dry && t.Count > before && t.Count <= maxPartitions {
		return nil
	}
	return s.growTopic(ctx, found, t.Count)
}
