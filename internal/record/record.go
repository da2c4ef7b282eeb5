// Package record is the one shape in which a record travels through a topology.
//
// A record has one owner at a time and is not safe for concurrent use. Who hands it on (Emit, Deliver) gives it away;
// who needs it twice clones it first. Key, Value and Headers may share memory with the fetch they came from: replace
// them, never write into them.
package record

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Record is one event on its way.
type Record struct {
	Key     []byte // nil if the record has none
	Value   []byte // the bytes as read until a bolt replaces them; nil is a tombstone
	Headers []Header
	Time    time.Time // event time as the log has it
	Format  Format    // what Value holds; a JSON value has been validated where it entered
	Origin  Origin    // where the record entered the platform; kept through every hop, replay included
	Old     []byte    // of a table's change: the value before, nil if there was none; never leaves its task
}

// Header is one header, in the order of the record.
type Header struct {
	Key   string
	Value []byte
}

// Origin names a record for good: the topic, partition and offset at which it first entered.
type Origin struct {
	Topic     string
	Partition int32
	Offset    int64
}

func (o Origin) String() string {
	return o.Topic + "/" + strconv.FormatInt(int64(o.Partition), 10) + "/" + strconv.FormatInt(o.Offset, 10)
}

// ParseOrigin reads what String wrote.
func ParseOrigin(s string) (Origin, error) {
	head, offset, ok1 := cutLast(s)
	topic, partition, ok2 := cutLast(head)
	p, err1 := strconv.ParseInt(partition, 10, 32)
	o, err2 := strconv.ParseInt(offset, 10, 64)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || topic == "" {
		return Origin{}, fmt.Errorf("read origin %q: want topic/partition/offset", s)
	}
	return Origin{Topic: topic, Partition: int32(p), Offset: o}, nil
}

func cutLast(s string) (head, tail string, ok bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// Format says what a value holds.
type Format uint8

// The formats. The zero value is Raw.
const (
	Raw     Format = iota // bytes nobody looks into
	JSON                  // one valid JSON document, number literals kept as written
	Text                  // UTF-8 text
	Int64                 // eight bytes, big endian, as programs in Go write them; expressions do not look into them
	Float64               // the same of IEEE 754
)

// ParseFormat reads the name of a format that a file can give its records.
func ParseFormat(s string) (Format, error) {
	switch s {
	case "raw":
		return Raw, nil
	case "json":
		return JSON, nil
	case "text":
		return Text, nil
	}
	return Raw, fmt.Errorf("read format %q: want json, raw or text", s)
}

func (f Format) String() string { return [...]string{"raw", "json", "text", "int64", "float64"}[f] }

// Clone returns a copy that can go its own way; the bytes are shared, since nobody writes into them.
func (r *Record) Clone() *Record {
	c := *r
	c.Headers = slices.Clone(r.Headers)
	return &c
}

// Header returns the value of the last header of that name; ok says whether there is one.
func (r *Record) Header(key string) (value []byte, ok bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value, true
		}
	}
	return nil, false
}

// SetHeader replaces all headers of that name by one.
func (r *Record) SetHeader(key string, value []byte) {
	r.RemoveHeader(key)
	r.Headers = append(r.Headers, Header{Key: key, Value: value})
}

// RemoveHeader removes all headers of that name. The slice is made anew if anything goes, so clones are not touched.
func (r *Record) RemoveHeader(key string) {
	if _, ok := r.Header(key); !ok {
		return
	}
	kept := make([]Header, 0, len(r.Headers))
	for _, h := range r.Headers {
		if h.Key != key {
			kept = append(kept, h)
		}
	}
	r.Headers = kept
}

// Size is the record's weight against limits, in bytes.
func (r *Record) Size() int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// The headers Ravenswood sets. User headers must not begin with Prefix.
const (
	Prefix = "raven-"
	// HeaderOrigin carries Origin.String() on internal topics and dead letters.
	HeaderOrigin = Prefix + "origin"
	// HeaderAnswered + bolt carries "service/version" of who answered that call bolt.
	HeaderAnswered = Prefix + "answered-"
	// HeaderDegraded + bolt carries the service whose fallback answer was used.
	HeaderDegraded = Prefix + "degraded-"
	// HeaderReplayed carries the dead letter's id on the outputs of a replayed record.
	HeaderReplayed = Prefix + "replayed"
)
