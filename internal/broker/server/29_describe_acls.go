package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

func describeACLs(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DescribeACLsRequest)
	if err := s.aclsOff(r, opDescribe); err != nil {
		out := req.ResponseKind().(*kmsg.DescribeACLsResponse)
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		return out
	}
	return s.security.state.ACLs.Describe(req)
}

// aclsOff says why access control lists may not be seen or changed: nobody looks at them, or the client may not.
func (s *Server) aclsOff(r *request, op kmsg.ACLOperation) error {
	if !s.security.o.Authorize {
		return &detailed{kerr.SecurityDisabled, "no authorizer is configured on the broker: start it with --authorize"}
	}
	if !s.allowed(r, acl.Cluster(), op) {
		return kerr.ClusterAuthorizationFailed
	}
	return nil
}
