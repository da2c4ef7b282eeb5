package server

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/config"
)

// produce appends what the request carries at once, and answers when it is durable. Partitions stand for themselves:
// one that is refused does not stop the others.
func produce(s *Server, _ context.Context, r *request) (answer, error) {
	req := r.body.(*kmsg.ProduceRequest)
	response := req.ResponseKind().(*kmsg.ProduceResponse)
	if req.Acks < -1 || req.Acks > 1 {
		return now(refuseProduce(req, response, kerr.InvalidRequiredAcks)), nil
	}
	if err := s.mayProduce(r, req); err != nil {
		return now(refuseProduce(req, response, err)), nil
	}
	start := time.Now()
	var written []*partition
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		topic, err := s.produceTopic(r, t.Topic, t.TopicID)
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.BaseOffset, rp.LogAppendTime, rp.LogStartOffset = p.Partition, -1, -1, -1
			var to *partition
			if err == nil {
				to = s.producePartition(r, req, topic, p, &rp, start)
			} else {
				rp.ErrorCode = code(err)
			}
			if to != nil {
				written = append(written, to)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		response.Topics = append(response.Topics, rt)
	}
	s.counted(r.client, r.bytes, 0)
	response.ThrottleMillis = s.charge(r, acl.Produced, r.bytes)
	return s.acknowledge(r, req, response, written), nil
}

// acknowledge answers once every partition that was written to is synced. On one node there is no difference between the
// leader having a record and everybody having it: both are told when it is durable. A client that wants no answer learns of
// an error by the end of its connection.
func (s *Server) acknowledge(r *request, req *kmsg.ProduceRequest, response *kmsg.ProduceResponse, written []*partition) answer {
	files := make([]durable, len(written))
	for i, p := range written {
		files[i] = p
	}
	var round *round
	if len(files) > 0 {
		round = s.sync.enlist(files...)
	}
	switch {
	case req.Acks == 0:
		r.last = anyRefused(response)
		return func(context.Context) kmsg.Response { return nil }
	case round == nil:
		return now(response)
	}
	return func(ctx context.Context) kmsg.Response {
		failed := map[*partition]error{}
		for _, p := range written {
			if err := round.wait(ctx, p); err != nil {
				failed[p] = err
			}
		}
		if len(failed) > 0 {
			s.spoil(response, failed)
		}
		return response
	}
}

func anyRefused(response *kmsg.ProduceResponse) bool {
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return true
			}
		}
	}
	return false
}

// spoil replaces the answer for partitions whose records are not on the disk.
func (s *Server) spoil(response *kmsg.ProduceResponse, failed map[*partition]error) {
	for i := range response.Topics {
		t := &response.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			for bad, err := range failed {
				if bad.index == p.Partition && (bad.topic.name == t.Topic || bad.topic.id == t.TopicID) && p.ErrorCode == 0 {
					p.ErrorCode, p.BaseOffset = code(err), -1
				}
			}
		}
	}
}

func (s *Server) mayProduce(r *request, req *kmsg.ProduceRequest) error {
	if req.TransactionID != nil && !s.allowed(r, acl.TransactionalID(*req.TransactionID), opWrite) {
		return kerr.TransactionalIDAuthorizationFailed
	}
	return nil
}

// produceTopic finds the topic of a produce request, by name or by id.
func (s *Server) produceTopic(r *request, name string, id topicID) (*topic, error) {
	if r.version >= 13 {
		t := s.topics.withID(id)
		if t == nil {
			return nil, kerr.UnknownTopicID
		}
		name = t.name
	}
	if !s.allowed(r, acl.Topic(name), opWrite) {
		return nil, kerr.TopicAuthorizationFailed
	}
	t := s.topics.named(name)
	if t == nil {
		return nil, kerr.UnknownTopicOrPartition
	}
	return t, nil
}

// producePartition appends one batch, fills in the answer and returns the partition if there is something to sync.
func (s *Server) producePartition(r *request, req *kmsg.ProduceRequest, t *topic, p kmsg.ProduceRequestTopicPartition, rp *kmsg.ProduceResponseTopicPartition, at time.Time) *partition {
	to := t.partition(p.Partition)
	if to == nil {
		rp.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return nil
	}
	done, err := s.appendProduced(r, req, to, p.Records, at)
	if err != nil {
		rp.ErrorCode = code(err)
		if detail, ok := errors.AsType[*detailed](err); ok {
			rp.ErrorMessage = kmsg.StringPtr(detail.text)
		}
		if errors.Is(err, kerr.InvalidRecord) && to.topic.effective.Load().Compact {
			rp.ErrorRecords = s.keyless(p.Records)
		}
		return nil
	}
	rp.BaseOffset, rp.LogAppendTime, rp.LogStartOffset = done.base, done.millis, to.log.Start()
	return to
}

// keyless names the records of a batch that have no key.
func (s *Server) keyless(raw []byte) []kmsg.ProduceResponseTopicPartitionErrorRecord {
	var all []kmsg.ProduceResponseTopicPartitionErrorRecord
	index := int32(0)
	for record, err := range batch.Records(raw, s.o.Inflated) {
		if err != nil {
			return nil
		}
		if record.Key == nil {
			bad := kmsg.NewProduceResponseTopicPartitionErrorRecord()
			bad.RelativeOffset, bad.ErrorMessage = index, kmsg.StringPtr("a compacted topic takes records with a key only")
			all = append(all, bad)
		}
		index++
	}
	return all
}

// appendProduced checks a batch against the rules of its topic and appends it.
func (s *Server) appendProduced(r *request, req *kmsg.ProduceRequest, to *partition, raw []byte, at time.Time) (appended, error) {
	rules := to.topic.effective.Load()
	if len(raw) > rules.MaxMessageBytes {
		return appended{}, kerr.MessageTooLarge
	}
	h, err := batch.Validate(raw, batch.Rules{Keys: rules.Compact, InflatedBytes: s.o.Inflated})
	if err != nil {
		return appended{}, refusal(err)
	}
	if err := checkTime(h, rules, at); err != nil {
		return appended{}, err
	}
	if err := s.checkBatch(to, h, raw); err != nil {
		return appended{}, err
	}
	if err := s.room(); err != nil {
		return appended{}, err
	}
	appendTime := rules.LogAppendTime
	if h.Transactional() {
		return s.txns.append(r, req, to, h, raw, appendTime, at)
	}
	if req.TransactionID != nil {
		return appended{}, kerr.InvalidTxnState
	}
	return to.append(h, raw, appendTime, at)
}

// checkTime refuses records that claim to be from too long ago or from the future, where the topic says so.
func checkTime(h batch.Header, rules *config.Topic, at time.Time) error {
	if rules.LogAppendTime {
		return nil
	}
	ahead := time.UnixMilli(h.MaxTimestamp).Sub(at)
	behind := at.Sub(time.UnixMilli(h.FirstTimestamp))
	if h.MaxTimestamp >= 0 && ahead > rules.TimestampAfter || h.FirstTimestamp >= 0 && behind > rules.TimestampBefore {
		return kerr.InvalidTimestamp
	}
	return nil
}

// refuseProduce answers every partition with one error.
func refuseProduce(req *kmsg.ProduceRequest, response *kmsg.ProduceResponse, err error) *kmsg.ProduceResponse {
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode, rp.BaseOffset, rp.LogAppendTime = p.Partition, code(err), -1, -1
			rt.Partitions = append(rt.Partitions, rp)
		}
		response.Topics = append(response.Topics, rt)
	}
	return response
}

// refusal is Kafka's error for a batch that is not as it must be.
func refusal(err error) error {
	known := kerr.InvalidRecord
	switch {
	case errors.Is(err, batch.ErrCorrupt), errors.Is(err, batch.ErrShort):
		known = kerr.CorruptMessage
	case errors.Is(err, batch.ErrCodec):
		known = kerr.UnsupportedCompressionType
	case errors.Is(err, batch.ErrTooLarge):
		known = kerr.MessageTooLarge
	}
	return &detailed{known, err.Error()}
}
