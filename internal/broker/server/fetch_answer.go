package server

import (
	"encoding/binary"
	"net"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A fetchFrame is the answer to a fetch on its way out. Records go to the connection from where they were read into: an
// answer of many partitions has megabytes of them, and copying those into one piece cost more than reading them.
type fetchFrame struct {
	head  []byte // everything but records
	cuts  []cut
	size  int // of all records
	small []byte
	out   net.Buffers
}

// A cut says which records come after how much of the head.
type cut struct {
	at      int
	records []byte
}

// gatherFrom is how many bytes of records are worth more than one piece.
const gatherFrom = 32 << 10

// plainFetch says whether a fetchFrame can say all that an answer does. What experiments answer may have more in it.
func plainFetch(response kmsg.Response) (*kmsg.FetchResponse, bool) {
	f, ok := response.(*kmsg.FetchResponse)
	if !ok || f.Version < 4 || f.Version > 18 || len(f.Brokers) > 0 || f.UnknownTags.Len() > 0 {
		return nil, false
	}
	for i := range f.Topics {
		if f.Topics[i].UnknownTags.Len() > 0 {
			return nil, false
		}
		for j := range f.Topics[i].Partitions {
			if !plainPartition(&f.Topics[i].Partitions[j]) {
				return nil, false
			}
		}
	}
	return f, true
}

func plainPartition(p *kmsg.FetchResponseTopicPartition) bool {
	return p.UnknownTags.Len() == 0 &&
		p.DivergingEpoch.Epoch == -1 && p.DivergingEpoch.EndOffset == -1 && p.DivergingEpoch.UnknownTags.Len() == 0 &&
		p.CurrentLeader.LeaderID == -1 && p.CurrentLeader.LeaderEpoch == -1 && p.CurrentLeader.UnknownTags.Len() == 0 &&
		p.SnapshotID.EndOffset == -1 && p.SnapshotID.Epoch == -1 && p.SnapshotID.UnknownTags.Len() == 0
}

// frame makes the frame of an answer. It is good until the next one, and while nobody touches the records.
func (w *fetchFrame) frame(correlation int32, f *kmsg.FetchResponse) net.Buffers {
	w.head, w.cuts, w.size = w.head[:0], w.cuts[:0], 0
	flexible := f.Version >= 12
	w.head = append(w.head, 0, 0, 0, 0)
	w.head = kbin.AppendInt32(w.head, correlation)
	w.noTags(flexible)
	w.head = kbin.AppendInt32(w.head, f.ThrottleMillis)
	if f.Version >= 7 {
		w.head = kbin.AppendInt16(w.head, f.ErrorCode)
		w.head = kbin.AppendInt32(w.head, f.SessionID)
	}
	w.length(flexible, len(f.Topics))
	for i := range f.Topics {
		w.topic(f.Version, &f.Topics[i])
	}
	w.noTags(flexible)
	binary.BigEndian.PutUint32(w.head, uint32(len(w.head)+w.size-4))
	return w.pieces()
}

func (w *fetchFrame) topic(version int16, t *kmsg.FetchResponseTopic) {
	flexible := version >= 12
	switch {
	case version >= 13:
		w.head = kbin.AppendUuid(w.head, t.TopicID)
	case flexible:
		w.head = kbin.AppendCompactString(w.head, t.Topic)
	default:
		w.head = kbin.AppendString(w.head, t.Topic)
	}
	w.length(flexible, len(t.Partitions))
	for i := range t.Partitions {
		w.partition(version, &t.Partitions[i])
	}
	w.noTags(flexible)
}

func (w *fetchFrame) partition(version int16, p *kmsg.FetchResponseTopicPartition) {
	flexible := version >= 12
	w.head = kbin.AppendInt32(w.head, p.Partition)
	w.head = kbin.AppendInt16(w.head, p.ErrorCode)
	w.head = kbin.AppendInt64(w.head, p.HighWatermark)
	w.head = kbin.AppendInt64(w.head, p.LastStableOffset)
	if version >= 5 {
		w.head = kbin.AppendInt64(w.head, p.LogStartOffset)
	}
	w.aborted(flexible, p.AbortedTransactions)
	if version >= 11 {
		w.head = kbin.AppendInt32(w.head, p.PreferredReadReplica)
	}
	w.records(flexible, p.RecordBatches)
	w.noTags(flexible)
}

func (w *fetchFrame) aborted(flexible bool, all []kmsg.FetchResponseTopicPartitionAbortedTransaction) {
	if flexible {
		w.head = kbin.AppendCompactNullableArrayLen(w.head, len(all), all == nil)
	} else {
		w.head = kbin.AppendNullableArrayLen(w.head, len(all), all == nil)
	}
	for _, a := range all {
		w.head = kbin.AppendInt64(w.head, a.ProducerID)
		w.head = kbin.AppendInt64(w.head, a.FirstOffset)
		w.noTags(flexible)
	}
}

func (w *fetchFrame) records(flexible bool, b []byte) {
	switch {
	case b == nil && flexible:
		w.head = kbin.AppendUvarint(w.head, 0)
	case b == nil:
		w.head = kbin.AppendInt32(w.head, -1)
	case flexible:
		w.head = kbin.AppendUvarint(w.head, 1+uint32(len(b)))
	default:
		w.head = kbin.AppendInt32(w.head, int32(len(b)))
	}
	if len(b) > 0 {
		w.cuts = append(w.cuts, cut{len(w.head), b})
		w.size += len(b)
	}
}

func (w *fetchFrame) length(flexible bool, n int) {
	if flexible {
		w.head = kbin.AppendCompactArrayLen(w.head, n)
	} else {
		w.head = kbin.AppendArrayLen(w.head, n)
	}
}

// noTags says that nothing follows which older clients do not know.
func (w *fetchFrame) noTags(flexible bool) {
	if flexible {
		w.head = append(w.head, 0)
	}
}

// pieces puts head and records in order.
func (w *fetchFrame) pieces() net.Buffers {
	out, at := w.out[:0], 0
	for _, c := range w.cuts {
		out = append(out, w.head[at:c.at], c.records)
		at = c.at
	}
	w.out = append(out, w.head[at:])
	if w.size < gatherFrom {
		w.small = w.small[:0]
		for _, piece := range w.out {
			w.small = append(w.small, piece...)
		}
		w.out = append(w.out[:0], w.small)
	}
	return w.out
}

// forget lets go of the records.
func (w *fetchFrame) forget() { clear(w.cuts) }
