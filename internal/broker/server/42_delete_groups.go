package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/group"
)

func deleteGroups(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DeleteGroupsRequest)
	response := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	for _, name := range req.Groups {
		out := kmsg.NewDeleteGroupsResponseGroup()
		out.Group = name
		err := s.mayUse(r, name, opDelete)
		if err == nil {
			err = s.deleteGroup(ctx, name)
		}
		if err != nil {
			out.ErrorCode = err.Code
		}
		response.Groups = append(response.Groups, out)
	}
	return response
}

// deleteGroup ends a group with its offsets.
func (s *Server) deleteGroup(ctx context.Context, name string) (failed *kerr.Error) {
	has := s.groups.has(name)
	s.groups.step(ctx, name, func(g *group.Group, at time.Time) []group.Effect {
		effects, err := g.Delete(at, has)
		if failed = err; err != nil {
			return nil
		}
		s.groups.offsetsMu.Lock()
		drop := s.groups.offsets.DropGroup(name)
		s.groups.offsetsMu.Unlock()
		if s.note(entryOffsets, drop) != nil {
			failed = kerr.CoordinatorNotAvailable
			return effects
		}
		s.groups.restore(drop)
		return effects
	})
	if failed == nil && s.lasting(ctx) != nil {
		failed = kerr.CoordinatorNotAvailable
	}
	return failed
}
