package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// listPartitionReassignments answers that nothing moves.
func listPartitionReassignments(s *Server, _ context.Context, r *request) kmsg.Response {
	response := r.body.(*kmsg.ListPartitionReassignmentsRequest).ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	if !s.allowed(r, acl.Cluster(), opDescribe) {
		response.ErrorCode = kerr.ClusterAuthorizationFailed.Code
	}
	return response
}
