package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func createACLs(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.CreateACLsRequest)
	err := s.aclsOff(r, opAlter)
	if err == nil {
		s.security.plan.Lock()
		defer s.security.plan.Unlock()
		answer, entries := s.security.state.ACLs.Create(req)
		if err = s.security.apply(ctx, entries); err == nil {
			return answer
		}
	}
	out := req.ResponseKind().(*kmsg.CreateACLsResponse)
	for range req.Creations {
		one := kmsg.NewCreateACLsResponseResult()
		one.ErrorCode, one.ErrorMessage = code(err), message(err)
		out.Results = append(out.Results, one)
	}
	return out
}
