package kafkatest

import (
	"bytes"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func groupCases() []testCase {
	return []testCase{
		{"a new member is given an id and asked to come again with it", groupMemberID},
		{"a member alone leads and gets what it says", groupAlone},
		{"an old client joins without an id at once", groupOldClient},
		{"a second member waits until the first joins again", groupSecond},
		{"every member gets its own part", groupParts},
		{"a follower waits for the leader's plan", groupFollowerWaits},
		{"the leader is told everybody's metadata", groupMetadata},
		{"a protocol that all know is chosen", groupProtocol},
		{"a member without a protocol that all know is refused", groupInconsistent},
		{"a member of another protocol type is refused", groupOtherType},
		{"a session time outside of the limits is refused", groupSessionLimits},
		{"an unknown member may not join, sync, beat or leave", groupUnknownMember},
		{"an old generation may not sync, beat or commit", groupGeneration},
		{"an empty group name is refused", groupEmptyName},
		{"a member that leaves starts a rebalance", groupLeave},
		{"a member that is silent for its session is removed", groupSession},
		{"heartbeats keep a member", groupHeartbeats},
		{"a rebalance under way is told by heartbeats", groupRebalancing},
		{"a member that does not join again in time is removed", groupRebalanceTimeout},
		{"a member that says something new of itself starts a rebalance", groupNews},
		{"a static member comes back under its id without a rebalance", groupStatic},
		{"the one before a static member's successor is fenced", groupFenced},
		{"a static member that leaves by its instance is gone", groupStaticLeave},
		{"the group is empty when the last has left", groupEmptied},
		{"the generation rises with every rebalance", groupGenerations},
		{"a repeated sync is answered alike", groupSyncRepeated},
		{"a sync of another protocol is refused", groupSyncProtocol},
		{"cooperative members of a client library share partitions", groupCooperative},
	}
}

func groupMemberID(t *T) {
	m := t.newMember(t.unique("group"))
	res := askOn(t, m.conn, m.joinRequest().RequestWith)
	t.want("join group", res.ErrorCode, kerr.MemberIDRequired)
	if res.MemberID == "" {
		t.Fatalf("no id was given")
	}
	m.id = res.MemberID
	res = m.joined(askOn(t, m.conn, m.joinRequest().RequestWith))
	equal(t, "id", res.MemberID, m.id)
}

func groupAlone(t *T) {
	m := t.newMember(t.unique("group"))
	res := m.joined(m.join())
	equal(t, "leader", res.LeaderID, m.id)
	equal(t, "members", len(res.Members), 1)
	equal(t, "generation", res.Generation, 1)
	equal(t, "assignment", string(m.sync(assign{m.id, "mine"}).MemberAssignment), "mine")
	t.ok("heartbeat", m.beat())
}

func groupOldClient(t *T) {
	m := t.newMember(t.unique("group"))
	res := m.joined(askOn(t, fixed{m.conn, 3}, m.joinRequest().RequestWith))
	equal(t, "leader", res.LeaderID, res.MemberID)
}

func groupSecond(t *T) {
	first := t.member(t.unique("group"))
	second := t.newMember(first.group)
	waiting := second.begin()
	t.eventually("a rebalance", func() bool { return first.beat() == kerr.RebalanceInProgress.Code })
	select {
	case <-waiting:
		t.Fatalf("the second member was let in before the first joined again")
	default:
	}
	first.joined(first.join())
	second.await(waiting)
	equal(t, "leads", second.leader, false)
}

func groupParts(t *T) {
	first, second := t.pair()
	for _, m := range []*member{first, second} {
		want := map[bool]string{true: "one", false: "two"}[m.leader]
		equal(t, "assignment", string(m.sync().MemberAssignment), want)
	}
}

func groupFollowerWaits(t *T) {
	first := t.member(t.unique("group"))
	second := t.newMember(first.group)
	waiting := second.begin()
	t.eventually("a rebalance", func() bool { return first.beat() == kerr.RebalanceInProgress.Code })
	first.joined(first.join())
	second.await(waiting)
	done := make(chan string, 1)
	go func() {
		res, err := second.syncRequest().RequestWith(t.ctx, second.conn)
		if err != nil {
			done <- err.Error()
			return
		}
		done <- string(res.MemberAssignment)
	}()
	t.eventually("the sync under way", func() bool { return t.describeGroup(first.group).State == "CompletingRebalance" })
	t.ok("sync group", first.sync(assign{first.id, "one"}, assign{second.id, "two"}).ErrorCode)
	equal(t, "assignment", <-done, "two")
}

func groupMetadata(t *T) {
	first := t.member(t.unique("group"))
	second := t.newMember(first.group)
	waiting := second.begin()
	t.eventually("a rebalance", func() bool { return first.beat() == kerr.RebalanceInProgress.Code })
	res := first.joined(first.join())
	follower := second.await(waiting)
	equal(t, "members the leader is told", len(res.Members), 2)
	equal(t, "members a follower is told", len(follower.Members), 0)
	for _, m := range res.Members {
		if !bytes.Equal(m.ProtocolMetadata, subscription("range"+m.MemberID)) {
			t.Fatalf("metadata of %s: %q", m.MemberID, m.ProtocolMetadata)
		}
	}
}

func groupProtocol(t *T) {
	first := t.newMember(t.unique("group"))
	first.protocols = []string{"sticky", "range"}
	first.rejoin()
	second := t.newMember(first.group)
	waiting := second.begin()
	t.eventually("a rebalance", func() bool { return first.beat() == kerr.RebalanceInProgress.Code })
	equal(t, "protocol", *first.joined(first.join()).Protocol, "range")
	second.await(waiting)
}

func groupInconsistent(t *T) {
	first := t.member(t.unique("group"))
	second := t.newMember(first.group)
	second.protocols = []string{"other"}
	t.want("join group", second.join().ErrorCode, kerr.InconsistentGroupProtocol)
	t.ok("heartbeat", first.beat())
}

func groupOtherType(t *T) {
	first := t.member(t.unique("group"))
	second := t.newMember(first.group)
	req := second.joinRequest()
	req.ProtocolType = "connect"
	res := askOn(t, fixed{second.conn, 3}, req.RequestWith)
	t.want("join group", res.ErrorCode, kerr.InconsistentGroupProtocol)
}

func groupSessionLimits(t *T) {
	m := t.newMember(t.unique("group"))
	for _, session := range []int32{1, 24 * 3600 * 1000} {
		m.session = session
		t.want("join group", m.join().ErrorCode, kerr.InvalidSessionTimeout)
	}
}

func groupUnknownMember(t *T) {
	m := t.member(t.unique("group"))
	stranger := &member{t: t, conn: m.conn, group: m.group, id: "stranger", session: 20_000, protocols: m.protocols, generation: m.generation}
	t.want("join group", stranger.join().ErrorCode, kerr.UnknownMemberID)
	t.want("sync group", stranger.sync().ErrorCode, kerr.UnknownMemberID)
	t.want("heartbeat", stranger.beat(), kerr.UnknownMemberID)
	t.want("leave group", stranger.leave(), kerr.UnknownMemberID)
	t.want("commit", t.commitAs(m.group, "stranger", m.generation, t.topic(1), 0, 1), kerr.UnknownMemberID)
	t.ok("heartbeat", m.beat())
}

func groupGeneration(t *T) {
	m := t.member(t.unique("group"))
	m.generation--
	t.want("sync group", m.sync().ErrorCode, kerr.IllegalGeneration)
	t.want("heartbeat", m.beat(), kerr.IllegalGeneration)
	t.want("commit", t.commitAs(m.group, m.id, m.generation, t.topic(1), 0, 1), kerr.IllegalGeneration)
}

func groupEmptyName(t *T) {
	t.want("join group", t.newMember("").join().ErrorCode, kerr.InvalidGroupID)
}

func groupLeave(t *T) {
	first, second := t.pair()
	t.ok("leave group", second.leave())
	t.eventually("a rebalance", func() bool { return first.beat() == kerr.RebalanceInProgress.Code })
	equal(t, "members", len(first.joined(first.join()).Members), 1)
	t.want("heartbeat of who left", second.beat(), kerr.UnknownMemberID)
}

func groupSession(t *T) {
	m := t.newMember(t.unique("group"))
	m.session = 700
	m.rejoin()
	t.eventually("the member removed", func() bool { return t.describeGroup(m.group).State == "Empty" })
	t.want("heartbeat", m.beat(), kerr.UnknownMemberID)
}

func groupHeartbeats(t *T) {
	group := t.unique("group")
	m, silent := t.newMember(group), t.newMember(t.unique("group"))
	m.session, silent.session = 1500, 3000
	m.rejoin()
	silent.rejoin()
	t.eventually("a member that is silent twice as long removed", func() bool {
		t.ok("heartbeat", m.beat())
		return t.describeGroup(silent.group).State == "Empty"
	})
}

func groupRebalancing(t *T) {
	first := t.member(t.unique("group"))
	second := t.newMember(first.group)
	waiting := second.begin()
	t.eventually("a rebalance", func() bool { return first.beat() == kerr.RebalanceInProgress.Code })
	equal(t, "state", t.describeGroup(first.group).State, "PreparingRebalance")
	t.want("sync group", first.sync().ErrorCode, kerr.RebalanceInProgress)
	first.joined(first.join())
	second.await(waiting)
}

func groupRebalanceTimeout(t *T) {
	first := t.newMember(t.unique("group"))
	res := askOn(t, first.conn, first.joinRequest().RequestWith)
	first.id = res.MemberID
	req := first.joinRequest()
	req.RebalanceTimeoutMillis = 800
	first.joined(askOn(t, first.conn, req.RequestWith))
	t.ok("sync group", first.sync().ErrorCode)
	second := t.newMember(first.group)
	res = second.await(second.begin())
	equal(t, "members", len(res.Members), 1)
	t.want("heartbeat of who did not come", first.beat(), kerr.UnknownMemberID)
}

// staticMember is a member with the instance id "one".
func (t *T) staticMember(group string) *member {
	t.Helper()
	instance := "one"
	m := t.newMember(group)
	m.instance = &instance
	return m
}

func groupStatic(t *T) {
	group := t.unique("group")
	m := t.staticMember(group)
	m.rejoin()
	again := t.staticMember(group)
	again.joined(again.join())
	equal(t, "generation", again.generation, m.generation)
	if again.id == m.id {
		t.Fatalf("the id is the old one")
	}
	equal(t, "assignment", string(again.sync().MemberAssignment), "all")
}

// groupNews: balancers ask for a rebalance by joining again with other words. The leader need not have any.
func groupNews(t *T) {
	leader, follower := t.pair()
	t.ok("sync group", leader.sync().ErrorCode)
	t.ok("sync group", follower.sync().ErrorCode)
	generation := follower.generation
	follower.joined(follower.join())
	equal(t, "generation after joining with the same words", follower.generation, generation)
	follower.words = "news"
	waiting := follower.begin()
	t.eventually("a rebalance", func() bool { return leader.beat() == kerr.RebalanceInProgress.Code })
	leader.joined(leader.join())
	follower.await(waiting)
	equal(t, "generation after joining with others", follower.generation, generation+1)
}

func groupFenced(t *T) {
	group := t.unique("group")
	m := t.staticMember(group)
	m.rejoin()
	again := t.staticMember(group)
	again.joined(again.join())
	t.want("heartbeat", m.beat(), kerr.FencedInstanceID)
	t.want("sync group", m.sync().ErrorCode, kerr.FencedInstanceID)
	req := commitRequest(group, m.id, m.generation, t.topic(1), 0, 1)
	req.InstanceID = m.instance
	t.want("commit", ask(t, req.RequestWith).Topics[0].Partitions[0].ErrorCode, kerr.FencedInstanceID)
	t.want("join group", m.join().ErrorCode, kerr.FencedInstanceID)
}

func groupStaticLeave(t *T) {
	m := t.staticMember(t.unique("group"))
	m.rejoin()
	remote := t.staticMember(m.group) // knows the instance only
	t.ok("leave group", remote.leave())
	t.want("heartbeat", m.beat(), kerr.UnknownMemberID)
	equal(t, "state", t.describeGroup(m.group).State, "Empty")
}

func groupEmptied(t *T) {
	m := t.member(t.unique("group"))
	t.ok("leave group", m.leave())
	g := t.describeGroup(m.group)
	equal(t, "state", g.State, "Empty")
	equal(t, "members", len(g.Members), 0)
}

func groupGenerations(t *T) {
	m := t.member(t.unique("group"))
	first := m.generation
	m.rejoin()
	equal(t, "generation", m.generation, first+1)
	t.ok("leave group", m.leave())
	other := t.member(m.group)
	if other.generation <= m.generation {
		t.Fatalf("generation: got %d after %d", other.generation, m.generation)
	}
}

func groupSyncRepeated(t *T) {
	m := t.member(t.unique("group"))
	equal(t, "assignment", string(m.sync(assign{m.id, "something else"}).MemberAssignment), "all")
}

func groupSyncProtocol(t *T) {
	m := t.member(t.unique("group"))
	req := m.syncRequest()
	other := "other"
	req.Protocol = &other
	t.want("sync group", askOn(t, m.conn, req.RequestWith).ErrorCode, kerr.InconsistentGroupProtocol)
}

// groupCooperative lets two members of a client library share a topic without a moment in which all partitions are revoked.
func groupCooperative(t *T) {
	topic, group := t.topic(4), t.unique("group")
	for p := range int32(4) {
		t.produce(topic, p, plain("a"))
	}
	join := func() *kgo.Client {
		return t.client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.HeartbeatInterval(100_000_000))
	}
	seen := map[int32]bool{}
	first := join()
	t.eventually("all partitions", func() bool {
		for _, r := range first.PollFetches(t.ctx).Records() {
			seen[r.Partition] = true
		}
		return len(seen) == 4
	})
	if err := first.CommitUncommittedOffsets(t.ctx); err != nil {
		t.Fatalf("commit: %v", err)
	}
	join()
	t.eventually("two members with two partitions each", func() bool {
		g := t.describeGroup(group)
		return g.State == "Stable" && slices.Equal(partsOf(g), []int{2, 2})
	})
	equal(t, "protocol", t.describeGroup(group).Protocol, "cooperative-sticky")
}

func partsOf(g kmsg.DescribeGroupsResponseGroup) (counts []int) {
	for _, m := range g.Members {
		var a kmsg.ConsumerMemberAssignment
		if a.ReadFrom(m.MemberAssignment) != nil {
			return nil
		}
		n := 0
		for _, topic := range a.Topics {
			n += len(topic.Partitions)
		}
		counts = append(counts, n)
	}
	return counts
}
