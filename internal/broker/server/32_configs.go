package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/config"
)

// world is what package config describes and changes.
func (s *Server) world() config.World {
	return config.World{Node: Node, Sources: *s.settings.sources.Load(), Topic: s.topicSettings}
}

func (s *Server) topicSettings(name string) (map[string]string, bool) {
	t := s.topics.named(name)
	if t == nil {
		return nil, false
	}
	return *t.settings.Load(), true
}

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

// mayConfigure asks whether a client may see or change the settings of a resource.
func (s *Server) mayConfigure(r *request, kind kmsg.ConfigResourceType, name string, op kmsg.ACLOperation) error {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if !s.allowed(r, acl.Topic(name), op) {
			return kerr.TopicAuthorizationFailed
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		if !s.allowed(r, acl.Group(name), op) {
			return kerr.GroupAuthorizationFailed
		}
	default:
		if !s.allowed(r, acl.Cluster(), op) {
			return kerr.ClusterAuthorizationFailed
		}
	}
	return nil
}

// reconfigure puts one change in force, durably.
func (s *Server) reconfigure(ctx context.Context, dry bool, plan func(config.World) (config.Change, error)) error {
	s.settings.mu.Lock()
	defer s.settings.mu.Unlock()
	change, err := plan(s.world())
	if err != nil || dry {
		return configRefusal(err)
	}
	sources := *s.settings.sources.Load()
	switch change.Target {
	case config.TopicSettings:
		return s.reconfigureTopic(ctx, change)
	case config.NodeSettings:
		sources.Node = change.Set
	case config.AllSettings:
		sources.Cluster = change.Set
	default:
		return nil
	}
	entry := settingsEntry{Node: sources.Node, Cluster: sources.Cluster}
	return s.change(ctx, entrySettings, entry, func() { s.configure(sources) })
}

func (s *Server) reconfigureTopic(ctx context.Context, change config.Change) error {
	t := s.topics.named(change.Topic)
	if t == nil {
		return kerr.UnknownTopicOrPartition
	}
	entry := t.entry()
	entry.Settings = change.Set
	return s.change(ctx, entryTopic, entry, func() { t.configure(change.Set, *s.settings.sources.Load()) })
}

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
