package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

func alterUserScramCredentials(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.AlterUserSCRAMCredentialsRequest)
	var err error
	if s.allowed(r, acl.Cluster(), opAlter) {
		s.security.plan.Lock()
		defer s.security.plan.Unlock()
		answer, entries := s.security.state.Users.Alter(req)
		if err = s.security.apply(ctx, entries); err == nil {
			return answer
		}
	} else {
		err = kerr.ClusterAuthorizationFailed
	}
	out := req.ResponseKind().(*kmsg.AlterUserSCRAMCredentialsResponse)
	refuse := func(name string) {
		one := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		one.User, one.ErrorCode, one.ErrorMessage = name, code(err), message(err)
		out.Results = append(out.Results, one)
	}
	for _, d := range req.Deletions {
		refuse(d.Name)
	}
	for _, u := range req.Upsertions {
		refuse(u.Name)
	}
	return out
}
