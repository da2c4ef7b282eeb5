package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/group"
)

// joinGroup answers when the rebalance is complete.
func joinGroup(s *Server, ctx context.Context, r *request) (answer, error) {
	req := r.body.(*kmsg.JoinGroupRequest)
	refuse := func(e *kerr.Error) kmsg.Response { return group.RefuseJoin(req, req.MemberID, e) }
	if err := s.mayUse(r, req.Group, opRead); err != nil {
		return now(refuse(err)), nil
	}
	who := group.Client{ID: r.client, Host: "/" + r.conn.host}
	return s.groups.ask(req.Group, refuse, func(t group.Ticket) {
		s.groups.step(ctx, req.Group, func(g *group.Group, at time.Time) []group.Effect { return g.Join(at, t, who, req) })
	}), nil
}
