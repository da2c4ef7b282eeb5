package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/config"
)

// alterConfigs replaces all settings of resources.
func alterConfigs(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.AlterConfigsRequest)
	response := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	for _, asked := range req.Resources {
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
		err := s.mayConfigure(r, asked.ResourceType, asked.ResourceName, opAlterConfigs)
		if err == nil {
			err = s.reconfigure(ctx, req.ValidateOnly, func(w config.World) (config.Change, error) { return w.Alter(asked) })
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		response.Resources = append(response.Resources, out)
	}
	return response
}
