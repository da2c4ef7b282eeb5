package kafkatest

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// member is a member of a classic group that does only what it is told. Each has a connection of its own, because a join
// waits for the others.
type member struct {
	t          *T
	conn       *conn
	group      string
	instance   *string // of a static member
	id         string
	session    int32
	protocols  []string
	words      string // it says of itself, besides its id
	generation int32
	leader     bool
}

func (t *T) newMember(group string) *member {
	t.Helper()
	return &member{t: t, conn: t.dial(), group: group, session: 20_000, protocols: []string{"range"}}
}

// member makes a member that joins a group alone, and gets its assignment.
func (t *T) member(group string) *member {
	t.Helper()
	m := t.newMember(group)
	m.rejoin()
	return m
}

// rejoin joins, with a first request for an id if need be, and syncs.
func (m *member) rejoin() {
	m.t.Helper()
	m.joined(m.join())
	m.t.ok("sync group", m.sync().ErrorCode)
}

func (m *member) joinRequest() *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID, req.ProtocolType = m.group, m.id, m.instance, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = m.session, 5_000
	for _, name := range m.protocols {
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: subscription(name + m.id + m.words)})
	}
	return req
}

// subscription is what a consumer tells its leader: topics, none here, and words of its own.
func subscription(words string, topics ...string) []byte {
	s := kmsg.NewConsumerMemberMetadata()
	s.Topics, s.UserData = topics, []byte(words)
	return s.AppendTo(nil)
}

// join joins and returns the answer; a new member first gets its id.
func (m *member) join() *kmsg.JoinGroupResponse {
	m.t.Helper()
	res, err := m.tryJoin(m.t.ctx)
	if err != nil {
		m.t.Fatalf("%v", err)
	}
	return res
}

func (m *member) tryJoin(ctx context.Context) (*kmsg.JoinGroupResponse, error) {
	res, err := m.joinRequest().RequestWith(ctx, m.conn)
	if err == nil && res.ErrorCode == kerr.MemberIDRequired.Code {
		m.id = res.MemberID
		return m.joinRequest().RequestWith(ctx, m.conn)
	}
	return res, err
}

// joined takes over what an answer says.
func (m *member) joined(res *kmsg.JoinGroupResponse) *kmsg.JoinGroupResponse {
	m.t.Helper()
	m.t.ok("join group", res.ErrorCode)
	m.id, m.generation, m.leader = res.MemberID, res.Generation, res.LeaderID == res.MemberID
	return res
}

// begin joins in the background, for joins that wait for others.
func (m *member) begin() <-chan joinResult {
	done := make(chan joinResult, 1)
	go func() {
		res, err := m.tryJoin(m.t.ctx)
		done <- joinResult{res, err}
	}()
	return done
}

type joinResult struct {
	res *kmsg.JoinGroupResponse
	err error
}

// await waits for a join in the background.
func (m *member) await(done <-chan joinResult) *kmsg.JoinGroupResponse {
	m.t.Helper()
	got := <-done
	if got.err != nil {
		m.t.Fatalf("%v", got.err)
	}
	return m.joined(got.res)
}

// assign is the part of a plan that a leader gives to one member.
type assign struct {
	member string
	plan   string
}

// sync asks for this member's part; a leader says everybody's. Without a plan a leader gives itself "all".
func (m *member) sync(plan ...assign) *kmsg.SyncGroupResponse {
	m.t.Helper()
	return askOn(m.t, m.conn, m.syncRequest(plan...).RequestWith)
}

func (m *member) syncRequest(plan ...assign) *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = m.group, m.generation, m.id, m.instance
	kind := "consumer"
	req.ProtocolType, req.Protocol = &kind, &m.protocols[0]
	if m.leader && len(plan) == 0 {
		plan = []assign{{m.id, "all"}}
	}
	for _, a := range plan {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: a.member, MemberAssignment: []byte(a.plan)})
	}
	return req
}

// beat sends a heartbeat.
func (m *member) beat() int16 {
	m.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = m.group, m.generation, m.id, m.instance
	return askOn(m.t, m.conn, req.RequestWith).ErrorCode
}

// leave leaves the group.
func (m *member) leave() int16 {
	m.t.Helper()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = m.group
	req.Members = []kmsg.LeaveGroupRequestMember{{MemberID: m.id, InstanceID: m.instance}}
	res := askOn(m.t, m.conn, req.RequestWith)
	if res.ErrorCode == 0 && len(res.Members) == 1 {
		return res.Members[0].ErrorCode
	}
	return res.ErrorCode
}

// pair is a group of two members; the first leads.
func (t *T) pair() (first, second *member) {
	t.Helper()
	first = t.member(t.unique("group"))
	second = t.newMember(first.group)
	t.admit(first, second)
	return first, second
}

// admit lets a second member join beside a first one that leads.
func (t *T) admit(first, second *member) {
	t.Helper()
	waiting := second.begin()
	t.eventually("a rebalance", func() bool { return first.beat() == kerr.RebalanceInProgress.Code })
	first.joined(first.join())
	second.await(waiting)
	equal(t, "generation", second.generation, first.generation)
	leader, follower := first, second
	if second.leader {
		leader, follower = second, first
	}
	t.ok("sync group", leader.sync(assign{leader.id, "one"}, assign{follower.id, "two"}).ErrorCode)
	t.ok("sync group", follower.sync().ErrorCode)
}

// describeGroup describes one group.
func (t *T) describeGroup(group string) kmsg.DescribeGroupsResponseGroup {
	t.Helper()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{group}
	return askOn(t, t.at(5), req.RequestWith).Groups[0]
}

func (t *T) deleteGroup(group string) int16 {
	t.Helper()
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{group}
	return ask(t, req.RequestWith).Groups[0].ErrorCode
}

// commitOffset commits for a group without members.
func (t *T) commitOffset(group, topic string, partition int32, offset int64) int16 {
	t.Helper()
	return t.commitAs(group, "", -1, topic, partition, offset)
}

func (t *T) commitAs(group, member string, generation int32, topic string, partition int32, offset int64) int16 {
	t.Helper()
	return ask(t, commitRequest(group, member, generation, topic, partition, offset).RequestWith).Topics[0].Partitions[0].ErrorCode
}

func commitRequest(group, member string, generation int32, topic string, partition int32, offset int64) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = group, member, generation
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
	return req
}

func offsetFetchRequest(group, topic string, partitions ...int32) *kmsg.OffsetFetchRequest {
	req := kmsg.NewPtrOffsetFetchRequest()
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group, g.Topics = group, []kmsg.OffsetFetchRequestGroupTopic{{Topic: topic, Partitions: partitions}}
	req.Groups = []kmsg.OffsetFetchRequestGroup{g}
	return req
}

// offset is what a group has committed, or -1.
func (t *T) offset(group, topic string, partition int32) int64 {
	t.Helper()
	g := ask(t, offsetFetchRequest(group, topic, partition).RequestWith).Groups[0]
	if g.ErrorCode == kerr.GroupIDNotFound.Code {
		return -1 // whether that is right is a case of its own
	}
	t.ok("fetch offsets", g.ErrorCode)
	if len(g.Topics) != 1 || len(g.Topics[0].Partitions) != 1 {
		t.Fatalf("fetch offsets: answer is not for one partition: %+v", g.Topics)
	}
	t.ok("fetch offset", g.Topics[0].Partitions[0].ErrorCode)
	return g.Topics[0].Partitions[0].Offset
}

func (t *T) wantOffset(group, topic string, want int64) {
	t.Helper()
	equal(t, "offset of partition 0", t.offset(group, topic, 0), want)
}

// awaitOffset waits for an offset of a transaction that has ended: markers take a moment.
func (t *T) awaitOffset(group, topic string, partition int32, want int64) {
	t.Helper()
	t.eventually(fmt.Sprintf("offset %d", want), func() bool { return t.offset(group, topic, partition) == want })
}
