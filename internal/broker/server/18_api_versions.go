package server

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// apiVersions tells what this broker speaks, and that transactions are of the kind that survives late requests (KIP-890).
func apiVersions(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.ApiVersionsRequest)
	response := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	if r.version >= 3 && !(softwareName(req.ClientSoftwareName) && softwareName(req.ClientSoftwareVersion)) {
		response.ErrorCode = kerr.InvalidRequest.Code
		return response
	}
	response.ApiKeys = s.apiKeys()
	response.FinalizedFeaturesEpoch = 1
	for _, f := range features() {
		supported := kmsg.NewApiVersionsResponseSupportedFeature()
		supported.Name, supported.MinVersion, supported.MaxVersion = f.name, f.min, f.max
		finalized := kmsg.NewApiVersionsResponseFinalizedFeature()
		finalized.Name, finalized.MinVersionLevel, finalized.MaxVersionLevel = f.name, f.level, f.level
		response.SupportedFeatures = append(response.SupportedFeatures, supported)
		response.FinalizedFeatures = append(response.FinalizedFeatures, finalized)
	}
	return response
}

type feature struct {
	name            string
	min, max, level int16
}

func features() []feature {
	return []feature{
		{name: "transaction.version", min: 0, max: 2, level: 2},
	}
}

func (s *Server) apiKeys() []kmsg.ApiVersionsResponseApiKey {
	var keys []kmsg.ApiVersionsResponseApiKey
	for key, a := range s.apis {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = key, a.min, a.max
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b kmsg.ApiVersionsResponseApiKey) int { return cmp.Compare(a.ApiKey, b.ApiKey) })
	return keys
}

// unsupportedApiVersions answers a version of ApiVersions that we do not know, in version 0, so that the client can ask again.
func (s *Server) unsupportedApiVersions() *kmsg.ApiVersionsResponse {
	response := kmsg.NewPtrApiVersionsResponse()
	response.ErrorCode = kerr.UnsupportedVersion.Code
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = 18, s.apis[18].min, s.apis[18].max
	response.ApiKeys = append(response.ApiKeys, k)
	return response
}

// softwareName says whether a name is one that Kafka takes: letters, digits, '.' and '-', not at the ends.
func softwareName(name string) bool {
	if name == "" || !alphanumeric(name[0]) || !alphanumeric(name[len(name)-1]) {
		return false
	}
	for i := range len(name) {
		if !alphanumeric(name[i]) && name[i] != '.' && name[i] != '-' {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
