package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// deleteTopics removes topics by name or by id.
func deleteTopics(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.DeleteTopicsRequest)
	response := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	asked := req.Topics
	for _, name := range req.TopicNames {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		asked = append(asked, t)
	}
	for _, t := range asked {
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		found, err := s.topicToDelete(r, t)
		if found != nil {
			out.Topic, out.TopicID = kmsg.StringPtr(found.name), found.id
			err = s.deleteTopic(ctx, found)
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		response.Topics = append(response.Topics, out)
	}
	return response
}

func (s *Server) topicToDelete(r *request, t kmsg.DeleteTopicsRequestTopic) (*topic, error) {
	if t.Topic == nil {
		found := s.topics.withID(t.TopicID)
		switch {
		case found == nil:
			return nil, kerr.UnknownTopicID
		case !s.allowed(r, acl.Topic(found.name), opDelete):
			return nil, kerr.TopicAuthorizationFailed
		}
		return found, nil
	}
	if t.TopicID != [16]byte{} {
		return nil, kerr.InvalidRequest
	}
	if !s.allowed(r, acl.Topic(*t.Topic), opDelete) {
		return nil, kerr.TopicAuthorizationFailed
	}
	found := s.topics.named(*t.Topic)
	if found == nil {
		return nil, kerr.UnknownTopicOrPartition
	}
	return found, nil
}
