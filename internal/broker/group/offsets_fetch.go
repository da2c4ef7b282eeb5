package group

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fetch handles OffsetFetch of all versions. allow says why a group may not be read, nil if it may. When all topics are
// asked for, those that resolve refuses are left out.
func (o *Offsets) Fetch(req *kmsg.OffsetFetchRequest, allow func(group string) *kerr.Error, resolve Resolve) *kmsg.OffsetFetchResponse {
	r := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	if req.Version < 8 {
		g := o.fetchGroup(req, single(req), allow, resolve)
		r.ErrorCode = g.ErrorCode
		for _, t := range g.Topics {
			r.Topics = append(r.Topics, singleTopic(t))
		}
		return r
	}
	for _, g := range req.Groups {
		r.Groups = append(r.Groups, o.fetchGroup(req, g, allow, resolve))
	}
	return r
}

// single is a request before version 8, for one group, as one of those after.
func single(req *kmsg.OffsetFetchRequest) kmsg.OffsetFetchRequestGroup {
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = req.Group
	if req.Topics != nil {
		g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
	}
	for _, t := range req.Topics {
		one := kmsg.NewOffsetFetchRequestGroupTopic()
		one.Topic, one.Partitions = t.Topic, t.Partitions
		g.Topics = append(g.Topics, one)
	}
	return g
}

func singleTopic(t kmsg.OffsetFetchResponseGroupTopic) kmsg.OffsetFetchResponseTopic {
	out := kmsg.NewOffsetFetchResponseTopic()
	out.Topic = t.Topic
	for _, p := range t.Partitions {
		one := kmsg.NewOffsetFetchResponseTopicPartition()
		one.Partition, one.Offset, one.LeaderEpoch = p.Partition, p.Offset, p.LeaderEpoch
		one.Metadata, one.ErrorCode = p.Metadata, p.ErrorCode
		out.Partitions = append(out.Partitions, one)
	}
	return out
}

func (o *Offsets) fetchGroup(req *kmsg.OffsetFetchRequest, g kmsg.OffsetFetchRequestGroup, allow func(string) *kerr.Error,
	resolve Resolve) kmsg.OffsetFetchResponseGroup {
	f := fetch{o, g.Group, req.Version, req.RequireStable, resolve}
	out := kmsg.NewOffsetFetchResponseGroup()
	out.Group = g.Group
	if err := allow(g.Group); err != nil {
		out.ErrorCode = err.Code
		if req.Version < 2 { // there is no other place for it
			out.Topics = f.some(g.Topics, err)
		}
		return out
	}
	if g.Topics == nil {
		out.Topics = f.all()
	} else {
		out.Topics = f.some(g.Topics, nil)
	}
	return out
}

// fetch is one group of an OffsetFetch.
type fetch struct {
	o       *Offsets
	group   string
	version int16
	stable  bool
	resolve Resolve
}

func (f fetch) some(topics []kmsg.OffsetFetchRequestGroupTopic, refused *kerr.Error) []kmsg.OffsetFetchResponseGroupTopic {
	var out []kmsg.OffsetFetchResponseGroupTopic
	for _, t := range topics {
		one := kmsg.NewOffsetFetchResponseGroupTopic()
		one.Topic, one.TopicID = t.Topic, t.TopicID
		topic, err := f.find(t, refused)
		for _, p := range t.Partitions {
			one.Partitions = append(one.Partitions, f.partition(slot{topic, p}, err))
		}
		out = append(out, one)
	}
	return out
}

// find resolves a topic. One asked for by name that does not exist has no offset, and that is no mistake.
func (f fetch) find(t kmsg.OffsetFetchRequestGroupTopic, refused *kerr.Error) (Topic, *kerr.Error) {
	if refused != nil {
		return Topic{}, refused
	}
	topic, _, err := f.resolve(t.Topic, t.TopicID)
	if f.version < 10 && err == kerr.UnknownTopicOrPartition {
		return Topic{}, nil
	}
	return topic, err
}

// all are the topics with offsets. A partition that has only a pending one is named when the caller wants stable ones: it
// would take its absence for a beginning.
func (f fetch) all() []kmsg.OffsetFetchResponseGroupTopic {
	out := []kmsg.OffsetFetchResponseGroupTopic{}
	last := slot{}
	for _, s := range f.slots() {
		if _, _, err := f.resolve("", s.topic.ID); err != nil {
			continue
		}
		if len(out) == 0 || last.topic != s.topic {
			one := kmsg.NewOffsetFetchResponseGroupTopic()
			one.Topic, one.TopicID = s.topic.Name, s.topic.ID
			out = append(out, one)
			last = s
		}
		t := &out[len(out)-1]
		t.Partitions = append(t.Partitions, f.partition(s, nil))
	}
	return out
}

func (f fetch) slots() []slot {
	l := f.o.groups[f.group]
	if l == nil {
		return nil
	}
	seen := map[slot]bool{}
	for s := range l.committed {
		seen[s] = true
	}
	for _, p := range l.pending {
		for s := range p {
			if f.stable {
				seen[s] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(seen), compareSlots)
}

func (f fetch) partition(s slot, err *kerr.Error) kmsg.OffsetFetchResponseGroupTopicPartition {
	out := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	out.Partition, out.Offset, out.LeaderEpoch, out.Metadata = s.partition, -1, -1, kmsg.StringPtr("")
	if err == nil && f.stable && f.o.Unstable(f.group, s.topic, s.partition) {
		err = kerr.UnstableOffsetCommit
	}
	if err != nil {
		out.ErrorCode = err.Code
		return out
	}
	if at, ok := f.o.Get(f.group, s.topic, s.partition); ok {
		out.Offset, out.LeaderEpoch, out.Metadata = at.Offset, at.LeaderEpoch, kmsg.StringPtr(at.Metadata)
	}
	return out
}
