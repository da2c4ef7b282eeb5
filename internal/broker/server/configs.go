package server

import (
	"context"

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
