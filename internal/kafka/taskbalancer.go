package kafka

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/kafka/balance"
)

// protocolTasks is the name under which members agree to share tasks.
const protocolTasks = "raven-tasks"

// mapBudget bounds what a rebalance tells the group in all: the coordinator stores every member's assignment in one
// record, and brokers refuse large ones.
const mapBudget = 512 << 10

// stateMax is the largest record that brokers take unless they are told otherwise (message.max.bytes): what all members of a
// group say of themselves and are told has to fit into one.
const stateMax = 1_000_000

// taskBalancer is the group's protocol for tasks: Kafka's own consumer protocol, whose user data carry what package
// balance needs. Foreign tools can describe the group.
//
// The client calls it from its own goroutines, one call at a time but for those of MemberBalancer.
type taskBalancer struct {
	tasks *Tasks
	log   *slog.Logger

	mu     sync.Mutex
	latest *Assignment // of the join under way or the last one; nil if the group shares single partitions; GUARDED_BY(mu)
	duties Duties      // the last ones that were told; GUARDED_BY(mu)
}

var _ kgo.GroupBalancer = (*taskBalancer)(nil)

// ProtocolName is part of kgo.GroupBalancer.
func (b *taskBalancer) ProtocolName() string { return protocolTasks }

// IsCooperative is part of kgo.GroupBalancer.
func (b *taskBalancer) IsCooperative() bool { return true }

// JoinGroupMetadata says what the member can do, what it has, and how far its copies are. It is part of
// kgo.GroupBalancer.
func (b *taskBalancer) JoinGroupMetadata(topics []string, current map[string][]int32, generation int32) []byte {
	b.mu.Lock()
	b.latest = nil // until ParseSyncAssignment: the group may choose the other protocol
	duties := b.duties
	b.mu.Unlock()
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version, meta.Topics, meta.Generation = 3, topics, generation
	for _, topic := range slices.Sorted(maps.Keys(current)) {
		owned := kmsg.NewConsumerMemberMetadataOwnedPartition()
		owned.Topic, owned.Partitions = topic, current[topic]
		meta.OwnedPartitions = append(meta.OwnedPartitions, owned)
	}
	meta.UserData = balance.Subscription{
		Process: b.tasks.Process, Host: b.tasks.Host, Stages: b.tasks.Stages,
		Standby: duties.Standby, WarmUp: duties.WarmUp, Lags: b.lags(),
	}.Append(nil)
	return meta.AppendTo(nil)
}

func (b *taskBalancer) lags() map[Task]int64 {
	if b.tasks.Lags == nil {
		return nil
	}
	return b.tasks.Lags()
}

// ParseSyncAssignment is part of kgo.GroupBalancer.
func (b *taskBalancer) ParseSyncAssignment(data []byte) (map[string][]int32, error) {
	var meta kmsg.ConsumerMemberAssignment
	if err := meta.ReadFrom(data); err != nil {
		return nil, fmt.Errorf("read an assignment: %w", err)
	}
	a, err := balance.ParseAssignment(meta.UserData)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.latest, b.duties = &a, a.Duties
	b.mu.Unlock()
	partitions := make(map[string][]int32, len(meta.Topics))
	for _, t := range meta.Topics {
		partitions[t.Topic] = t.Partitions
	}
	return partitions, nil
}

// assignment returns what the member was told last, unless the group shares single partitions.
func (b *taskBalancer) assignment() (Assignment, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.latest == nil {
		return Assignment{}, false
	}
	return *b.latest, true
}

// MemberBalancer is part of kgo.GroupBalancer; it is called on the member that leads.
func (b *taskBalancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	plan := &taskPlan{log: b.log, standbys: b.tasks.Standbys, stages: b.tasks.Stages}
	topics := map[string]struct{}{}
	for _, m := range members {
		member, err := newTaskMember(m)
		if err != nil {
			return nil, nil, err
		}
		plan.members = append(plan.members, member)
		plan.said += len(m.ProtocolMetadata)
		for topic := range member.topics {
			topics[topic] = struct{}{}
		}
	}
	plan.addStages()
	return plan, topics, nil
}

// taskMember is a member as it joined.
type taskMember struct {
	member     string
	id         string // the instance's, which stays after a restart
	topics     map[string]bool
	owned      map[TopicPartition]bool
	generation int32
	balance.Subscription
}

// newTaskMember reads what a member says of itself. One that says it in a version not known here has nothing that is known,
// but takes part.
func newTaskMember(m kmsg.JoinGroupResponseMember) (taskMember, error) {
	meta := kmsg.NewConsumerMemberMetadata()
	if err := meta.ReadFrom(m.ProtocolMetadata); err != nil {
		return taskMember{}, fmt.Errorf("read what member %q says of itself: %w", m.MemberID, err)
	}
	said, err := balance.ParseSubscription(meta.UserData)
	if err != nil {
		said = balance.Subscription{}
	}
	member := taskMember{member: m.MemberID, id: cmp.Or(deref(m.InstanceID), m.MemberID), generation: meta.Generation, Subscription: said}
	member.topics, member.owned = map[string]bool{}, map[TopicPartition]bool{}
	for _, t := range meta.Topics {
		member.topics[t] = true
	}
	for _, o := range meta.OwnedPartitions {
		for _, p := range o.Partitions {
			member.owned[TopicPartition{o.Topic, p}] = true
		}
	}
	return member, nil
}
