package group

import (
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AllowCommit says whether an OffsetCommit may go on, by Kafka's rules. A member's commit counts as a heartbeat.
func (g *Group) AllowCommit(now time.Time, req *kmsg.OffsetCommitRequest) *kerr.Error {
	err := g.allow(req.Generation, req.MemberID, req.InstanceID, false)
	if err == nil && g.byID[req.MemberID] != nil {
		g.byID[req.MemberID].renew(now)
	}
	return err
}

// AllowTxnCommit says whether a TxnOffsetCommit may go on. Requests before version 3 tell nothing about the member and
// are believed: the transaction fences them.
func (g *Group) AllowTxnCommit(req *kmsg.TxnOffsetCommitRequest) *kerr.Error {
	return g.allow(req.Generation, req.MemberID, req.InstanceID, true)
}

func (g *Group) allow(generation int32, id string, instance *string, transactional bool) *kerr.Error {
	switch member := generation >= 0 || id != "" || instance != nil; {
	case g.state == Dead:
		return kerr.CoordinatorNotAvailable
	case generation < 0 && g.state == Empty:
		return nil // an administrator, or a consumer that chooses its partitions itself
	case !g.Known():
		return kerr.IllegalGeneration
	case member:
		if err := g.vouch(id, instance); err != nil {
			return err
		}
		if generation != g.generation {
			return kerr.IllegalGeneration
		}
	case !transactional:
		return kerr.UnknownMemberID // while there are members, only they commit
	}
	if !transactional && g.state == CompletingRebalance {
		return errRebalance
	}
	return nil
}

// Describe is the group in the answer to DescribeGroups. A caller that knows a group by its offsets only asks a New one.
// One of which nothing is known is described by Unknown.
func (g *Group) Describe() kmsg.DescribeGroupsResponseGroup {
	d := kmsg.NewDescribeGroupsResponseGroup()
	d.Group, d.State, d.ProtocolType = g.name, g.state.String(), g.protocolType
	if g.state == Stable {
		d.Protocol = g.protocol
	}
	for _, m := range g.order {
		d.Members = append(d.Members, g.describe(m))
	}
	return d
}

// describe tells metadata and assignment of a stable group only, where they mean something.
func (g *Group) describe(m *member) kmsg.DescribeGroupsResponseGroupMember {
	d := kmsg.NewDescribeGroupsResponseGroupMember()
	d.MemberID, d.InstanceID, d.ClientID, d.ClientHost = m.id, m.instanceID(), m.client.ID, m.client.Host
	if g.state == Stable {
		d.ProtocolMetadata, d.MemberAssignment = m.metadata(g.protocol), m.assignment
	}
	return d
}

// Unknown describes a group that does not exist: an error from version 6 on, before it a dead group.
func Unknown(name string, version int16) kmsg.DescribeGroupsResponseGroup {
	d := kmsg.NewDescribeGroupsResponseGroup()
	d.Group, d.State = name, Dead.String()
	if version >= 6 {
		d.ErrorCode = kerr.GroupIDNotFound.Code
		d.ErrorMessage = kmsg.StringPtr("Group " + name + " not found.")
	}
	return d
}

// List is the group in the answer to ListGroups. Not ok: the filters of the request leave it out.
func (g *Group) List(req *kmsg.ListGroupsRequest) (one kmsg.ListGroupsResponseGroup, ok bool) {
	one = kmsg.NewListGroupsResponseGroup()
	one.Group, one.ProtocolType, one.GroupState, one.GroupType = g.name, g.protocolType, g.state.String(), "classic"
	return one, passes(req.StatesFilter, one.GroupState) && passes(req.TypesFilter, one.GroupType)
}

// passes: no filter lets everything through; names are compared without regard to case.
func passes(filter []string, value string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, value) })
}

// Delete ends an empty group; the object must be forgotten then. hasOffsets tells that the group exists even if it never had
// members. Its offsets are the caller's to drop.
func (g *Group) Delete(now time.Time, hasOffsets bool) ([]Effect, *kerr.Error) {
	switch {
	case g.state == Dead, !g.Known() && !hasOffsets:
		return nil, kerr.GroupIDNotFound
	case g.state != Empty:
		return nil, kerr.NonEmptyGroup
	}
	g.becomeDead(now)
	return g.take(), nil
}

// AllowOffsetDelete says whether offsets of this group may be deleted, and which topics are still in use.
func (g *Group) AllowOffsetDelete(hasOffsets bool) (subscribed func(topic string) bool, err *kerr.Error) {
	switch {
	case g.state == Dead, !g.Known() && !hasOffsets:
		return nil, kerr.GroupIDNotFound
	case g.state != Empty && g.protocolType != consumerType:
		return nil, kerr.NonEmptyGroup
	}
	return g.subscribed, nil
}
