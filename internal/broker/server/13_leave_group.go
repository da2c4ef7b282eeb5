package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/group"
)

func leaveGroup(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.LeaveGroupRequest)
	refuse := func(e *kerr.Error) kmsg.Response {
		response := req.ResponseKind().(*kmsg.LeaveGroupResponse)
		response.ErrorCode = e.Code
		return response
	}
	if err := s.mayUse(r, req.Group, opRead); err != nil {
		return refuse(err)
	}
	return s.groups.ask(req.Group, refuse, func(t group.Ticket) {
		s.groups.step(ctx, req.Group, func(g *group.Group, at time.Time) []group.Effect { return g.Leave(at, t, req) })
	})(ctx)
}
