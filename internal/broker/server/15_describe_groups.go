package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/group"
)

func describeGroups(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DescribeGroupsRequest)
	response := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	for _, name := range req.Groups {
		out := kmsg.NewDescribeGroupsResponseGroup()
		if err := s.mayUse(r, name, opDescribe); err != nil {
			out.Group, out.ErrorCode, out.ErrorMessage = name, err.Code, message(err)
		} else {
			out = s.describeGroup(ctx, r, name)
		}
		if req.IncludeAuthorizedOperations && out.ErrorCode == 0 {
			out.AuthorizedOperations = s.security.operations(r, acl.Group(name))
		}
		response.Groups = append(response.Groups, out)
	}
	return response
}

func (s *Server) describeGroup(ctx context.Context, r *request, name string) kmsg.DescribeGroupsResponseGroup {
	var out kmsg.DescribeGroupsResponseGroup
	has := s.groups.has(name)
	s.groups.step(ctx, name, func(g *group.Group, _ time.Time) []group.Effect {
		if g.Known() || has {
			out = g.Describe()
		} else {
			out = group.Unknown(name, r.version)
		}
		return nil
	})
	return out
}
