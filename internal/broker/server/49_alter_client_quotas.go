package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

func alterClientQuotas(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.AlterClientQuotasRequest)
	var err error
	if s.allowed(r, acl.Cluster(), opAlterConfigs) {
		s.security.plan.Lock()
		defer s.security.plan.Unlock()
		answer, entries := s.security.state.Quotas.Alter(req)
		if err = s.security.apply(ctx, entries); err == nil {
			return answer
		}
	} else {
		err = kerr.ClusterAuthorizationFailed
	}
	out := req.ResponseKind().(*kmsg.AlterClientQuotasResponse)
	for _, e := range req.Entries {
		one := kmsg.NewAlterClientQuotasResponseEntry()
		one.ErrorCode, one.ErrorMessage = code(err), message(err)
		for _, part := range e.Entity {
			p := kmsg.NewAlterClientQuotasResponseEntryEntity()
			p.Type, p.Name = part.Type, part.Name
			one.Entity = append(one.Entity, p)
		}
		out.Entries = append(out.Entries, one)
	}
	return out
}
