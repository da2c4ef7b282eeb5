package group

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var errRebalance = kerr.RebalanceInProgress

// Join handles JoinGroup. It is answered at once when it is refused or changes nothing, otherwise when the rebalance is
// complete.
func (g *Group) Join(now time.Time, ticket Ticket, client Client, req *kmsg.JoinGroupRequest) []Effect {
	client = Client{strings.ToValidUTF8(client.ID, "\ufffd"), strings.ToValidUTF8(client.Host, "\ufffd")}
	c := call{now, ticket, client, req}
	id, err := g.join(c)
	if err != nil {
		g.refuseJoin(ticket, req, id, err)
	}
	return g.take()
}

// call is a JoinGroup on its way.
type call struct {
	now    time.Time
	ticket Ticket
	client Client
	req    *kmsg.JoinGroupRequest
}

func (c call) instance() string { return text(c.req.InstanceID) }

// text is a nullable string of the wire.
func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// join returns, with a refusal, the member id that the answer names.
func (g *Group) join(c call) (id string, err *kerr.Error) {
	id = c.req.MemberID
	if session := millis(c.req.SessionTimeoutMillis); session < g.o.MinSession || session > g.o.MaxSession {
		return "", kerr.InvalidSessionTimeout
	}
	if g.state == Dead {
		return id, kerr.CoordinatorNotAvailable
	}
	known := g.byID[id]
	if known == nil {
		known = g.static[c.instance()]
	}
	if !g.roomFor(c, known) {
		if known != nil && known.id == id {
			g.remove(known)
			g.settle(c.now)
		}
		return "", kerr.GroupMaxSizeReached
	}
	if !readable(c.req) {
		return id, kerr.InvalidRequest
	}
	if !g.fits(c.req, known) {
		return id, kerr.InconsistentGroupProtocol
	}
	if id == "" {
		return g.joinNew(c)
	}
	return id, g.joinAgain(c)
}

// roomFor reports whether the group may grow by who is joining. A member that is there already may stay, unless the group
// was larger than allowed before a restart: then those who come first.
func (g *Group) roomFor(c call, known *member) bool {
	bytes := g.size() + sizeOf(protocolsOf(c.req), c.instance(), c.client)
	if known != nil {
		bytes -= known.size()
	}
	if bytes > g.o.MaxBytes {
		return false
	}
	switch g.state {
	case PreparingRebalance:
		return known != nil && known.joined || g.joined() < g.o.MaxMembers
	case CompletingRebalance, Stable:
		return known != nil || len(g.order) < g.o.MaxMembers
	default:
		return true
	}
}

// readable reports whether names are text: the journal would make something else of them.
func readable(req *kmsg.JoinGroupRequest) bool {
	for _, p := range req.Protocols {
		if !utf8.ValidString(p.Name) {
			return false
		}
	}
	return utf8.ValidString(req.ProtocolType) && utf8.ValidString(text(req.InstanceID))
}

// maxProtocols bounds what one member may offer. Clients offer one to four.
const maxProtocols = 64

// fits reports whether the group can assign by a protocol that the one who joins knows, too.
func (g *Group) fits(req *kmsg.JoinGroupRequest, self *member) bool {
	if req.ProtocolType == "" || len(req.Protocols) == 0 || len(req.Protocols) > maxProtocols {
		return false
	}
	if len(g.order) == 0 {
		return true
	}
	if req.ProtocolType != g.protocolType {
		return false
	}
	for _, p := range req.Protocols {
		if g.everyoneOffers(p.Name, self) {
			return true
		}
	}
	return false
}

// joinNew: somebody without a member id.
func (g *Group) joinNew(c call) (id string, err *kerr.Error) {
	if old := g.static[c.instance()]; old != nil {
		g.replace(c, old)
		return "", nil
	}
	if c.instance() != "" {
		g.enter(c, c.instance()+"-"+g.o.NewID())
		return "", nil
	}
	id = c.client.ID + "-" + g.o.NewID()
	if c.req.Version < 4 {
		g.enter(c, id)
		return "", nil
	}
	// It is told its id and comes back with it. Without this, a client that gives up waiting and joins again would
	// leave a member behind each time.
	if len(g.pending) >= g.o.MaxMembers {
		return "", kerr.GroupMaxSizeReached
	}
	g.pending[id] = c.now.Add(millis(c.req.SessionTimeoutMillis))
	return id, kerr.MemberIDRequired
}

// joinAgain: somebody with a member id.
func (g *Group) joinAgain(c call) *kerr.Error {
	id := c.req.MemberID
	if _, ok := g.pending[id]; ok && c.req.InstanceID == nil {
		delete(g.pending, id)
		g.enter(c, id)
		return nil
	}
	if err := g.vouch(id, c.req.InstanceID); err != nil {
		return err
	}
	m := g.byID[id]
	same := m.matches(protocolsOf(c.req))
	switch {
	case g.state == CompletingRebalance && same,
		g.state == Stable && same && id != g.leader:
		// It missed our answer. A leader that joins a stable group wants a new assignment instead.
		m.update(c.client, c.req)
		m.renew(c.now)
		g.say(c.ticket, g.welcome(c.req, m))
	default:
		g.park(c, m)
		g.rebalance(c.now)
	}
	return nil
}

// vouch checks that a member id is in use, and is the one of its instance.
func (g *Group) vouch(id string, instance *string) *kerr.Error {
	if instance != nil {
		m := g.static[*instance]
		if m == nil {
			return kerr.UnknownMemberID
		}
		if m.id != id {
			return kerr.FencedInstanceID
		}
	}
	if g.byID[id] == nil {
		return kerr.UnknownMemberID
	}
	return nil
}

// enter makes a new member.
func (g *Group) enter(c call, id string) {
	m := &member{id: id, instance: c.instance(), synced: true}
	m.secret = c.req.MemberID == ""
	if len(g.order) == 0 {
		g.protocolType, g.leader = c.req.ProtocolType, id
	}
	g.add(m)
	g.park(c, m)
	g.grown = g.state == PreparingRebalance
	g.rebalance(c.now)
}

// park lets a join wait for the rebalance. One of the same member that waits already has been given up by its client.
func (g *Group) park(c call, m *member) {
	g.refuseParkedJoin(m, errRebalance)
	m.update(c.client, c.req)
	m.join = parked[*kmsg.JoinGroupRequest]{c.ticket, c.req}
	m.joined = true
	m.renew(c.now)
}

// replace puts a new process in the place of a static member. The old one is fenced. A stable group goes on as it is: that
// is what static members are for.
func (g *Group) replace(c call, m *member) {
	g.refuseParkedJoin(m, kerr.FencedInstanceID)
	g.answerSync(c.now, m, kerr.FencedInstanceID)
	oldID, oldMetadata := m.id, m.metadata(g.protocol)
	g.rename(m, c.instance()+"-"+g.o.NewID())
	if g.leader == oldID {
		g.leader = m.id
	}
	m.secret = true
	m.update(c.client, c.req)
	if g.state == Stable && g.choose(g.leader) == g.protocol && g.sameTopics(oldMetadata, m.metadata(g.protocol)) {
		g.carryOn(c, m, oldID)
		return
	}
	g.park(c, m)
	g.rebalance(c.now)
}

// carryOn answers the successor of a static member of a stable group. If it leads the group it must not assign: nobody
// would be told. From version 9 on the answer says so; before, it names a leader that is no more.
func (g *Group) carryOn(c call, m *member, oldID string) {
	m.secret, m.synced = false, true
	m.renew(c.now)
	g.save()
	r := g.welcome(c.req, m)
	if g.leader == m.id {
		r.SkipAssignment = c.req.Version >= 9
		if r.SkipAssignment {
			r.Members = g.listed()
		} else {
			r.LeaderID, r.Members = oldID, nil
		}
	}
	g.say(c.ticket, r)
}

// rebalance goes through a change: members are called together, if they are not already.
func (g *Group) rebalance(now time.Time) {
	if g.state != PreparingRebalance {
		g.becomePreparing(now)
	}
	g.advance(now)
}

// advance completes a rebalance for which nobody is missing.
func (g *Group) advance(now time.Time) {
	if g.state == PreparingRebalance && !g.first && g.joined() == len(g.order) && len(g.pending) == 0 {
		g.completeJoin(now)
	}
}

// joinTimeUp goes on without those who are missing; a first rebalance waits a little longer as long as members come.
func (g *Group) joinTimeUp(now time.Time) {
	if g.first && g.grown && g.rest > 0 {
		delay := min(g.o.InitialDelay, g.rest)
		g.grown = false
		g.rest -= delay
		g.joinBy = now.Add(delay)
		return
	}
	g.completeJoin(now)
}

func (g *Group) completeJoin(now time.Time) {
	for _, m := range g.absent() {
		g.remove(m)
	}
	switch {
	case len(g.order) == 0:
		g.becomeEmpty(now)
	case !g.elect():
		g.joinBy = g.lastSession() // only static members that did not come
	default:
		g.becomeCompleting(now)
	}
}

// absent are the dynamic members that did not join. A static one keeps its place until its session ends.
func (g *Group) absent() []*member {
	var out []*member
	for _, m := range g.order {
		if !m.joined && m.instance == "" {
			out = append(out, m)
		}
	}
	return out
}

// elect makes sure that the leader is one who has joined.
func (g *Group) elect() bool {
	if l := g.byID[g.leader]; l != nil && l.joined {
		return true
	}
	for _, m := range g.order {
		if m.joined {
			g.leader = m.id
			return true
		}
	}
	return false
}

// lastSession is when the last member that does not wait will have gone, if none is heard of.
func (g *Group) lastSession() time.Time {
	var last time.Time
	for _, m := range g.order {
		if m.expires.After(last) {
			last = m.expires
		}
	}
	return last
}

func (g *Group) answerJoin(now time.Time, m *member) {
	p := m.join
	if p.ticket == 0 {
		return
	}
	m.join = parked[*kmsg.JoinGroupRequest]{}
	m.secret = false
	m.renew(now)
	g.say(p.ticket, g.welcome(p.req, m))
}

// welcome is the answer to a member of this generation.
func (g *Group) welcome(req *kmsg.JoinGroupRequest, m *member) *kmsg.JoinGroupResponse {
	r := req.ResponseKind().(*kmsg.JoinGroupResponse)
	r.Generation = g.generation
	r.ProtocolType = kmsg.StringPtr(g.protocolType)
	r.Protocol = kmsg.StringPtr(g.protocol)
	r.LeaderID, r.MemberID = g.leader, m.id
	if m.id == g.leader {
		r.Members = g.listed()
	}
	return r
}

// listed is what the leader learns about the members.
func (g *Group) listed() []kmsg.JoinGroupResponseMember {
	var out []kmsg.JoinGroupResponseMember
	for _, m := range g.order {
		one := kmsg.NewJoinGroupResponseMember()
		one.MemberID, one.InstanceID, one.ProtocolMetadata = m.id, m.instanceID(), m.metadata(g.protocol)
		out = append(out, one)
	}
	return out
}

func (g *Group) refuseParkedJoin(m *member, err *kerr.Error) {
	if p := m.join; p.ticket != 0 {
		m.join = parked[*kmsg.JoinGroupRequest]{}
		g.refuseJoin(p.ticket, p.req, m.id, err)
	}
}

func (g *Group) refuseJoin(t Ticket, req *kmsg.JoinGroupRequest, id string, err *kerr.Error) {
	g.say(t, RefuseJoin(req, id, err))
}

// RefuseJoin is the answer to a JoinGroup that fails.
func RefuseJoin(req *kmsg.JoinGroupRequest, id string, err *kerr.Error) *kmsg.JoinGroupResponse {
	r := req.ResponseKind().(*kmsg.JoinGroupResponse)
	r.ErrorCode, r.Generation, r.MemberID = err.Code, -1, id
	if req.Version < 7 {
		r.Protocol = kmsg.StringPtr("")
	}
	return r
}
