package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeConfigs tells settings and where they come from.
func describeConfigs(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DescribeConfigsRequest)
	response := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	world := s.world()
	for _, asked := range req.Resources {
		if err := s.mayConfigure(r, asked.ResourceType, asked.ResourceName, opDescribeConfigs); err != nil {
			out := kmsg.NewDescribeConfigsResponseResource()
			out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
			out.ErrorCode, out.ErrorMessage = code(err), message(err)
			response.Resources = append(response.Resources, out)
			continue
		}
		response.Resources = append(response.Resources, world.Describe(asked, req.IncludeSynonyms, req.IncludeDocumentation))
	}
	return response
}
