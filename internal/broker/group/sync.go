package group

import (
	"bytes"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Sync handles SyncGroup. A follower's waits for the leader's.
func (g *Group) Sync(now time.Time, ticket Ticket, req *kmsg.SyncGroupRequest) []Effect {
	if err := g.sync(now, ticket, req); err != nil {
		g.say(ticket, RefuseSync(req, err))
	}
	return g.take()
}

func (g *Group) sync(now time.Time, ticket Ticket, req *kmsg.SyncGroupRequest) *kerr.Error {
	if err := g.checkSync(req); err != nil {
		return err
	}
	m := g.byID[req.MemberID]
	g.answerSync(now, m, errRebalance) // its client has given up waiting for an earlier one
	m.sync = parked[*kmsg.SyncGroupRequest]{ticket, req}
	m.renew(now)
	m.synced = true
	switch {
	case g.state == CompletingRebalance && m.id == g.leader:
		g.becomeStable(now, assignments(req))
	case g.state == Stable:
		g.answerSync(now, m, nil)
	}
	if g.allSynced() {
		g.syncBy = time.Time{}
	}
	return nil
}

func (g *Group) checkSync(req *kmsg.SyncGroupRequest) *kerr.Error {
	if g.state == Dead {
		return kerr.CoordinatorNotAvailable
	}
	if err := g.vouch(req.MemberID, req.InstanceID); err != nil {
		return err
	}
	switch {
	case req.Generation != g.generation:
		return kerr.IllegalGeneration
	case differs(req.ProtocolType, g.protocolType), g.state != PreparingRebalance && differs(req.Protocol, g.protocol):
		return kerr.InconsistentGroupProtocol
	case g.state == PreparingRebalance:
		return errRebalance
	case assigned(req) > g.o.MaxBytes:
		return kerr.InvalidRequest
	}
	return nil
}

func differs(said *string, is string) bool { return said != nil && *said != is }

// assigned is the size of what a leader assigns.
func assigned(req *kmsg.SyncGroupRequest) int {
	n := 0
	for _, a := range req.GroupAssignment {
		n += len(a.MemberAssignment)
	}
	return n
}

func assignments(req *kmsg.SyncGroupRequest) map[string][]byte {
	out := map[string][]byte{}
	for _, a := range req.GroupAssignment {
		out[a.MemberID] = bytes.Clone(a.MemberAssignment)
	}
	return out
}

// answerSync answers a member that waits for its assignment: with it, or with an error.
func (g *Group) answerSync(now time.Time, m *member, err *kerr.Error) {
	p := m.sync
	if p.ticket == 0 {
		return
	}
	m.sync = parked[*kmsg.SyncGroupRequest]{}
	m.renew(now)
	if err != nil {
		g.say(p.ticket, RefuseSync(p.req, err))
		return
	}
	r := p.req.ResponseKind().(*kmsg.SyncGroupResponse)
	r.ProtocolType, r.Protocol = kmsg.StringPtr(g.protocolType), kmsg.StringPtr(g.protocol)
	r.MemberAssignment = m.assignment
	g.say(p.ticket, r)
}

// RefuseSync is the answer to a SyncGroup that fails.
func RefuseSync(req *kmsg.SyncGroupRequest, err *kerr.Error) *kmsg.SyncGroupResponse {
	r := req.ResponseKind().(*kmsg.SyncGroupResponse)
	r.ErrorCode = err.Code
	return r
}
