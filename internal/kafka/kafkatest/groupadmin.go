package kafkatest

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func groupAdminCases() []testCase {
	return []testCase{
		{"a description tells members, protocol and parts", adminDescribe},
		{"a group that is not there is described as dead", adminDescribeUnknown},
		{"a new client is told that a group is not there", adminDescribeUnknownNew},
		{"a list has every group with its state and type", adminList},
		{"a list can be asked for states", adminListStates},
		{"a list can be asked for types", adminListTypes},
		{"an empty group can be deleted with its offsets", adminDelete},
		{"a group with members cannot be deleted", adminDeleteNonEmpty},
		{"a group that is not there cannot be deleted", adminDeleteUnknown},
		{"coordinators of several groups are found at once", adminFindSeveral},
		{"a coordinator of an unknown kind is refused", adminFindInvalid},
		{"an old client finds the coordinator of one group", adminFindOld},
	}
}

func adminDescribe(t *T) {
	first, second := t.pair()
	g := t.describeGroup(first.group)
	t.ok("describe group", g.ErrorCode)
	equal(t, "state", g.State, "Stable")
	equal(t, "type", g.ProtocolType, "consumer")
	equal(t, "protocol", g.Protocol, "range")
	var parts []string
	for _, m := range g.Members {
		parts = append(parts, string(m.MemberAssignment))
		equal(t, "client", m.ClientID, "kafkatest")
		if m.MemberID != first.id && m.MemberID != second.id || m.ClientHost == "" {
			t.Fatalf("member: %+v", m)
		}
	}
	if slices.Sort(parts); !slices.Equal(parts, []string{"one", "two"}) {
		t.Fatalf("parts: %q", parts)
	}
}

func adminDescribeUnknown(t *T) {
	g := t.describeGroup(t.unique("none"))
	t.ok("describe group", g.ErrorCode)
	equal(t, "state", g.State, "Dead")
}

func adminDescribeUnknownNew(t *T) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{t.unique("none")}
	t.want("describe group", askOn(t, t.at(6), req.RequestWith).Groups[0].ErrorCode, kerr.GroupIDNotFound)
}

// listed finds a group in the list.
func (t *T) listed(group string, states, types []string) *kmsg.ListGroupsResponseGroup {
	t.Helper()
	req := kmsg.NewPtrListGroupsRequest()
	req.StatesFilter, req.TypesFilter = states, types
	res := ask(t, req.RequestWith)
	t.ok("list groups", res.ErrorCode)
	for _, g := range res.Groups {
		if g.Group == group {
			return &g
		}
	}
	return nil
}

func adminList(t *T) {
	m := t.member(t.unique("group"))
	g := t.listed(m.group, nil, nil)
	if g == nil {
		t.Fatalf("the group is not listed")
	}
	equal(t, "protocol type", g.ProtocolType, "consumer")
	equal(t, "state", g.GroupState, "Stable")
	equal(t, "type", g.GroupType, "classic")
}

func adminListStates(t *T) {
	m := t.member(t.unique("group"))
	empty := t.unique("group")
	t.ok("commit", t.commitOffset(empty, t.topic(1), 0, 1))
	equal(t, "stable group among the stable", t.listed(m.group, []string{"Stable"}, nil) != nil, true)
	equal(t, "stable group among the empty", t.listed(m.group, []string{"Empty"}, nil) != nil, false)
	equal(t, "empty group among the empty", t.listed(empty, []string{"Empty"}, nil) != nil, true)
	equal(t, "empty group among both", t.listed(empty, []string{"Empty", "Stable"}, nil) != nil, true)
}

func adminListTypes(t *T) {
	m := t.member(t.unique("group"))
	equal(t, "among classic groups", t.listed(m.group, nil, []string{"classic"}) != nil, true)
	equal(t, "among the others", t.listed(m.group, nil, []string{"consumer"}) != nil, false)
}

func adminDelete(t *T) {
	topic, group := t.topic(1), t.unique("group")
	t.ok("commit", t.commitOffset(group, topic, 0, 1))
	t.ok("delete group", t.deleteGroup(group))
	equal(t, "listed", t.listed(group, nil, nil) != nil, false)
	t.wantOffset(group, topic, -1)
}

func adminDeleteNonEmpty(t *T) {
	m := t.member(t.unique("group"))
	t.want("delete group", t.deleteGroup(m.group), kerr.NonEmptyGroup)
	t.ok("heartbeat", m.beat())
}

func adminDeleteUnknown(t *T) {
	t.want("delete group", t.deleteGroup(t.unique("none")), kerr.GroupIDNotFound)
}

func adminFindSeveral(t *T) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKeys = []string{t.unique("a"), t.unique("b")}
	found := ask(t, req.RequestWith).Coordinators
	equal(t, "coordinators", len(found), 2)
	for _, c := range found {
		t.ok("find coordinator", c.ErrorCode)
		if !slices.Contains(req.CoordinatorKeys, c.Key) || c.Port == 0 {
			t.Fatalf("coordinator: %+v", c)
		}
	}
}

func adminFindInvalid(t *T) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKeys, req.CoordinatorType = []string{"a"}, 9
	res := ask(t, req.RequestWith)
	code := res.ErrorCode
	if len(res.Coordinators) > 0 {
		code = res.Coordinators[0].ErrorCode
	}
	t.want("find coordinator", code, kerr.InvalidRequest)
}

func adminFindOld(t *T) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey = t.unique("a")
	res := askOn(t, t.at(2), req.RequestWith)
	t.ok("find coordinator", res.ErrorCode)
	equal(t, "host", res.Host, "127.0.0.1")
}
