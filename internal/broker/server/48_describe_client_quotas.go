package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

func describeClientQuotas(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DescribeClientQuotasRequest)
	if !s.allowed(r, acl.Cluster(), opDescribeConfigs) {
		out := req.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
		out.ErrorCode, out.ErrorMessage = kerr.ClusterAuthorizationFailed.Code, message(kerr.ClusterAuthorizationFailed)
		return out
	}
	return s.security.state.Quotas.Describe(req)
}
