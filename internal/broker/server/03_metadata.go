package server

import (
	"context"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// replicas of every partition: this node.
func replicas() []int32 { return []int32{Node} }

// metadata tells which topics there are and that this node leads them all. Topics that are asked for by name are made,
// where both the client and the broker allow it.
func metadata(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.MetadataRequest)
	response := req.ResponseKind().(*kmsg.MetadataResponse)
	host, port := s.advertised(r.conn)
	node := kmsg.NewMetadataResponseBroker()
	node.NodeID, node.Host, node.Port = Node, host, port
	response.Brokers = append(response.Brokers, node)
	response.ClusterID = kmsg.StringPtr(s.o.ClusterID)
	response.ControllerID = Node
	if req.Topics == nil || r.version == 0 && len(req.Topics) == 0 {
		s.allTopics(r, req, response)
	}
	for _, asked := range req.Topics {
		response.Topics = append(response.Topics, s.askedTopic(ctx, r, req, asked))
	}
	if req.IncludeClusterAuthorizedOperations {
		response.AuthorizedOperations = s.security.operations(r, acl.Cluster())
	}
	return response
}

// allTopics lists those that the client may know of.
func (s *Server) allTopics(r *request, req *kmsg.MetadataRequest, response *kmsg.MetadataResponse) {
	for _, t := range s.topics.sorted() {
		if s.allowed(r, acl.Topic(t.name), opDescribe) {
			response.Topics = append(response.Topics, s.describeTopic(r, req, t))
		}
	}
}

func (s *Server) askedTopic(ctx context.Context, r *request, req *kmsg.MetadataRequest, asked kmsg.MetadataRequestTopic) kmsg.MetadataResponseTopic {
	t, err := s.findTopic(ctx, r, req, asked)
	if err == nil {
		return s.describeTopic(r, req, t)
	}
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID, out.ErrorCode = asked.Topic, asked.TopicID, code(err)
	return out
}

// findTopic finds or makes a topic. Who may not describe a topic is not told whether there is one.
func (s *Server) findTopic(ctx context.Context, r *request, req *kmsg.MetadataRequest, asked kmsg.MetadataRequestTopic) (*topic, error) {
	if asked.Topic == nil || asked.TopicID != [16]byte{} { // Java sends an empty name with the id
		t := s.topics.withID(asked.TopicID)
		if t == nil || !s.allowed(r, acl.Topic(t.name), opDescribe) {
			return nil, kerr.UnknownTopicID
		}
		return t, nil
	}
	name := *asked.Topic
	if !s.allowed(r, acl.Topic(name), opDescribe) {
		return nil, kerr.TopicAuthorizationFailed
	}
	if t := s.topics.named(name); t != nil {
		return t, nil
	}
	return s.firstUse(ctx, r, req, name)
}

// firstUse makes a topic because somebody asked for it.
func (s *Server) firstUse(ctx context.Context, r *request, req *kmsg.MetadataRequest, name string) (*topic, error) {
	if err := checkTopicName(name); err != nil {
		return nil, err
	}
	b := s.settings.broker()
	wanted := r.version < 4 || req.AllowAutoTopicCreation
	if !wanted || !b.AutoCreateTopics {
		return nil, kerr.UnknownTopicOrPartition
	}
	if !s.allowed(r, acl.Cluster(), opCreate) && !s.allowed(r, acl.Topic(name), opCreate) {
		return nil, kerr.TopicAuthorizationFailed
	}
	t, err := s.createTopic(ctx, name, b.Partitions, nil)
	if other := s.topics.named(name); other != nil {
		return other, nil // made by us or by another client at the same time
	}
	return t, err
}

func (s *Server) describeTopic(r *request, req *kmsg.MetadataRequest, t *topic) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID = kmsg.StringPtr(t.name), t.id
	for _, p := range t.all() {
		part := kmsg.NewMetadataResponseTopicPartition()
		part.Partition, part.Leader, part.LeaderEpoch = p.index, Node, s.epoch
		part.Replicas, part.ISR, part.OfflineReplicas = replicas(), replicas(), []int32{}
		if err := p.fenced(); err != nil {
			part.OfflineReplicas = replicas()
		}
		out.Partitions = append(out.Partitions, part)
	}
	if req.IncludeTopicAuthorizedOperations {
		out.AuthorizedOperations = s.security.operations(r, acl.Topic(t.name))
	}
	return out
}

// advertised is where clients are told to connect: what was configured, else the address they have connected to already.
func (s *Server) advertised(c *conn) (host string, port int32) {
	addr := c.l.Advertised
	if addr == "" {
		addr = c.nc.LocalAddr().String()
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, 0
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return host, 0
	}
	return host, int32(n)
}
