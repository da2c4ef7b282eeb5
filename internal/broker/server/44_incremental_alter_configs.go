package server

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/config"
)

// incrementalAlterConfigs changes single settings of resources.
func incrementalAlterConfigs(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.IncrementalAlterConfigsRequest)
	response := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	times := map[string]int{}
	for _, asked := range req.Resources {
		times[fmt.Sprint(asked.ResourceType, asked.ResourceName)]++
	}
	for _, asked := range req.Resources {
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
		err := s.mayConfigure(r, asked.ResourceType, asked.ResourceName, opAlterConfigs)
		if times[fmt.Sprint(asked.ResourceType, asked.ResourceName)] > 1 {
			err = &detailed{kerr.InvalidRequest, fmt.Sprintf("resource %q is there twice", clip(asked.ResourceName))}
		}
		if err == nil {
			err = s.reconfigure(ctx, req.ValidateOnly, func(w config.World) (config.Change, error) { return w.Incremental(asked) })
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		response.Resources = append(response.Resources, out)
	}
	return response
}
