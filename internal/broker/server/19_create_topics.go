package server

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/config"
)

// createTopics makes topics, each for itself: one that is refused does not stop the others.
func createTopics(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.CreateTopicsRequest)
	response := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	times := map[string]int{}
	for _, t := range req.Topics {
		times[t.Topic]++
	}
	all := s.allowed(r, acl.Cluster(), opCreate)
	done := map[string]bool{}
	made := 0
	for _, t := range req.Topics {
		if done[t.Topic] {
			continue
		}
		done[t.Topic] = true
		out := kmsg.NewCreateTopicsResponseTopic()
		out.Topic = t.Topic
		var err error
		switch {
		case times[t.Topic] > 1:
			err = &detailed{kerr.InvalidRequest, fmt.Sprintf("topic %q is there twice", clip(t.Topic))}
		case !all && !s.allowed(r, acl.Topic(t.Topic), opCreate):
			err = kerr.TopicAuthorizationFailed
		default:
			err = s.createAsked(ctx, req.ValidateOnly, t, &out)
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		if err == nil && !req.ValidateOnly {
			made += int(out.NumPartitions)
		}
		if err != nil {
			out.NumPartitions, out.ReplicationFactor, out.Configs = -1, -1, nil
		}
		response.Topics = append(response.Topics, out)
	}
	response.ThrottleMillis = s.mutated(r, made)
	return response
}

// createAsked makes one topic, or only says whether it could.
func (s *Server) createAsked(ctx context.Context, dry bool, t kmsg.CreateTopicsRequestTopic, out *kmsg.CreateTopicsResponseTopic) error {
	if err := checkTopicName(t.Topic); err != nil {
		return err
	}
	if s.topics.named(t.Topic) != nil {
		return &detailed{kerr.TopicAlreadyExists, fmt.Sprintf("topic %q exists already", t.Topic)}
	}
	partitions, err := s.partitionsAsked(t)
	if err != nil {
		return err
	}
	set, err := config.FromCreate(t.Configs)
	if err != nil {
		return configRefusal(err)
	}
	out.NumPartitions, out.ReplicationFactor = partitions, 1
	out.Configs = s.settings.sources.Load().Created(set)
	if dry {
		return nil
	}
	made, err := s.createTopic(ctx, t.Topic, partitions, set)
	if err != nil {
		return err
	}
	out.TopicID = made.id
	return nil
}

// partitionsAsked works out how many partitions a topic is to have: a number, or one for each assignment.
func (s *Server) partitionsAsked(t kmsg.CreateTopicsRequestTopic) (int32, error) {
	if len(t.ReplicaAssignment) > 0 {
		return assigned(t)
	}
	if t.ReplicationFactor != 1 && t.ReplicationFactor != -1 {
		return 0, &detailed{kerr.InvalidReplicationFactor, fmt.Sprintf("replication factor %d: there is one node, so it is 1 or -1", t.ReplicationFactor)}
	}
	switch n := t.NumPartitions; {
	case n == -1:
		return s.settings.broker().Partitions, nil
	case n < 1 || n > maxPartitions:
		return 0, &detailed{kerr.InvalidPartitions, fmt.Sprintf("%d partitions: it must be between 1 and %d", n, maxPartitions)}
	default:
		return n, nil
	}
}

// assigned checks a list of who has which partition: everything is here.
func assigned(t kmsg.CreateTopicsRequestTopic) (int32, error) {
	if t.NumPartitions != -1 || t.ReplicationFactor != -1 {
		return 0, &detailed{kerr.InvalidRequest, "a topic has an assignment or numbers, not both"}
	}
	seen := map[int32]bool{}
	for _, a := range t.ReplicaAssignment {
		if len(a.Replicas) != 1 || a.Replicas[0] != Node || seen[a.Partition] {
			return 0, &detailed{kerr.InvalidReplicaAssignment, fmt.Sprintf("partition %d: the only node is %d", a.Partition, Node)}
		}
		seen[a.Partition] = true
	}
	for i := range len(seen) {
		if !seen[int32(i)] {
			return 0, &detailed{kerr.InvalidReplicaAssignment, fmt.Sprintf("partition %d is missing", i)}
		}
	}
	if len(seen) > maxPartitions {
		return 0, kerr.InvalidPartitions
	}
	return int32(len(seen)), nil
}

// configRefusal makes an error of package config one that an answer can carry.
func configRefusal(err error) error {
	if err == nil {
		return nil
	}
	number, _ := config.Code(err)
	return &detailed{kerr.TypedErrorForCode(number), err.Error()}
}
