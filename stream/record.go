package stream

import (
	"slices"
	"time"

	"ravenswood.dev/internal/record"
)

// Record is one record as operators see it.
type Record[K, V any] struct {
	Key     K // the zero value if the record has none
	Value   V // the zero value if Deleted
	Headers []Header
	Time    time.Time // event time
	Origin  Origin    // where the record entered the topology
	Deleted bool      // the record has no value: in a table's topic it says that the key is gone
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

// Header returns the value of the last header of that name; ok says whether there is one.
func (r Record[K, V]) Header(key string) (value []byte, ok bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value, true
		}
	}
	return nil, false
}

// WithHeader returns the record with one more header; the original is as before.
func (r Record[K, V]) WithHeader(key string, value []byte) Record[K, V] {
	r.Headers = append(slices.Clip(r.Headers), Header{Key: key, Value: value})
	return r
}

// after is the record with a time and an origin, if it has none.
func (r Record[K, V]) after(at time.Time, origin Origin) Record[K, V] {
	if r.Time.IsZero() {
		r.Time = at
	}
	if r.Origin == (Origin{}) {
		r.Origin = origin
	}
	return r
}

// item is a record between two fused operators, with the bytes it was read from as long as they still say the same.
type item[K, V any] struct {
	Record[K, V]
	keyless                  bool
	old                      V // of a table's change: the value before
	hasOld                   bool
	rawKey, rawValue, rawOld []byte // nil: must be encoded anew
	keyID, valueID           int    // the codecs the raw bytes were written with
}

// retyped makes an item of another type with everything but value and old.
func retyped[K, V, W any](it *item[K, V]) item[K, W] {
	return item[K, W]{
		Record:  Record[K, W]{Key: it.Key, Headers: it.Headers, Time: it.Time, Origin: it.Origin, Deleted: it.Deleted},
		keyless: it.keyless, rawKey: it.rawKey, keyID: it.keyID,
	}
}

// rekeyed makes an item under another key.
func rekeyed[K, V, K2 any](it *item[K, V], key K2) item[K2, V] {
	return item[K2, V]{
		Record: Record[K2, V]{Key: key, Value: it.Value, Headers: it.Headers, Time: it.Time, Origin: it.Origin, Deleted: it.Deleted},
		old:    it.old, hasOld: it.hasOld, rawValue: it.rawValue, rawOld: it.rawOld, valueID: it.valueID,
	}
}

func headersIn(in []record.Header) []Header {
	if len(in) == 0 {
		return nil
	}
	out := make([]Header, len(in))
	for i, h := range in {
		out[i] = Header(h)
	}
	return out
}

func headersOut(in []Header) []record.Header {
	if len(in) == 0 {
		return nil
	}
	out := make([]record.Header, len(in))
	for i, h := range in {
		out[i] = record.Header(h)
	}
	return out
}
