package streamtest

import (
	"fmt"
	"slices"
	"time"

	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
	"ravenswood.dev/stream"
)

// In is a topic that the test writes.
type In[K, V any] struct {
	d     *Driver
	topic stream.TopicOf[K, V]
}

// Input opens a topic for writing. One that the topology does not read ends the test.
func Input[K, V any](d *Driver, topic stream.TopicOf[K, V]) *In[K, V] {
	d.t.Helper()
	if !d.reads(topic.Name()) {
		d.t.Fatalf("write topic %q: topology %q does not read it", topic.Name(), d.plan.Name)
	}
	return &In[K, V]{d, topic}
}

func (d *Driver) reads(name string) bool {
	return slices.ContainsFunc(d.plan.Inputs, func(in topology.Input) bool { return in.Topic == name }) ||
		slices.ContainsFunc(d.plan.Globals, func(g topology.Global) bool { return g.Topic == name })
}

func (d *Driver) writes(name string) bool {
	return slices.ContainsFunc(d.plan.Sinks, func(s topology.Sink) bool { return s.Topic == name })
}

// Send writes a record and works on all that follows from it. Its event time is the wall clock's if none is given.
func (in *In[K, V]) Send(key K, value V, at ...time.Time) {
	if err := in.send(stream.Record[K, V]{Key: key, Value: value, Time: in.when(at)}); err != nil {
		in.d.t.Helper()
		in.d.t.Fatalf("%v", err)
	}
}

// Delete writes a record without a value: in a table's topic it deletes the key.
func (in *In[K, V]) Delete(key K, at ...time.Time) {
	if err := in.send(stream.Record[K, V]{Key: key, Time: in.when(at), Deleted: true}); err != nil {
		in.d.t.Helper()
		in.d.t.Fatalf("%v", err)
	}
}

func (in *In[K, V]) when(at []time.Time) time.Time {
	if len(at) > 0 {
		return at[0]
	}
	return in.d.now
}

// SendRecord writes a record with its headers and works on all that follows from it.
func (in *In[K, V]) SendRecord(r stream.Record[K, V]) {
	if err := in.send(r); err != nil {
		in.d.t.Helper()
		in.d.t.Fatalf("%v", err)
	}
}

func (in *In[K, V]) send(r stream.Record[K, V]) error {
	raw := &record.Record{Time: r.Time}
	var err error
	if raw.Key, err = bytesOf(in.topic.Key(), r.Key); err != nil {
		return fmt.Errorf("write key for topic %q: %w", in.topic.Name(), err)
	}
	if !r.Deleted {
		if raw.Value, err = bytesOf(in.topic.Value(), r.Value); err != nil {
			return fmt.Errorf("write value for topic %q: %w", in.topic.Name(), err)
		}
	}
	for _, h := range r.Headers {
		raw.Headers = append(raw.Headers, record.Header(h))
	}
	in.d.write(in.topic.Name(), raw, false)
	return in.d.work()
}

// SendRaw writes a record as bytes, to see what becomes of what a codec cannot read; a nil key or value is none.
func (in *In[K, V]) SendRaw(key, value []byte, at ...time.Time) {
	in.d.write(in.topic.Name(), &record.Record{Key: key, Value: value, Time: in.when(at)}, false)
	if err := in.d.work(); err != nil {
		in.d.t.Helper()
		in.d.t.Fatalf("%v", err)
	}
}

// bytesOf never returns nil, which would mean that there is no key or value.
func bytesOf[T any](c stream.Codec[T], value T) ([]byte, error) {
	data, err := c.Encode(nil, value)
	if data == nil && err == nil {
		data = []byte{}
	}
	return data, err
}

// Out is a topic that the test reads.
type Out[K, V any] struct {
	d     *Driver
	topic stream.TopicOf[K, V]
	read  int
}

// Output opens a topic for reading, from its beginning. One that the topology neither writes nor reads ends the test.
func Output[K, V any](d *Driver, topic stream.TopicOf[K, V]) *Out[K, V] {
	d.t.Helper()
	if !d.writes(topic.Name()) && !d.reads(topic.Name()) {
		d.t.Fatalf("read topic %q: topology %q does not write it", topic.Name(), d.plan.Name)
	}
	return &Out[K, V]{d: d, topic: topic}
}

// Records are the records written since the last call, in the order in which they were written.
func (out *Out[K, V]) Records() []stream.Record[K, V] {
	out.d.t.Helper()
	var all []stream.Record[K, V]
	t := out.d.topic(out.topic.Name())
	for _, p := range t.order[out.read:] {
		all = append(all, out.record(t.parts[p.partition][p.offset]))
	}
	out.read = len(t.order)
	return all
}

// Values are the values of Records.
func (out *Out[K, V]) Values() []V {
	out.d.t.Helper()
	var all []V
	for _, r := range out.Records() {
		all = append(all, r.Value)
	}
	return all
}

func (out *Out[K, V]) record(raw *record.Record) stream.Record[K, V] {
	out.d.t.Helper()
	r := stream.Record[K, V]{Time: raw.Time, Origin: stream.Origin(raw.Origin), Deleted: raw.Value == nil}
	for _, h := range raw.Headers {
		r.Headers = append(r.Headers, stream.Header(h))
	}
	var err error
	if raw.Key != nil {
		r.Key, err = out.topic.Key().Decode(raw.Key)
		out.d.check(err, "read a key of topic "+out.topic.Name()+" of")
	}
	if raw.Value != nil {
		r.Value, err = out.topic.Value().Decode(raw.Value)
		out.d.check(err, "read a value of topic "+out.topic.Name()+" of")
	}
	return r
}
