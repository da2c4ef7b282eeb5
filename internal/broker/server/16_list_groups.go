package server

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/group"
)

func listGroups(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.ListGroupsRequest)
	response := req.ResponseKind().(*kmsg.ListGroupsResponse)
	s.groups.offsetsMu.Lock()
	names := s.groups.offsets.Groups()
	s.groups.offsetsMu.Unlock()
	names = append(names, s.groups.names()...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if s.mayUse(r, name, opDescribe) != nil && !s.allowed(r, acl.Cluster(), opDescribe) {
			continue
		}
		s.groups.step(ctx, name, func(g *group.Group, _ time.Time) []group.Effect {
			if one, ok := g.List(req); ok {
				response.Groups = append(response.Groups, one)
			}
			return nil
		})
	}
	return response
}
