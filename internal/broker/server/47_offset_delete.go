package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/group"
)

func offsetDelete(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.OffsetDeleteRequest)
	refuse := func(e *kerr.Error) kmsg.Response {
		response := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
		response.ErrorCode = e.Code
		return response
	}
	if err := s.mayUse(r, req.Group, opDelete); err != nil {
		return refuse(err)
	}
	has := s.groups.has(req.Group)
	var response *kmsg.OffsetDeleteResponse
	failed := s.groups.within(ctx, req.Group, func(g *group.Group, at time.Time) *kerr.Error {
		subscribed, err := g.AllowOffsetDelete(has)
		if err != nil {
			return err
		}
		var e group.OffsetsEntry
		s.groups.offsetsMu.Lock()
		e, response = s.groups.offsets.Delete(at, req, subscribed, s.groups.resolve(r, opRead))
		s.groups.offsetsMu.Unlock()
		return s.groups.commit(e)
	})
	if failed != nil {
		return refuse(failed)
	}
	return response
}
