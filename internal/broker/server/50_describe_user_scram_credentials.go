package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

func describeUserScramCredentials(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DescribeUserSCRAMCredentialsRequest)
	if !s.allowed(r, acl.Cluster(), opDescribe) {
		out := req.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
		out.ErrorCode, out.ErrorMessage = kerr.ClusterAuthorizationFailed.Code, message(kerr.ClusterAuthorizationFailed)
		return out
	}
	return s.security.state.Users.Describe(req)
}
