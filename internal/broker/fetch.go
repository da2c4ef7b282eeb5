package broker

import (
	"encoding/binary"
	"math"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchBytesMax is the largest fetch request that is looked into.
const fetchBytesMax = 1 << 20

// partitionBytesMin is the least a partition may answer with: a limit shared by very many partitions must not end in
// answers of a batch each.
const partitionBytesMin = 16 << 10

// spread rewrites a committed reader's fetch request so that its limit for the whole answer holds by the limits of its
// partitions. It returns the frame as it came if there is nothing to do.
//
// The cluster needs it: when an answer reaches the limit for the whole, the cluster breaks off in the middle of a partition
// and leaves out which of that partition's transactions were aborted. The reader then takes aborted records for
// committed ones. An answer that ends by a partition's own limit is right.
func spread(frame []byte) []byte {
	r := kbin.Reader{Src: frame[4:]}
	_, version := r.Int16(), r.Int16()
	r.Int32()          // correlation id
	r.NullableString() // client id
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(version)
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if !r.Ok() || version < 4 || version > req.MaxVersion() { // before version 4 there are no committed readers
		return frame
	}
	head := len(frame) - len(r.Src)
	if err := req.ReadFrom(r.Src); err != nil || req.IsolationLevel != 1 {
		return frame
	}
	shareLimit(req)
	out := req.AppendTo(append([]byte(nil), frame[:head]...))
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	return out
}

// shareLimit gives every partition an equal part of the limit, at most what it was asked for.
func shareLimit(req *kmsg.FetchRequest) {
	n := int32(0)
	for _, topic := range req.Topics {
		n += int32(len(topic.Partitions))
	}
	if n == 0 {
		req.MaxBytes = math.MaxInt32 // the partitions of the session have their limits already
		return
	}
	part := max(req.MaxBytes/n, partitionBytesMin)
	for t := range req.Topics {
		for p := range req.Topics[t].Partitions {
			limit := &req.Topics[t].Partitions[p].PartitionMaxBytes
			*limit = min(*limit, part)
		}
	}
	req.MaxBytes = math.MaxInt32
}
