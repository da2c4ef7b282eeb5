package server

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/batch"
)

// writeTxnMarkers ends transactions in partitions by hand, whatever the coordinator thinks: the way out of a transaction
// that hangs (kafka-transactions abort).
func writeTxnMarkers(s *Server, ctx context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.WriteTxnMarkersRequest)
	response := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	may := s.allowed(r, acl.Cluster(), kmsg.ACLOperationClusterAction) || s.allowed(r, acl.Cluster(), opAlter)
	for _, m := range req.Markers {
		out := kmsg.NewWriteTxnMarkersResponseMarker()
		out.ProducerID = m.ProducerID
		for _, t := range m.Topics {
			topic := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			topic.Topic = t.Topic
			for _, index := range t.Partitions {
				part := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				part.Partition, part.ErrorCode = index, kerr.ClusterAuthorizationFailed.Code
				if may {
					part.ErrorCode = code(s.markByHand(ctx, m, t.Topic, index))
				}
				topic.Partitions = append(topic.Partitions, part)
			}
			out.Topics = append(out.Topics, topic)
		}
		response.Markers = append(response.Markers, out)
	}
	return response
}

func (s *Server) markByHand(ctx context.Context, m kmsg.WriteTxnMarkersRequestMarker, topic string, index int32) error {
	p := s.topics.partition(topic, index)
	if p == nil {
		return kerr.UnknownTopicOrPartition
	}
	first, open := p.openOf(m.ProducerID)
	if !open {
		return nil
	}
	marker := batch.Marker{ProducerID: m.ProducerID, ProducerEpoch: m.ProducerEpoch, CoordinatorEpoch: m.CoordinatorEpoch, Commit: m.Committed, Time: time.Now()}
	if err := p.mark(marker, first); err != nil {
		return err
	}
	return s.sync.enlist(p).wait(ctx, p)
}
