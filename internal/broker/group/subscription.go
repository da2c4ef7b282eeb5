package group

import (
	"encoding/binary"
	"slices"
)

// consumerType is the protocol type of consumers, the only one whose metadata is looked into.
const consumerType = "consumer"

// subscription reads the topics from what a consumer says: 2 bytes version, 4 bytes count, then each topic as 2 bytes
// length and name. What follows is of no interest here.
func subscription(b []byte) (topics []string, ok bool) {
	if len(b) < 6 {
		return nil, false
	}
	count := binary.BigEndian.Uint32(b[2:])
	b = b[6:]
	if uint64(count)*2 > uint64(len(b)) { // each takes two bytes at least
		return nil, false
	}
	for range count {
		if len(b) < 2 {
			return nil, false
		}
		n := int(binary.BigEndian.Uint16(b))
		if n > len(b)-2 {
			return nil, false
		}
		topics = append(topics, string(b[2:2+n]))
		b = b[2+n:]
	}
	return topics, true
}

// sameTopics reports whether a static member that came back wants what it wanted before. The partitions that it owned are
// in its metadata, too, and do not count: a new process owns none.
func (g *Group) sameTopics(before, after []byte) bool {
	if g.protocolType != consumerType {
		return true
	}
	a, okA := subscription(before)
	b, okB := subscription(after)
	slices.Sort(a)
	slices.Sort(b)
	return okA && okB && slices.Equal(a, b)
}

// subscribed reports whether a member wants the topic. One whose wishes cannot be read might.
func (g *Group) subscribed(topic string) bool {
	if g.protocolType != consumerType {
		return false
	}
	return slices.ContainsFunc(g.order, func(m *member) bool {
		topics, ok := subscription(m.metadata(g.spoken(m)))
		return !ok || slices.Contains(topics, topic)
	})
}

// spoken is the protocol that speaks for a member: the chosen one, before there is one the member's favourite.
func (g *Group) spoken(m *member) string {
	if m.offers(g.protocol) {
		return g.protocol
	}
	return m.protocols[0].name
}
