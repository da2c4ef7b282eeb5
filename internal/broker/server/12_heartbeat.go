package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/group"
)

func heartbeat(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.HeartbeatRequest)
	response := req.ResponseKind().(*kmsg.HeartbeatResponse)
	if err := s.mayUse(r, req.Group, opRead); err != nil {
		response.ErrorCode = err.Code
		return response
	}
	s.groups.step(ctx, req.Group, func(g *group.Group, at time.Time) []group.Effect {
		response = g.Heartbeat(at, req)
		return nil
	})
	return response
}
