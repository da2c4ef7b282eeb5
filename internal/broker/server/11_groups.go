package server

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/group"
)

// mayUse says why a client may not work with a group, nil if it may.
func (s *Server) mayUse(r *request, name string, op kmsg.ACLOperation) *kerr.Error {
	if name == "" && membership(kmsg.Key(r.key)) {
		return kerr.InvalidGroupID
	}
	if !s.allowed(r, acl.Group(name), op) {
		return kerr.GroupAuthorizationFailed
	}
	return nil
}

// membership says whether a request is about being a member. Offsets may be kept by a group without a name.
func membership(k kmsg.Key) bool {
	return k == kmsg.JoinGroup || k == kmsg.SyncGroup || k == kmsg.Heartbeat || k == kmsg.LeaveGroup
}

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
