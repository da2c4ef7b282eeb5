package group

import (
	"bytes"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocol is one way of assigning that a member offers, with what it says for it.
type protocol struct {
	name     string
	metadata []byte
}

type member struct {
	id                 string
	instance           string // of a static member, otherwise empty
	client             Client
	session, rebalance time.Duration
	protocols          []protocol // in order of preference
	assignment         []byte

	expires time.Time // unless it is heard of before; zero while a request of it waits
	joined  bool      // it is part of the rebalance in preparation
	synced  bool      // nobody waits for it to ask for its assignment
	secret  bool      // nobody was told this id yet

	join parked[*kmsg.JoinGroupRequest]
	sync parked[*kmsg.SyncGroupRequest]
}

// parked is a request that waits for its answer; ticket 0: none.
type parked[R any] struct {
	ticket Ticket
	req    R
}

func (m *member) waits() bool { return m.join.ticket != 0 || m.sync.ticket != 0 }

// renew starts the session timeout anew, unless the member waits for us.
func (m *member) renew(now time.Time) {
	m.expires = time.Time{}
	if !m.waits() {
		m.expires = now.Add(m.session)
	}
}

// take over what a join says.
func (m *member) update(client Client, req *kmsg.JoinGroupRequest) {
	m.client = client
	m.session = millis(req.SessionTimeoutMillis)
	m.rebalance = m.session
	if req.Version >= 1 && req.RebalanceTimeoutMillis >= 0 {
		m.rebalance = millis(req.RebalanceTimeoutMillis)
	}
	m.protocols = keep(protocolsOf(req))
}

func millis(n int32) time.Duration { return time.Duration(n) * time.Millisecond }

func protocolsOf(req *kmsg.JoinGroupRequest) []protocol {
	var ps []protocol
	for _, p := range req.Protocols {
		ps = append(ps, protocol{p.Name, p.Metadata})
	}
	return ps
}

// keep copies what belongs to a request, so that one member's words do not hold on to the whole frame they came in.
func keep(ps []protocol) []protocol {
	for i := range ps {
		ps[i].metadata = bytes.Clone(ps[i].metadata)
	}
	return ps
}

func (m *member) matches(ps []protocol) bool {
	return slices.EqualFunc(m.protocols, ps, func(a, b protocol) bool {
		return a.name == b.name && bytes.Equal(a.metadata, b.metadata)
	})
}

func (m *member) metadata(name string) []byte {
	for _, p := range m.protocols {
		if p.name == name {
			return p.metadata
		}
	}
	return nil
}

func (m *member) offers(name string) bool {
	return slices.ContainsFunc(m.protocols, func(p protocol) bool { return p.name == name })
}

// instanceID is the instance as the wire has it.
func (m *member) instanceID() *string {
	if m.instance == "" {
		return nil
	}
	return kmsg.StringPtr(m.instance)
}

// What a member and a protocol count beside their words, and what JSON may make of one byte of a string.
const (
	memberBytes   = 256
	protocolBytes = 32
	quotedBytes   = 6
)

// size is what a member takes of Options.MaxBytes.
func (m *member) size() int { return sizeOf(m.protocols, m.instance, m.client) }

// sizeOf counts client and instance twice: one of them begins the member id.
func sizeOf(ps []protocol, instance string, c Client) int {
	n := memberBytes + quotedBytes*(2*len(instance)+2*len(c.ID)+len(c.Host))
	for _, p := range ps {
		n += protocolBytes + quotedBytes*len(p.name) + len(p.metadata)
	}
	return n
}

// roster is the members, in the order in which they came.
type roster struct {
	order  []*member
	byID   map[string]*member
	static map[string]*member // by instance
}

func newRoster() roster {
	return roster{byID: map[string]*member{}, static: map[string]*member{}}
}

func (r *roster) add(m *member) {
	r.order = append(r.order, m)
	r.byID[m.id] = m
	if m.instance != "" {
		r.static[m.instance] = m
	}
}

func (r *roster) drop(m *member) {
	r.order = slices.DeleteFunc(r.order, func(o *member) bool { return o == m })
	delete(r.byID, m.id)
	if m.instance != "" {
		delete(r.static, m.instance)
	}
}

func (r *roster) rename(m *member, id string) {
	delete(r.byID, m.id)
	m.id = id
	r.byID[id] = m
}

func (r *roster) joined() int {
	n := 0
	for _, m := range r.order {
		if m.joined {
			n++
		}
	}
	return n
}

func (r *roster) allSynced() bool {
	return !slices.ContainsFunc(r.order, func(m *member) bool { return !m.synced })
}

// rebalanceTimeout is the longest that any member asks for.
func (r *roster) rebalanceTimeout() time.Duration {
	longest := time.Duration(0)
	for _, m := range r.order {
		longest = max(longest, m.rebalance)
	}
	return longest
}

func (r *roster) size() int {
	n := 0
	for _, m := range r.order {
		n += m.size()
	}
	return n
}

// everyoneOffers reports whether all members, but for one, know the protocol.
func (r *roster) everyoneOffers(name string, but *member) bool {
	return !slices.ContainsFunc(r.order, func(m *member) bool { return m != but && !m.offers(name) })
}

// choose takes the protocol that most members like best among those that all of them know; of equals, what the leader
// names first.
func (r *roster) choose(leader string) string {
	known := r.known()
	votes := map[string]int{}
	for _, m := range r.order {
		for _, p := range m.protocols {
			if known[p.name] == len(r.order) {
				votes[p.name]++
				break
			}
		}
	}
	best := ""
	for _, p := range r.byID[leader].protocols {
		if votes[p.name] > votes[best] {
			best = p.name
		}
	}
	return best
}

// known counts how many members know each protocol.
func (r *roster) known() map[string]int {
	out := map[string]int{}
	for _, m := range r.order {
		names := map[string]bool{}
		for _, p := range m.protocols {
			names[p.name] = true
		}
		for name := range names {
			out[name]++
		}
	}
	return out
}
