package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func deleteACLs(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DeleteACLsRequest)
	err := s.aclsOff(r, opAlter)
	if err == nil {
		s.security.plan.Lock()
		defer s.security.plan.Unlock()
		answer, entries := s.security.state.ACLs.Delete(req)
		if err = s.security.apply(ctx, entries); err == nil {
			return answer
		}
	}
	out := req.ResponseKind().(*kmsg.DeleteACLsResponse)
	for range req.Filters {
		one := kmsg.NewDeleteACLsResponseResult()
		one.ErrorCode, one.ErrorMessage = code(err), message(err)
		out.Results = append(out.Results, one)
	}
	return out
}
