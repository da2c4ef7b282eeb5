package group

import (
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Commit works out what an OffsetCommit that the group allows changes, and its answer. Nothing has changed yet: the entry,
// unless it is Empty, is to be written, then given to Restore; when it is durable the answer is true.
func (o *Offsets) Commit(now time.Time, req *kmsg.OffsetCommitRequest, resolve Resolve) (OffsetsEntry, *kmsg.OffsetCommitResponse) {
	r := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	c := committer{o, newBuilder(OffsetsEntry{Group: req.Group, At: now}), resolve}
	for _, t := range req.Topics {
		out := kmsg.NewOffsetCommitResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		topic, partitions, err := resolve(t.Topic, t.TopicID)
		for _, p := range t.Partitions {
			one := kmsg.NewOffsetCommitResponseTopicPartition()
			one.Partition = p.Partition
			one.ErrorCode = code(c.commit(topic, partitions, err, p.Partition, offsetOf(p.Offset, p.LeaderEpoch, p.Metadata)))
			out.Partitions = append(out.Partitions, one)
		}
		r.Topics = append(r.Topics, out)
	}
	if c.tooLarge() {
		return OffsetsEntry{}, RefuseCommit(req, kerr.InvalidCommitOffsetSize)
	}
	return c.entry, r
}

// TxnCommit works out what a TxnOffsetCommit that group and transaction allow changes, as Commit does. The offsets are
// pending until End.
func (o *Offsets) TxnCommit(now time.Time, req *kmsg.TxnOffsetCommitRequest, resolve Resolve) (OffsetsEntry, *kmsg.TxnOffsetCommitResponse) {
	r := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	producer := &Producer{req.ProducerID, req.ProducerEpoch}
	c := committer{o, newBuilder(OffsetsEntry{Group: req.Group, At: now, Producer: producer}), resolve}
	for _, t := range req.Topics {
		out := kmsg.NewTxnOffsetCommitResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		topic, partitions, err := resolve(t.Topic, t.TopicID)
		for _, p := range t.Partitions {
			one := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			one.Partition = p.Partition
			one.ErrorCode = code(c.commit(topic, partitions, err, p.Partition, offsetOf(p.Offset, p.LeaderEpoch, p.Metadata)))
			out.Partitions = append(out.Partitions, one)
		}
		r.Topics = append(r.Topics, out)
	}
	if c.tooLarge() {
		return OffsetsEntry{}, RefuseTxnCommit(req, kerr.InvalidCommitOffsetSize)
	}
	return c.entry, r
}

func offsetOf(offset int64, epoch int32, metadata *string) Offset {
	return Offset{Offset: offset, LeaderEpoch: epoch, Metadata: strings.ToValidUTF8(text(metadata), "\ufffd")}
}

type committer struct {
	o *Offsets
	*builder
	resolve Resolve
}

func (c committer) commit(t Topic, partitions int32, err *kerr.Error, partition int32, to Offset) *kerr.Error {
	switch {
	case err != nil:
		return err
	case partition < 0 || partition >= partitions:
		return kerr.UnknownTopicOrPartition
	case len(to.Metadata) > c.o.maxMetadata:
		return kerr.OffsetMetadataTooLarge
	}
	if !c.tooLarge() {
		c.add(slot{t, partition}, to)
	}
	return nil
}

func (c committer) tooLarge() bool { return c.bytes > maxEntryBytes }

// RefuseCommit is the answer to an OffsetCommit that fails as a whole.
func RefuseCommit(req *kmsg.OffsetCommitRequest, err *kerr.Error) *kmsg.OffsetCommitResponse {
	refuse := func(string, [16]byte) (Topic, int32, *kerr.Error) { return Topic{}, 0, err }
	_, r := NewOffsets(0).Commit(time.Time{}, req, refuse)
	return r
}

// RefuseTxnCommit is the answer to a TxnOffsetCommit that fails as a whole.
func RefuseTxnCommit(req *kmsg.TxnOffsetCommitRequest, err *kerr.Error) *kmsg.TxnOffsetCommitResponse {
	refuse := func(string, [16]byte) (Topic, int32, *kerr.Error) { return Topic{}, 0, err }
	_, r := NewOffsets(0).TxnCommit(time.Time{}, req, refuse)
	return r
}

// Delete works out what an OffsetDelete that the group allows changes, as Commit does. subscribed is what
// Group.AllowOffsetDelete returned.
func (o *Offsets) Delete(now time.Time, req *kmsg.OffsetDeleteRequest, subscribed func(topic string) bool,
	resolve Resolve) (OffsetsEntry, *kmsg.OffsetDeleteResponse) {
	r := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	b := newBuilder(OffsetsEntry{Group: req.Group, At: now, Delete: true})
	for _, t := range req.Topics {
		out := kmsg.NewOffsetDeleteResponseTopic()
		out.Topic = t.Topic
		topic, partitions, err := resolve(t.Topic, [16]byte{})
		if err == nil && subscribed(t.Topic) {
			err = kerr.GroupSubscribedToTopic
		}
		for _, p := range t.Partitions {
			one := kmsg.NewOffsetDeleteResponseTopicPartition()
			one.Partition = p.Partition
			one.ErrorCode = code(o.delete(b, slot{topic, p.Partition}, partitions, err))
			out.Partitions = append(out.Partitions, one)
		}
		r.Topics = append(r.Topics, out)
	}
	return b.entry, r
}

// delete adds what is there to the entry. To delete what is not there is no mistake.
func (o *Offsets) delete(b *builder, s slot, partitions int32, err *kerr.Error) *kerr.Error {
	if err != nil {
		return err
	}
	if s.partition < 0 || s.partition >= partitions {
		return kerr.UnknownTopicOrPartition
	}
	if _, ok := o.Get(b.entry.Group, s.topic, s.partition); ok {
		b.add(s, Offset{})
	}
	return nil
}
