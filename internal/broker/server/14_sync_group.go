package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/group"
)

// syncGroup answers when the leader has told who gets what.
func syncGroup(s *Server, ctx context.Context, r *request) (answer, error) {
	req := r.body.(*kmsg.SyncGroupRequest)
	refuse := func(e *kerr.Error) kmsg.Response { return group.RefuseSync(req, e) }
	if err := s.mayUse(r, req.Group, opRead); err != nil {
		return now(refuse(err)), nil
	}
	return s.groups.ask(req.Group, refuse, func(t group.Ticket) {
		s.groups.step(ctx, req.Group, func(g *group.Group, at time.Time) []group.Effect { return g.Sync(at, t, req) })
	}), nil
}
