package server

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
)

// The timestamps that stand for a place in the log instead of a time.
const (
	atLatest       = -1
	atEarliest     = -2
	atMaxTimestamp = -3
	atLocal        = -4 // earliest on local disk; all of it is
	atTiered       = -5 // latest in remote storage; there is none
)

// listOffsets finds offsets by time.
func listOffsets(s *Server, _ context.Context, r *request) kmsg.Response {
	req := r.body.(*kmsg.ListOffsetsRequest)
	response := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	twice := repeated(req)
	for _, t := range req.Topics {
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Partition, rp.Offset, rp.Timestamp, rp.LeaderEpoch = p.Partition, -1, -1, -1
			if twice[wantedKey{topic: t.Topic, partition: p.Partition}] {
				rp.ErrorCode = kerr.InvalidRequest.Code
			} else {
				rp.ErrorCode = code(s.listOffset(r, t.Topic, p, req.IsolationLevel == 1, &rp))
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		response.Topics = append(response.Topics, rt)
	}
	return response
}

// repeated are the partitions that a request names more than once.
func repeated(req *kmsg.ListOffsetsRequest) map[wantedKey]bool {
	seen, twice := map[wantedKey]bool{}, map[wantedKey]bool{}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			k := wantedKey{topic: t.Topic, partition: p.Partition}
			if seen[k] {
				twice[k] = true
			}
			seen[k] = true
		}
	}
	return twice
}

func (s *Server) listOffset(r *request, topic string, ask kmsg.ListOffsetsRequestTopicPartition, committed bool, rp *kmsg.ListOffsetsResponseTopicPartition) error {
	if !s.allowed(r, acl.Topic(topic), opDescribe) {
		return kerr.TopicAuthorizationFailed
	}
	p := s.topics.partition(topic, ask.Partition)
	if p == nil {
		return kerr.UnknownTopicOrPartition
	}
	if err := p.fenced(); err != nil {
		return err
	}
	if err := checkEpoch(ask.CurrentLeaderEpoch, s.epoch); err != nil {
		return err
	}
	limit := p.limit(committed)
	switch {
	case ask.Timestamp == atLatest:
		rp.Offset, rp.LeaderEpoch = limit, s.epoch
	case ask.Timestamp == atEarliest || ask.Timestamp == atLocal:
		rp.Offset, rp.LeaderEpoch = p.log.Start(), s.epochAt(p, p.log.Start())
	case ask.Timestamp == atMaxTimestamp:
		return p.newest(limit, rp)
	case ask.Timestamp == atTiered:
	case ask.Timestamp < 0:
		return kerr.InvalidRequest
	default:
		return p.byTime(ask.Timestamp, limit, rp)
	}
	return nil
}

// newest finds the record with the largest timestamp.
func (p *partition) newest(limit int64, rp *kmsg.ListOffsetsResponseTopicPartition) error {
	timestamp, offset := p.log.MaxTime()
	if timestamp < 0 || offset >= limit {
		return nil
	}
	rp.Timestamp, rp.Offset, rp.LeaderEpoch = timestamp, offset, p.topic.s.epochAt(p, offset)
	return nil
}

func (p *partition) byTime(millis, limit int64, rp *kmsg.ListOffsetsResponseTopicPartition) error {
	offset, timestamp, epoch, found, err := p.log.ByTime(millis, limit)
	if err != nil {
		return p.fail(err)
	}
	if found {
		rp.Offset, rp.Timestamp, rp.LeaderEpoch = offset, timestamp, epoch
	}
	return nil
}

// epochAt is the leader epoch in which an offset was written.
func (s *Server) epochAt(p *partition, offset int64) int32 {
	epoch := s.epoch
	for _, e := range p.log.Epochs() {
		if e.First <= offset {
			epoch = e.Epoch
		}
	}
	return epoch
}
