package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

func TestAMemberIsReplacedByOthersAndNotByItself(t *testing.T) {
	id, other := "raven.g.a.0", "raven.g.b.0"
	for _, c := range []struct {
		name          string
		before, after string // our member as the client knows it
		group         string // the member that the group has under the id
		want          bool
	}{
		{name: "another has the id", before: "m1", after: "m1", group: "x", want: true},
		{name: "the group has us", before: "m1", after: "m1", group: "m1"},
		{name: "the group has nobody", before: "m1", after: "m1"},
		{name: "not a member yet", group: "m1"},
		{name: "the group has forgotten us, and we are joining anew", before: "m1", after: "", group: "m2"},
		{name: "we have joined anew while the group was asked", before: "m1", after: "m2", group: "m2"},
		{name: "we have joined anew after the group had answered", before: "m1", after: "m2", group: "m1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := c.before
			got := replaced(id, func() string { return at }, func() []kadm.DescribedGroupMember {
				at = c.after
				members := []kadm.DescribedGroupMember{{MemberID: "y", InstanceID: &other}, {MemberID: "z"}}
				if c.group != "" {
					members = append(members, kadm.DescribedGroupMember{MemberID: c.group, InstanceID: &id})
				}
				return members
			})
			if got != c.want {
				t.Errorf("it is replaced: %v, want %v", got, c.want)
			}
		})
	}
}
