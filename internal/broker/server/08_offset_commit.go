package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/group"
)

func offsetCommit(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.OffsetCommitRequest)
	if err := s.mayUse(r, req.Group, opRead); err != nil {
		return group.RefuseCommit(req, err)
	}
	var response *kmsg.OffsetCommitResponse
	failed := s.groups.within(ctx, req.Group, func(g *group.Group, at time.Time) *kerr.Error {
		if err := g.AllowCommit(at, req); err != nil {
			return err
		}
		var e group.OffsetsEntry
		s.groups.offsetsMu.Lock()
		e, response = s.groups.offsets.Commit(at, req, s.groups.resolve(r, opRead))
		s.groups.offsetsMu.Unlock()
		return s.groups.commit(e)
	})
	if failed != nil {
		return group.RefuseCommit(req, failed)
	}
	return response
}
