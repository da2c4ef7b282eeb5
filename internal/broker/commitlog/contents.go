package commitlog

import (
	"slices"
	"sort"

	"ravenswood.dev/internal/broker/batch"
)

// noTime is the timestamp of records without one.
const noTime = -1

// An entry of an index says where a batch is.
type entry struct {
	offset  int64 // first offset of the batch
	at      int64 // its position in the segment
	maxTime int64 // largest timestamp of the batches before it in the segment
}

// contents are what is known of a segment up to a length without reading it: what a sidecar holds. They are grown by add
// while a segment is written or read through, and never change after that.
type contents struct {
	base    int64
	bytes   int64
	next    int64
	maxTime int64 // noTime: none
	maxAt   int64 // first offset of the first batch with maxTime
	index   []entry
	aborted []Aborted    // markers in this segment
	epochs  []EpochStart // of the whole log up to here
	state   []byte       // of the tracker
	stated  bool         // there is a state; false in segments that compaction made before its last
}

func newContents(base int64, epochs []EpochStart) *contents {
	return &contents{base: base, next: base, maxTime: noTime, maxAt: base, epochs: slices.Clone(epochs)}
}

// add takes the next batch in. One index entry is made every so many bytes.
func (c *contents) add(h batch.Header, aborted *Aborted, every int64) {
	if n := len(c.index); n == 0 || c.bytes-c.index[n-1].at >= every {
		c.index = append(c.index, entry{offset: h.BaseOffset, at: c.bytes, maxTime: c.maxTime})
	}
	if n := len(c.epochs); h.LeaderEpoch >= 0 && (n == 0 || c.epochs[n-1].Epoch < h.LeaderEpoch) {
		c.epochs = append(c.epochs, EpochStart{Epoch: h.LeaderEpoch, First: h.BaseOffset})
	}
	if h.MaxTimestamp > c.maxTime && h.Records > 0 {
		c.maxTime, c.maxAt = h.MaxTimestamp, h.BaseOffset
	}
	if aborted != nil {
		c.aborted = append(c.aborted, *aborted)
	}
	c.bytes += int64(h.Bytes)
	c.next = h.Next()
}

// seek is the last place known at or before the batch that holds offset.
func (c *contents) seek(offset int64) entry {
	i := sort.Search(len(c.index), func(i int) bool { return c.index[i].offset > offset })
	return c.entry(i - 1)
}

// seekTime is the last place known before which everything is older than millis.
func (c *contents) seekTime(millis int64) entry {
	i := sort.Search(len(c.index), func(i int) bool { return c.index[i].maxTime >= millis })
	return c.entry(i - 1)
}

func (c *contents) entry(i int) entry {
	if i < 0 {
		return entry{offset: c.base, maxTime: noTime}
	}
	return c.index[i]
}

// brief is the part of contents that is small enough to be kept for every segment.
type brief struct {
	next    int64
	maxTime int64
	maxAt   int64
	aborted []Aborted // if few
	many    bool      // they are not few: aborted is empty
}

// abortedKept is how many aborted transactions of a segment are kept in memory. When there are more, whoever collects
// them for a range comes to the end of the range soon.
const abortedKept = 256

func (c *contents) brief() *brief {
	b := &brief{next: c.next, maxTime: c.maxTime, maxAt: c.maxAt}
	if b.many = len(c.aborted) > abortedKept; !b.many {
		b.aborted = slices.Clone(c.aborted)
	}
	return b
}
