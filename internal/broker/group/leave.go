package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Heartbeat handles Heartbeat.
func (g *Group) Heartbeat(now time.Time, req *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	r := req.ResponseKind().(*kmsg.HeartbeatResponse)
	r.ErrorCode = code(g.heartbeat(now, req))
	return r
}

func code(err *kerr.Error) int16 {
	if err == nil {
		return 0
	}
	return err.Code
}

func (g *Group) heartbeat(now time.Time, req *kmsg.HeartbeatRequest) *kerr.Error {
	if g.state == Dead {
		return kerr.CoordinatorNotAvailable
	}
	if err := g.vouch(req.MemberID, req.InstanceID); err != nil {
		return err
	}
	if req.Generation != g.generation {
		return kerr.IllegalGeneration
	}
	g.byID[req.MemberID].renew(now)
	if g.state == PreparingRebalance {
		return errRebalance
	}
	return nil
}

// Leave handles LeaveGroup. It is answered in the same step.
func (g *Group) Leave(now time.Time, ticket Ticket, req *kmsg.LeaveGroupRequest) []Effect {
	r := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	switch {
	case g.state == Dead:
		r.ErrorCode = kerr.CoordinatorNotAvailable.Code
	case req.Version < 3:
		r.ErrorCode = code(g.leave(req.MemberID, nil))
	default:
		for _, m := range req.Members {
			one := kmsg.NewLeaveGroupResponseMember()
			one.MemberID, one.InstanceID = m.MemberID, m.InstanceID
			one.ErrorCode = code(g.leave(m.MemberID, m.InstanceID))
			r.Members = append(r.Members, one)
		}
	}
	g.settle(now)
	g.say(ticket, r)
	return g.take()
}

// leave takes one member out, or one that was about to become it. An administrator names an instance without a member id.
func (g *Group) leave(id string, instance *string) *kerr.Error {
	if _, ok := g.pending[id]; ok {
		delete(g.pending, id)
		return nil
	}
	if id == "" && instance != nil {
		if m := g.static[*instance]; m != nil {
			g.remove(m)
			return nil
		}
	}
	if err := g.vouch(id, instance); err != nil {
		return err
	}
	g.remove(g.byID[id])
	return nil
}

// remove takes a member out. Whoever waits in its name is told to come anew. The caller settles.
func (g *Group) remove(m *member) {
	g.refuseParkedJoin(m, kerr.UnknownMemberID)
	g.answerSync(g.since, m, kerr.UnknownMemberID)
	g.drop(m)
	g.left = true
	if g.leader == m.id && !g.elect() {
		g.leader = ""
		if len(g.order) > 0 {
			g.leader = g.order[0].id
		}
	}
}

// settle draws the conclusion after somebody may have gone.
func (g *Group) settle(now time.Time) {
	left := g.left
	g.left = false
	if left && (g.state == Stable || g.state == CompletingRebalance) {
		g.becomePreparing(now)
	}
	g.advance(now)
}

// Gone says that nobody will read the answer of a ticket any more. The member stays as if it had been answered: until its
// session ends. Only one that was never told its id could never come back, and goes at once.
func (g *Group) Gone(now time.Time, ticket Ticket) []Effect {
	m := g.waiting(ticket)
	if m == nil {
		return nil
	}
	if m.join.ticket == ticket {
		m.join.ticket, m.join.req = 0, nil
	} else {
		m.sync.ticket, m.sync.req = 0, nil
	}
	m.renew(now)
	if m.secret && m.instance == "" {
		g.remove(m)
	}
	g.settle(now)
	return g.take()
}

func (g *Group) waiting(ticket Ticket) *member {
	for _, m := range g.order {
		if ticket != 0 && (m.join.ticket == ticket || m.sync.ticket == ticket) {
			return m
		}
	}
	return nil
}
