package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func offsetFetch(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.OffsetFetchRequest)
	allow := func(name string) *kerr.Error { return s.mayUse(r, name, opDescribe) }
	resolve := s.groups.resolve(r, opDescribe)
	s.groups.offsetsMu.Lock()
	defer s.groups.offsetsMu.Unlock()
	return s.groups.offsets.Fetch(req, allow, resolve)
}
