package server

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/batch"
	"ravenswood.dev/internal/broker/txn"
)

// direct asks a server without a connection: one request at a time, in an order that the test knows.
type direct struct{ s *Server }

// errNoAnswer: the server did not answer in time.
var errNoAnswer = errors.New("no answer")

// ask handles one request and waits for its answer.
func ask[R kmsg.Response](d direct, version int16, body kmsg.Request) (response R, err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Minute, errNoAnswer)
	defer cancel()
	body.SetVersion(version)
	r := &request{conn: &conn{s: d.s, host: "127.0.0.1"}, key: body.Key(), version: version, client: "direct", body: body, principal: acl.Anonymous}
	a, err := d.s.apis[r.key].handle(d.s, ctx, r)
	if err != nil {
		return response, err
	}
	got, ok := a(ctx).(R)
	if !ok {
		return response, fmt.Errorf("%s: %w", kmsg.NameForKey(r.key), errNoAnswer)
	}
	return got, nil
}

// refused makes an error of a code, which errors.Is knows.
func refused(what string, code int16) error {
	if err := kerr.ErrorForCode(code); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// entry is a record to be written.
type entry struct{ key, value string }

// sending is a batch to be written.
type sending struct {
	producer txn.Producer
	sequence int32
	txn      bool
	millis   int64
	records  []entry
}

// plainly is a batch of nobody.
func plainly(values ...string) sending {
	b := sending{producer: txn.NoProducer, sequence: -1}
	for _, v := range values {
		b.records = append(b.records, entry{value: v})
	}
	return b
}

// raw encodes the batch.
func (b sending) raw() []byte {
	if b.millis == 0 {
		b.millis = time.Now().UnixMilli()
	}
	out := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, LastOffsetDelta: int32(len(b.records) - 1), FirstTimestamp: b.millis, MaxTimestamp: b.millis,
		ProducerID: b.producer.ID, ProducerEpoch: b.producer.Epoch, FirstSequence: b.sequence, NumRecords: int32(len(b.records)),
	}
	if b.txn {
		out.Attributes = 1 << 4
	}
	for i, e := range b.records {
		r := kmsg.Record{OffsetDelta: int32(i), Value: []byte(e.value)}
		if e.key != "" {
			r.Key = []byte(e.key)
		}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // the length of an empty record takes one byte
		out.Records = r.AppendTo(out.Records)
	}
	raw := out.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// at is a partition by name.
type at struct {
	topic     string
	partition int32
}

func compareAt(a, b at) int {
	return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
}

func sortedAt[V any](m map[at]V) []at { return slices.SortedFunc(maps.Keys(m), compareAt) }

func (a at) String() string { return fmt.Sprintf("%s/%d", a.topic, a.partition) }

// produce sends batches in one request and returns where they came to lie.
func (d direct) produce(version int16, id string, batches map[at]sending) (map[at]int64, error) {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 1000
	if id != "" {
		req.TransactionID = &id
	}
	for _, to := range sortedAt(batches) {
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = to.partition, batches[to].raw()
		t := kmsg.NewProduceRequestTopic()
		t.Topic, t.Partitions = to.topic, append(t.Partitions, part)
		req.Topics = append(req.Topics, t)
	}
	response, err := ask[*kmsg.ProduceResponse](d, version, req)
	if err != nil {
		return nil, err
	}
	bases := map[at]int64{}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			err = errors.Join(err, refused(fmt.Sprintf("produce to %s/%d", t.Topic, p.Partition), p.ErrorCode))
			bases[at{t.Topic, p.Partition}] = p.BaseOffset
		}
	}
	return bases, err
}

// initProducer asks for a producer id; an empty name is a producer without transactions.
func (d direct) initProducer(id string) (txn.Producer, error) {
	for range 1000 {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.ProducerID, req.ProducerEpoch, req.TransactionTimeoutMillis = -1, -1, 600_000
		if id != "" {
			req.TransactionalID = &id
		}
		response, err := ask[*kmsg.InitProducerIDResponse](d, 4, req)
		if err == nil {
			err = refused("init producer "+id, response.ErrorCode)
		}
		if errors.Is(err, kerr.ConcurrentTransactions) {
			continue // the transaction of the one before is being ended
		}
		if err != nil {
			return txn.NoProducer, err
		}
		return txn.Producer{ID: response.ProducerID, Epoch: response.ProducerEpoch}, nil
	}
	return txn.NoProducer, fmt.Errorf("init producer %s: %w", id, errNoAnswer)
}

// end decides a transaction and returns the producer from then on.
func (d direct) end(version int16, id string, p txn.Producer, commit bool) (txn.Producer, error) {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = id, p.ID, p.Epoch, commit
	response, err := ask[*kmsg.EndTxnResponse](d, version, req)
	if err == nil {
		err = refused("end transaction "+id, response.ErrorCode)
	}
	if err != nil || version < 5 {
		return p, err
	}
	return txn.Producer{ID: response.ProducerID, Epoch: response.ProducerEpoch}, nil
}

// stored is a record that a reader got.
type stored struct {
	offset     int64
	key, value string
}

// read reads a partition from an offset up to what a reader may see.
func (d direct) read(from at, offset int64, committed bool) ([]stored, error) {
	var all []stored
	for {
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes, req.ReplicaID, req.SessionEpoch = 8<<10, -1, -1
		if committed {
			req.IsolationLevel = 1
		}
		part := kmsg.NewFetchRequestTopicPartition()
		part.Partition, part.FetchOffset, part.PartitionMaxBytes, part.CurrentLeaderEpoch = from.partition, offset, 8<<10, -1
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.Partitions = from.topic, append(t.Partitions, part)
		req.Topics = append(req.Topics, t)
		response, err := ask[*kmsg.FetchResponse](d, 12, req)
		if err != nil {
			return all, err
		}
		got := response.Topics[0].Partitions[0]
		if err := refused(fmt.Sprintf("fetch %v from %d", from, offset), got.ErrorCode); err != nil {
			return all, err
		}
		if len(got.RecordBatches) == 0 {
			return all, nil
		}
		some, next, err := decodeFetched(got, committed)
		all, offset = append(all, some...), next
		if err != nil {
			return all, err
		}
	}
}

// decodeFetched does what a client does: it leaves out markers, and the batches of transactions that were given up.
func decodeFetched(got kmsg.FetchResponseTopicPartition, committed bool) (all []stored, next int64, err error) {
	aborted, begun := map[int64]bool{}, slices.Clone(got.AbortedTransactions)
	slices.SortFunc(begun, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	var broken error
	err = batch.Walk(got.RecordBatches, func(h batch.Header, raw []byte) bool {
		next = h.Next()
		for ; len(begun) > 0 && begun[0].FirstOffset < next; begun = begun[1:] {
			aborted[begun[0].ProducerID] = true
		}
		if h.Control() {
			delete(aborted, h.ProducerID)
			return true
		}
		if committed && h.Transactional() && aborted[h.ProducerID] {
			return true
		}
		for r, err := range batch.Records(raw, 1<<20) {
			if err != nil {
				broken = err
				return false
			}
			all = append(all, stored{r.Offset, string(r.Key), string(r.Value)})
		}
		return true
	})
	return all, next, errors.Join(err, broken)
}

// committedOffset is what a group committed for a partition, -1 for nothing.
func (d direct) committedOffset(group string, of at) (int64, error) {
	topic := kmsg.NewOffsetFetchRequestTopic()
	topic.Topic, topic.Partitions = of.topic, []int32{of.partition}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.Topics = group, []kmsg.OffsetFetchRequestTopic{topic}
	response, err := ask[*kmsg.OffsetFetchResponse](d, 5, req)
	if err != nil {
		return 0, err
	}
	p := response.Topics[0].Partitions[0]
	if p.ErrorCode == kerr.UnknownTopicOrPartition.Code {
		return -1, nil
	}
	return p.Offset, refused(fmt.Sprintf("fetch offset of %v", of), p.ErrorCode)
}

// commitOffsetIn commits an offset in a transaction.
func (d direct) commitOffsetIn(version int16, id string, p txn.Producer, group string, of at, offset int64) error {
	part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	part.Partition, part.Offset = of.partition, offset
	t := kmsg.NewTxnOffsetCommitRequestTopic()
	t.Topic, t.Partitions = of.topic, append(t.Partitions, part)
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Topics = id, group, p.ID, p.Epoch, append(req.Topics, t)
	req.Generation = -1
	response, err := ask[*kmsg.TxnOffsetCommitResponse](d, version, req)
	if err != nil {
		return err
	}
	return refused("commit offset", response.Topics[0].Partitions[0].ErrorCode)
}
