package kafka

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/kafka/balance"
)

// joiner is a member as the leader sees it.
type joiner struct {
	id         string
	topics     []string
	owned      map[string][]int32
	generation int32
	userData   []byte
}

func (j joiner) request() kmsg.JoinGroupResponseMember {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version, meta.Topics, meta.Generation, meta.UserData = 3, j.topics, j.generation, j.userData
	for topic, partitions := range j.owned {
		o := kmsg.NewConsumerMemberMetadataOwnedPartition()
		o.Topic, o.Partitions = topic, partitions
		meta.OwnedPartitions = append(meta.OwnedPartitions, o)
	}
	m := kmsg.NewJoinGroupResponseMember()
	m.MemberID, m.InstanceID, m.ProtocolMetadata = "member-"+j.id, &j.id, meta.AppendTo(nil)
	return m
}

// share has a leader with the stages share the partitions, and returns what each member gets and is told.
func share(t *testing.T, stages []Stage, partitions map[string]int32, joiners ...joiner) (map[string]string, map[string]Assignment) {
	t.Helper()
	got, told, _ := shareSaying(t, stages, partitions, joiners...)
	return got, told
}

// shareSaying also returns what the leader has logged.
func shareSaying(t *testing.T, stages []Stage, partitions map[string]int32, joiners ...joiner) (map[string]string, map[string]Assignment, string) {
	t.Helper()
	var out strings.Builder
	var members []kmsg.JoinGroupResponseMember
	for _, j := range joiners {
		members = append(members, j.request())
	}
	leader := &taskBalancer{tasks: &Tasks{Stages: stages}, log: slog.New(slog.NewTextHandler(&out, nil))}
	plan, _, err := leader.MemberBalancer(members)
	if err != nil {
		t.Fatal(err)
	}
	got, told := map[string]string{}, map[string]Assignment{}
	for _, a := range plan.Balance(partitions).IntoSyncAssignment() {
		member := &taskBalancer{tasks: &Tasks{}}
		parts, err := member.ParseSyncAssignment(a.MemberAssignment)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for topic, ns := range parts {
			for _, n := range ns {
				list = append(list, fmt.Sprintf("%s/%d", topic, n))
			}
		}
		slices.Sort(list)
		id := strings.TrimPrefix(a.MemberID, "member-")
		got[id] = strings.Join(list, " ")
		told[id], _ = member.assignment()
	}
	return got, told, out.String()
}

func TestLeaderKeepsToWhatMembersCanDoAndHave(t *testing.T) {
	join := Stage{Name: "join", Topics: []string{"orders", "users"}}
	both := []string{"orders", "users"}
	said := func(s balance.Subscription) []byte { return s.Append(nil) }
	for _, c := range []struct {
		name       string
		stages     []Stage
		partitions map[string]int32
		members    []joiner
		want       map[string]string
	}{
		{"partitions of a task are together", []Stage{join}, map[string]int32{"orders": 2, "users": 2},
			[]joiner{{id: "a", topics: both}, {id: "b", topics: both}},
			map[string]string{"a": "orders/0 users/0", "b": "orders/1 users/1"}},
		{"a member that does not read all of a stage", []Stage{join}, map[string]int32{"orders": 1, "users": 1},
			[]joiner{{id: "a", topics: []string{"orders"}}, {id: "b", topics: both}},
			map[string]string{"a": "", "b": "orders/0 users/0"}},
		{"a stage that only another member knows", nil, map[string]int32{"orders": 1, "users": 1},
			[]joiner{{id: "a", topics: both}, {id: "b", topics: both, userData: said(balance.Subscription{Stages: []Stage{join}})}},
			map[string]string{"a": "orders/0 users/0", "b": ""}},
		{"two descriptions of one topic: the leader's counts", []Stage{{Name: "alone", Topics: []string{"users"}}}, map[string]int32{"orders": 1, "users": 1},
			[]joiner{{id: "a", topics: both, userData: said(balance.Subscription{Stages: []Stage{join}})}, {id: "b", topics: both}},
			map[string]string{"a": "users/0", "b": "orders/0"}},
		{"a member of a version that is not known", []Stage{join}, map[string]int32{"orders": 2, "users": 2},
			[]joiner{{id: "a", topics: both, userData: []byte{77, 1, 2}}, {id: "b", topics: both}},
			map[string]string{"a": "orders/0 users/0", "b": "orders/1 users/1"}},
		{"two have parts of a task: both let go", []Stage{join}, map[string]int32{"orders": 1, "users": 1},
			[]joiner{{id: "a", topics: both, owned: map[string][]int32{"orders": {0}}}, {id: "b", topics: both, owned: map[string][]int32{"users": {0}}}},
			map[string]string{"a": "", "b": ""}},
		{"who has missed that it lost a task has it no more", []Stage{join}, map[string]int32{"orders": 1, "users": 1},
			[]joiner{
				{id: "a", topics: both, generation: 3, owned: map[string][]int32{"orders": {0}, "users": {0}}},
				{id: "b", topics: both, generation: 5, owned: map[string][]int32{"orders": {0}, "users": {0}}},
			},
			map[string]string{"a": "", "b": "orders/0 users/0"}},
		{"a topic that is not there", []Stage{join}, map[string]int32{"orders": 1},
			[]joiner{{id: "a", topics: both}}, map[string]string{"a": "orders/0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := share(t, c.stages, c.partitions, c.members...)
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}

// TestALargeGroupIsToldLess: the coordinator keeps the assignments of a group in one record.
func TestALargeGroupIsToldLess(t *testing.T) {
	for _, c := range []struct {
		members int
		says    int // bytes, each
		whole   bool
		warned  bool
	}{{20, 10, true, false}, {300, 10, false, false}, {300, 4000, false, true}} {
		var joiners []joiner
		for i := range c.members {
			joiners = append(joiners, joiner{id: fmt.Sprintf("worker-with-a-long-name-%03d", i), topics: []string{"in"}, userData: make([]byte, c.says)})
		}
		_, told, said := shareSaying(t, []Stage{{Name: "s", Topics: []string{"in"}}}, map[string]int32{"in": int32(c.members)}, joiners...)
		for id, a := range told {
			if len(a.Active) != 1 || (a.Members != nil) != c.whole {
				t.Fatalf("of %d members %s is told %d tasks and %d members", c.members, id, len(a.Active), len(a.Members))
			}
		}
		if strings.Contains(said, "the group is too large") != c.warned {
			t.Errorf("of %d members it says %q", c.members, said)
		}
	}
}

func TestForeignSubscriptionIsRefused(t *testing.T) {
	m := kmsg.NewJoinGroupResponseMember()
	m.MemberID, m.ProtocolMetadata = "x", []byte{0, 3, 0, 0, 0, 99}
	if _, _, err := (&taskBalancer{tasks: &Tasks{}}).MemberBalancer([]kmsg.JoinGroupResponseMember{m}); err == nil {
		t.Error("it was understood")
	}
}

var _ kgo.IntoSyncAssignment = syncAssignments(nil)
