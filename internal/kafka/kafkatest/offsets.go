package kafkatest

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func offsetCases() []testCase {
	return []testCase{
		{"what is committed comes back with its metadata", offsetRoundTrip},
		{"nothing committed is -1 without an error", offsetNone},
		{"an empty group takes commits without a member", offsetSimple},
		{"a group with members takes commits of members only", offsetStranger},
		{"a member commits", offsetMember},
		{"all topics of a group can be asked for", offsetAll},
		{"several groups can be asked for at once", offsetSeveral},
		{"an old client asks for one group", offsetOld},
		{"an unknown topic is refused, the others are taken", offsetUnknownTopic},
		{"metadata that is too long is refused", offsetMetadata},
		{"the last commit wins", offsetLast},
		{"offsets may go back", offsetBack},
		{"offsets of a topic without readers can be deleted", offsetDelete},
		{"offsets of a topic with readers cannot be deleted", offsetDeleteSubscribed},
		{"offsets of a group that is not there cannot be deleted", offsetDeleteUnknown},
		{"offsets of a deleted topic go with it", offsetDeletedTopic},
		{"a commit while others rebalance is taken or told so", offsetRebalancing},
		{"the leader epoch is kept", offsetLeaderEpoch},
	}
}

func offsetRoundTrip(t *T) {
	topic, group := t.topic(1), t.unique("group")
	req := commitRequest(group, "", -1, topic, 0, 42)
	metadata := "here"
	req.Topics[0].Partitions[0].Metadata = &metadata
	t.ok("commit", ask(t, req.RequestWith).Topics[0].Partitions[0].ErrorCode)
	got := ask(t, offsetFetchRequest(group, topic, 0).RequestWith).Groups[0].Topics[0].Partitions[0]
	equal(t, "offset", got.Offset, 42)
	equal(t, "metadata", *got.Metadata, metadata)
}

func offsetNone(t *T) {
	g := ask(t, offsetFetchRequest(t.unique("none"), t.topic(1), 0).RequestWith).Groups[0]
	t.ok("fetch offsets", g.ErrorCode)
	t.ok("fetch offset", g.Topics[0].Partitions[0].ErrorCode)
	equal(t, "offset", g.Topics[0].Partitions[0].Offset, -1)
}

func offsetSimple(t *T) { offsetSequence(t, 7) }
func offsetLast(t *T)   { offsetSequence(t, 1, 2, 3) }
func offsetBack(t *T)   { offsetSequence(t, 9, 3) }

func offsetSequence(t *T, offsets ...int64) {
	t.Helper()
	topic, group := t.topic(1), t.unique("group")
	for _, offset := range offsets {
		t.ok("commit", t.commitOffset(group, topic, 0, offset))
	}
	t.wantOffset(group, topic, offsets[len(offsets)-1])
	equal(t, "state", t.describeGroup(group).State, "Empty")
}

func offsetStranger(t *T) {
	m := t.member(t.unique("group"))
	t.want("commit", t.commitOffset(m.group, t.topic(1), 0, 1), kerr.UnknownMemberID)
}

func offsetMember(t *T) {
	topic, m := t.topic(1), t.member(t.unique("group"))
	t.ok("commit", t.commitAs(m.group, m.id, m.generation, topic, 0, 8))
	t.wantOffset(m.group, topic, 8)
}

func offsetAll(t *T) {
	one, two, group := t.topic(2), t.topic(1), t.unique("group")
	t.ok("commit", t.commitOffset(group, one, 1, 1))
	t.ok("commit", t.commitOffset(group, two, 0, 2))
	req := offsetFetchRequest(group, "")
	req.Groups[0].Topics = nil
	found := map[string]int64{}
	for _, topic := range ask(t, req.RequestWith).Groups[0].Topics {
		for _, p := range topic.Partitions {
			found[place(topic.Topic, p.Partition)] = p.Offset
		}
	}
	equal(t, "offsets", len(found), 2)
	equal(t, "offset", found[place(one, 1)], 1)
	equal(t, "offset", found[place(two, 0)], 2)
}

func offsetSeveral(t *T) {
	topic, one, two := t.topic(1), t.unique("group"), t.unique("group")
	t.ok("commit", t.commitOffset(one, topic, 0, 1))
	t.ok("commit", t.commitOffset(two, topic, 0, 2))
	req := offsetFetchRequest(one, topic, 0)
	req.Groups = append(req.Groups, offsetFetchRequest(two, topic, 0).Groups...)
	for _, g := range ask(t, req.RequestWith).Groups {
		want := map[string]int64{one: 1, two: 2}[g.Group]
		equal(t, "offset", g.Topics[0].Partitions[0].Offset, want)
	}
}

func offsetOld(t *T) {
	topic, group := t.topic(1), t.unique("group")
	t.ok("commit", t.commitOffset(group, topic, 0, 1))
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.Topics = group, []kmsg.OffsetFetchRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	equal(t, "offset", askOn(t, t.at(5), req.RequestWith).Topics[0].Partitions[0].Offset, 1)
}

func offsetUnknownTopic(t *T) {
	topic, group := t.topic(1), t.unique("group")
	req := commitRequest(group, "", -1, topic, 0, 1)
	req.Topics = append(req.Topics, commitRequest(group, "", -1, t.unique("none"), 0, 1).Topics...)
	for _, res := range ask(t, req.RequestWith).Topics {
		if res.Topic == topic {
			t.ok("commit", res.Partitions[0].ErrorCode)
		} else {
			t.want("commit", res.Partitions[0].ErrorCode, kerr.UnknownTopicOrPartition)
		}
	}
	t.wantOffset(group, topic, 1)
}

func offsetMetadata(t *T) {
	req := commitRequest(t.unique("group"), "", -1, t.topic(1), 0, 1)
	metadata := strings.Repeat("x", 5000)
	req.Topics[0].Partitions[0].Metadata = &metadata
	t.want("commit", ask(t, req.RequestWith).Topics[0].Partitions[0].ErrorCode, kerr.OffsetMetadataTooLarge)
}

func (t *T) deleteOffset(group, topic string) (whole int16, partition int16) {
	t.Helper()
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = group
	req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
	res := ask(t, req.RequestWith)
	if len(res.Topics) == 1 && len(res.Topics[0].Partitions) == 1 {
		partition = res.Topics[0].Partitions[0].ErrorCode
	}
	return res.ErrorCode, partition
}

func offsetDelete(t *T) {
	topic, group := t.topic(1), t.unique("group")
	t.ok("commit", t.commitOffset(group, topic, 0, 1))
	whole, partition := t.deleteOffset(group, topic)
	t.ok("delete offsets", whole)
	t.ok("delete offset", partition)
	t.wantOffset(group, topic, -1)
}

func offsetDeleteSubscribed(t *T) {
	topic := t.topic(1)
	m := t.newMember(t.unique("group"))
	join := func() *kmsg.JoinGroupResponse {
		req := m.joinRequest()
		req.Protocols[0].Metadata = subscription("", topic)
		return askOn(t, m.conn, req.RequestWith)
	}
	m.id = join().MemberID
	m.joined(join())
	t.ok("sync group", m.sync().ErrorCode)
	t.ok("commit", t.commitAs(m.group, m.id, m.generation, topic, 0, 1))
	_, partition := t.deleteOffset(m.group, topic)
	t.want("delete offset", partition, kerr.GroupSubscribedToTopic)
	t.wantOffset(m.group, topic, 1)
}

func offsetDeleteUnknown(t *T) {
	whole, _ := t.deleteOffset(t.unique("none"), t.topic(1))
	t.want("delete offsets", whole, kerr.GroupIDNotFound)
}

func offsetDeletedTopic(t *T) {
	topic, group := t.topic(1), t.unique("group")
	t.ok("commit", t.commitOffset(group, topic, 0, 1))
	t.deleteTopic(topic)
	t.eventually("the offset gone", func() bool { return t.offset(group, topic, 0) == -1 })
}

func offsetRebalancing(t *T) {
	topic := t.topic(1)
	first := t.member(t.unique("group"))
	second := t.newMember(first.group)
	waiting := second.begin()
	t.eventually("a rebalance", func() bool { return first.beat() == kerr.RebalanceInProgress.Code })
	t.ok("commit while the group prepares", t.commitAs(first.group, first.id, first.generation, topic, 0, 1))
	first.joined(first.join())
	second.await(waiting)
	t.want("commit while the plan is awaited", t.commitAs(first.group, first.id, first.generation, topic, 0, 2), kerr.RebalanceInProgress)
	t.wantOffset(first.group, topic, 1)
}

func offsetLeaderEpoch(t *T) {
	topic, group := t.topic(1), t.unique("group")
	req := commitRequest(group, "", -1, topic, 0, 1)
	req.Topics[0].Partitions[0].LeaderEpoch = 3
	t.ok("commit", ask(t, req.RequestWith).Topics[0].Partitions[0].ErrorCode)
	equal(t, "leader epoch", ask(t, offsetFetchRequest(group, topic, 0).RequestWith).Groups[0].Topics[0].Partitions[0].LeaderEpoch, 3)
}
