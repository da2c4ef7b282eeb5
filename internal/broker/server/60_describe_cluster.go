package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// describeCluster tells that there is one node.
func describeCluster(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DescribeClusterRequest)
	response := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	if req.EndpointType != 0 && req.EndpointType != 1 {
		response.ErrorCode = kerr.UnsupportedEndpointType.Code
		return response
	}
	host, port := s.advertised(r.conn)
	node := kmsg.NewDescribeClusterResponseBroker()
	node.NodeID, node.Host, node.Port = Node, host, port
	response.Brokers = append(response.Brokers, node)
	response.ClusterID, response.ControllerID, response.EndpointType = s.o.ClusterID, Node, 1
	if req.IncludeClusterAuthorizedOperations {
		response.ClusterAuthorizedOperations = s.security.operations(r, acl.Cluster())
	}
	return response
}
