package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/group"
)

// commit writes and applies an entry of offsets. The caller holds gate and the group.
func (gs *groups) commit(e group.OffsetsEntry) *kerr.Error {
	if e.Empty() {
		return nil
	}
	if gs.s.note(entryOffsets, e) != nil {
		return kerr.CoordinatorNotAvailable
	}
	gs.restore(e)
	return nil
}

// within runs do with gate and a group held, and then waits for the journal.
func (gs *groups) within(ctx context.Context, name string, do func(*group.Group, time.Time) *kerr.Error) *kerr.Error {
	failed := gs.holding(name, do)
	if failed == nil && gs.s.lasting(ctx) != nil {
		failed = kerr.CoordinatorNotAvailable
	}
	return failed
}

func (gs *groups) holding(name string, do func(*group.Group, time.Time) *kerr.Error) *kerr.Error {
	gs.s.gate.RLock()
	defer gs.s.gate.RUnlock()
	g := gs.locked(name)
	defer gs.done(name, g)
	return do(g.g, time.Now())
}

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

func offsetFetch(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.OffsetFetchRequest)
	allow := func(name string) *kerr.Error { return s.mayUse(r, name, opDescribe) }
	resolve := s.groups.resolve(r, opDescribe)
	s.groups.offsetsMu.Lock()
	defer s.groups.offsetsMu.Unlock()
	return s.groups.offsets.Fetch(req, allow, resolve)
}

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
