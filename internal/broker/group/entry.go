package group

import (
	"fmt"
	"slices"
	"time"
)

// Entry is what the journal remembers of a group. A later one replaces an earlier one of the same group.
type Entry struct {
	Group        string        `json:"group"`
	State        string        `json:"state"` // Empty, CompletingRebalance, Stable or Dead
	Since        time.Time     `json:"since"`
	Generation   int32         `json:"generation"`
	ProtocolType string        `json:"protocol_type,omitempty"`
	Protocol     string        `json:"protocol,omitempty"`
	Leader       string        `json:"leader,omitempty"`
	Members      []EntryMember `json:"members,omitempty"`
}

// EntryMember is one member in an Entry.
type EntryMember struct {
	ID         string          `json:"id"`
	Instance   string          `json:"instance,omitempty"`
	ClientID   string          `json:"client_id,omitempty"`
	Host       string          `json:"host,omitempty"`
	Session    int64           `json:"session_millis"`
	Rebalance  int64           `json:"rebalance_millis"`
	Protocols  []EntryProtocol `json:"protocols"`
	Assignment []byte          `json:"assignment,omitempty"`
}

// EntryProtocol is one protocol that a member offers.
type EntryProtocol struct {
	Name     string `json:"name"`
	Metadata []byte `json:"metadata,omitempty"`
}

// Deleted reports whether the entry says that the group is no more.
func (e Entry) Deleted() bool { return e.State == Dead.String() }

// Saved is the last entry that the group said, for a checkpoint of the journal. Not ok: none.
func (g *Group) Saved() (e Entry, ok bool) {
	if g.saved == nil {
		return Entry{}, false
	}
	return *g.saved, true
}

// Unsaved says that the entry of a Save could not be written. The caller answers those who wait behind it with
// COORDINATOR_NOT_AVAILABLE; the group makes a new generation.
func (g *Group) Unsaved(now time.Time) []Effect {
	if g.state == CompletingRebalance || g.state == Stable {
		g.becomePreparing(now)
		g.advance(now)
	}
	return g.take()
}

func (g *Group) save() {
	e := Entry{Group: g.name, State: g.state.String(), Since: g.since, Generation: g.generation,
		ProtocolType: g.protocolType, Protocol: g.protocol, Leader: g.leader}
	for _, m := range g.order {
		e.Members = append(e.Members, m.entry())
	}
	g.saved = &e
	g.out = append(g.out, Save{e})
}

func (m *member) entry() EntryMember {
	e := EntryMember{ID: m.id, Instance: m.instance, ClientID: m.client.ID, Host: m.client.Host,
		Session: m.session.Milliseconds(), Rebalance: m.rebalance.Milliseconds(), Assignment: m.assignment}
	for _, p := range m.protocols {
		e.Protocols = append(e.Protocols, EntryProtocol{p.name, p.metadata})
	}
	return e
}

// Restore makes the group that an entry tells of. Its members get a new session from now: they could not be heard while
// nobody listened. A rebalance that was under way begins anew; the generation that it had begun is not used again.
func Restore(e Entry, o Options, now time.Time) (*Group, error) {
	g := New(e.Group, o)
	g.generation, g.protocolType, g.protocol, g.leader = e.Generation, e.ProtocolType, e.Protocol, e.Leader
	g.since, g.saved = e.Since, &e
	for _, m := range e.Members {
		g.add(m.member(now))
	}
	switch e.State {
	case Empty.String():
	case Stable.String():
		g.state = Stable
	case CompletingRebalance.String():
		g.state = CompletingRebalance
		g.becomePreparing(now)
	default:
		return nil, fmt.Errorf("restore group %q: state %q", e.Group, e.State)
	}
	return g, g.sound()
}

func (e EntryMember) member(now time.Time) *member {
	m := &member{id: e.ID, instance: e.Instance, client: Client{e.ClientID, e.Host}, synced: true, assignment: e.Assignment,
		session: time.Duration(e.Session) * time.Millisecond, rebalance: time.Duration(e.Rebalance) * time.Millisecond}
	for _, p := range e.Protocols {
		m.protocols = append(m.protocols, protocol{p.Name, p.Metadata})
	}
	m.renew(now)
	return m
}

// sound refuses an entry that no group can have said.
func (g *Group) sound() error {
	switch {
	case len(g.order) != len(g.byID):
		return fmt.Errorf("restore group %q: two members have one id", g.name)
	case (g.state == Empty) != (len(g.order) == 0):
		return fmt.Errorf("restore group %q: %v with %d members", g.name, g.state, len(g.order))
	case len(g.order) > 0 && g.byID[g.leader] == nil:
		return fmt.Errorf("restore group %q: leader %q is not a member", g.name, g.leader)
	case g.state == Stable && !g.everyoneOffers(g.protocol, nil):
		return fmt.Errorf("restore group %q: not every member offers %q", g.name, g.protocol)
	case slices.ContainsFunc(g.order, func(m *member) bool { return m.session <= 0 || m.rebalance < 0 }):
		return fmt.Errorf("restore group %q: a member without a session timeout", g.name)
	}
	return nil
}
