package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// The kinds of coordinators.
const (
	groupCoordinator       = 0
	transactionCoordinator = 1
)

// findCoordinator answers that this node coordinates everything.
func findCoordinator(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.FindCoordinatorRequest)
	response := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	host, port := s.advertised(r.conn)
	if r.version < 4 {
		if err := s.mayFind(r, req.CoordinatorType, req.CoordinatorKey); err != nil {
			response.ErrorCode, response.ErrorMessage, response.NodeID, response.Port = code(err), message(err), -1, -1
			return response
		}
		response.NodeID, response.Host, response.Port = Node, host, port
		return response
	}
	for _, key := range req.CoordinatorKeys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key = key
		if err := s.mayFind(r, req.CoordinatorType, key); err != nil {
			c.ErrorCode, c.ErrorMessage, c.NodeID, c.Port = code(err), message(err), -1, -1
		} else {
			c.NodeID, c.Host, c.Port = Node, host, port
		}
		response.Coordinators = append(response.Coordinators, c)
	}
	return response
}

func (s *Server) mayFind(r *request, kind int8, key string) error {
	switch kind {
	case groupCoordinator:
		if !s.allowed(r, acl.Group(key), opDescribe) {
			return kerr.GroupAuthorizationFailed
		}
	case transactionCoordinator:
		if !s.allowed(r, acl.TransactionalID(key), opDescribe) {
			return kerr.TransactionalIDAuthorizationFailed
		}
	default:
		return kerr.InvalidRequest
	}
	return nil
}
