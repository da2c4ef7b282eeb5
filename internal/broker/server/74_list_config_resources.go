package server

import (
	"context"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// listConfigResources lists what has settings: topics and this node.
func listConfigResources(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.ListConfigResourcesRequest)
	response := req.ResponseKind().(*kmsg.ListConfigResourcesResponse)
	if !s.allowed(r, acl.Cluster(), opDescribeConfigs) {
		response.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		return response
	}
	add := func(kind kmsg.ConfigResourceType, name string) {
		out := kmsg.NewListConfigResourcesResponseConfigResource()
		out.Type, out.Name = int8(kind), name
		response.ConfigResources = append(response.ConfigResources, out)
	}
	if wantsResource(req, kmsg.ConfigResourceTypeTopic) {
		for _, t := range s.topics.sorted() {
			add(kmsg.ConfigResourceTypeTopic, t.name)
		}
	}
	if wantsResource(req, kmsg.ConfigResourceTypeBroker) {
		add(kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(Node)))
	}
	return response
}

// wantsResource: version 0 asks for client metrics only, of which there are none here; an empty list is everything.
func wantsResource(req *kmsg.ListConfigResourcesRequest, kind kmsg.ConfigResourceType) bool {
	if req.Version == 0 {
		return false
	}
	return len(req.ResourceTypes) == 0 || slices.Contains(req.ResourceTypes, int8(kind))
}
