package group

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// ident is a membership as a client knows it: from an answer.
type ident struct {
	id, instance string
	generation   int32
	leader       bool
	members      []string // what a leader was told
}

// world is a group, its clients as they come, and what must stay true.
type world struct {
	now     time.Time
	o       Options
	g       *Group
	durable *Entry // what the journal has
	ticket  Ticket

	waiting  map[Ticket]ident // who waits for an answer
	idents   []ident
	newest   int32                       // largest generation that anybody was told
	assigned map[int32]map[string][]byte // by generation and instance or id: what the leader's request said
	offered  map[string][]byte           // by the leader's request of this step
}

// TestGroupKeepsItsPromises plays members that come, go, fall silent, lose their connection and repeat themselves, in front
// of a broker that restarts and crashes.
func TestGroupKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.SampledFrom([]time.Duration{-1, 50 * time.Millisecond}).Draw(t, "delay"))
		t.Repeat(map[string]func(*rapid.T){
			"join":      func(t *rapid.T) { w.step(t, w.joinNew) },
			"rejoin":    func(t *rapid.T) { w.step(t, w.joinAgain) },
			"sync":      func(t *rapid.T) { w.step(t, w.sync) },
			"obey":      w.obey,
			"leave":     func(t *rapid.T) { w.step(t, w.leave) },
			"heartbeat": w.heartbeat,
			"gone":      w.gone,
			"wait":      func(t *rapid.T) { w.wait(t, time.Duration(rapid.IntRange(0, 15000).Draw(t, "ms"))*time.Millisecond) },
			"restart":   func(t *rapid.T) { w.restart(t, w.durable) },
			"crash":     w.crash,
			"unsaved":   w.unsaved,
			"":          w.check,
		})
		w.silence(t)
	})
}

func newWorld(delay time.Duration) *world {
	ids := 0
	w := &world{now: time.Unix(1000, 0).UTC(), waiting: map[Ticket]ident{}, assigned: map[int32]map[string][]byte{}}
	w.o = Options{MaxMembers: 5, InitialDelay: delay, NewID: func() string { ids++; return strconv.Itoa(ids) }}
	w.g = New("g", w.o)
	return w
}

// step does something, and hears what is said.
func (w *world) step(t *rapid.T, do func(*rapid.T) []Effect) { w.hear(t, do(t)) }

func (w *world) open(who ident) Ticket {
	w.ticket++
	w.waiting[w.ticket] = who
	return w.ticket
}

func (w *world) joinRequest(t *rapid.T, who ident) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.MemberID, req.ProtocolType = int16(rapid.IntRange(2, 9).Draw(t, "version")), who.id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, int32(rapid.SampledFrom([]int{0, 5000, 20_000}).Draw(t, "rebalance"))
	if who.instance != "" {
		req.InstanceID = &who.instance
	}
	for _, name := range rapid.SampledFrom([][]string{{"range"}, {"range", "sticky"}, {"sticky", "range"}}).Draw(t, "protocols") {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = name, wish(rapid.SampledFrom([]string{"t", "t", "t", "u"}).Draw(t, "topic"))
		req.Protocols = append(req.Protocols, p)
	}
	return req
}

func (w *world) joinNew(t *rapid.T) []Effect {
	who := ident{instance: rapid.SampledFrom([]string{"", "", "one", "two"}).Draw(t, "instance")}
	req := w.joinRequest(t, who)
	return w.g.Join(w.now, w.open(who), Client{"c", "h"}, req)
}

func (w *world) pick(t *rapid.T) (ident, bool) {
	if len(w.idents) == 0 {
		return ident{}, false
	}
	last := w.idents[max(0, len(w.idents)-6):] // mostly those that still count
	return rapid.SampledFrom(last).Draw(t, "who"), true
}

func (w *world) joinAgain(t *rapid.T) []Effect {
	who, ok := w.pick(t)
	if !ok {
		return nil
	}
	return w.g.Join(w.now, w.open(who), Client{"c", "h"}, w.joinRequest(t, who))
}

func (w *world) sync(t *rapid.T) []Effect {
	who, ok := w.pick(t)
	if !ok {
		return nil
	}
	return w.syncAs(who)
}

func (w *world) syncAs(who ident) []Effect {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.MemberID, req.Generation = 5, who.id, who.generation
	if who.instance != "" {
		req.InstanceID = &who.instance
	}
	ticket := w.open(who)
	w.offered = map[string][]byte{}
	if who.leader {
		for _, id := range who.members {
			a := kmsg.NewSyncGroupRequestGroupAssignment()
			a.MemberID, a.MemberAssignment = id, fmt.Appendf(nil, "%s by %d", id, ticket)
			req.GroupAssignment = append(req.GroupAssignment, a)
			w.offered[id] = a.MemberAssignment
		}
	}
	return w.g.Sync(w.now, ticket, req)
}

// obey lets everyone who was told of the newest generation do what it should: ask for its assignment, the leader last.
func (w *world) obey(t *rapid.T) {
	newest := w.newest
	for _, leader := range []bool{false, true} {
		for _, who := range slices.Clone(w.idents) {
			if who.generation == newest && who.leader == leader {
				w.hear(t, w.syncAs(who))
			}
		}
	}
}

func (w *world) leave(t *rapid.T) []Effect {
	who, ok := w.pick(t)
	if !ok {
		return nil
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.MemberID = int16(rapid.IntRange(2, 5).Draw(t, "version")), who.id
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = who.id
	req.Members = append(req.Members, m)
	return w.g.Leave(w.now, w.open(who), req)
}

func (w *world) heartbeat(t *rapid.T) {
	if who, ok := w.pick(t); ok {
		req := kmsg.NewPtrHeartbeatRequest()
		req.MemberID, req.Generation = who.id, who.generation
		w.g.Heartbeat(w.now, req)
	}
}

func (w *world) gone(t *rapid.T) {
	if len(w.waiting) == 0 {
		return
	}
	ticket := rapid.SampledFrom(slices.Sorted(maps.Keys(w.waiting))).Draw(t, "ticket")
	delete(w.waiting, ticket)
	w.hear(t, w.g.Gone(w.now, ticket))
}

// wait lets time pass, deadline by deadline.
func (w *world) wait(t *rapid.T, d time.Duration) {
	end := w.now.Add(d)
	for range 10_000 {
		at, ok := w.g.Deadline()
		if !ok || at.After(end) {
			w.now = end
			return
		}
		if at.After(w.now) {
			w.now = at
		}
		w.hear(t, w.g.Tick(w.now))
	}
	t.Fatal("time does not pass")
}

// restart loses everything but the journal.
func (w *world) restart(t *rapid.T, durable *Entry) {
	clear(w.waiting)
	w.durable, w.g = durable, New("g", w.o)
	if durable == nil {
		return
	}
	b, err := json.Marshal(durable)
	if err != nil {
		t.Fatal(err)
	}
	var e Entry
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	if w.g, err = Restore(e, w.o, w.now); err != nil {
		t.Fatal(err)
	}
}

// crash does something and dies before anybody hears of it; the journal has it, or not.
func (w *world) crash(t *rapid.T) {
	durable := w.durable
	written := rapid.Bool().Draw(t, "written")
	for _, e := range rapid.SampledFrom([]func(*rapid.T) []Effect{w.joinNew, w.joinAgain, w.sync, w.leave}).Draw(t, "step")(t) {
		if s, ok := e.(Save); ok && written {
			durable = &s.Entry
			w.saved(s.Entry)
		}
	}
	w.restart(t, durable)
}

// unsaved does something that cannot be written: who waits behind it gets an error from the server.
func (w *world) unsaved(t *rapid.T) {
	failed := false
	for _, e := range rapid.SampledFrom([]func(*rapid.T) []Effect{w.joinAgain, w.sync, w.leave}).Draw(t, "step")(t) {
		if _, ok := e.(Save); ok {
			failed = true
		}
		if a, ok := e.(Answer); ok && failed {
			w.answered(t, a.Ticket)
		} else {
			w.hear(t, []Effect{e})
		}
	}
	if failed {
		w.hear(t, w.g.Unsaved(w.now))
	}
}

func (w *world) hear(t *rapid.T, effects []Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case Save:
			w.durable = &e.Entry
			w.saved(e.Entry)
		case Answer:
			w.answer(t, w.answered(t, e.Ticket), e)
		}
	}
}

// saved remembers the assignment of a generation, from the request that made it.
func (w *world) saved(e Entry) {
	if e.State != "Stable" || w.assigned[e.Generation] != nil {
		return
	}
	w.assigned[e.Generation] = map[string][]byte{}
	for _, m := range e.Members {
		w.assigned[e.Generation][key(m.ID, m.Instance)] = w.offered[m.ID]
	}
}

func key(id, instance string) string {
	if instance != "" {
		return instance
	}
	return id
}

func (w *world) answered(t *rapid.T, ticket Ticket) ident {
	who, ok := w.waiting[ticket]
	if !ok {
		t.Fatalf("ticket %d is answered, and nobody waits", ticket)
	}
	delete(w.waiting, ticket)
	return who
}

func (w *world) answer(t *rapid.T, who ident, a Answer) {
	switch r := a.Response.(type) {
	case *kmsg.JoinGroupResponse:
		if r.ErrorCode == 0 || r.MemberID != "" && r.MemberID != who.id {
			w.welcome(who, r)
		}
	case *kmsg.SyncGroupResponse:
		want := w.assigned[who.generation][key(who.id, who.instance)]
		if r.ErrorCode == 0 && string(r.MemberAssignment) != string(want) {
			t.Fatalf("%+v is told %q, the leader said %q", who, r.MemberAssignment, want)
		}
	}
}

func (w *world) welcome(who ident, r *kmsg.JoinGroupResponse) {
	who.id, who.generation = r.MemberID, r.Generation
	who.leader = r.ErrorCode == 0 && r.LeaderID == r.MemberID && !r.SkipAssignment
	who.members = nil
	for _, m := range r.Members {
		who.members = append(who.members, m.MemberID)
	}
	w.newest = max(w.newest, r.Generation)
	w.idents = append(w.idents, who)
}

// check: those who wait are those whom the group knows to wait, and nobody commits but in the newest generation.
func (w *world) check(t *rapid.T) {
	var known []Ticket
	for _, m := range w.g.order {
		for _, ticket := range []Ticket{m.join.ticket, m.sync.ticket} {
			if ticket != 0 {
				known = append(known, ticket)
			}
		}
	}
	slices.Sort(known)
	if open := slices.Sorted(maps.Keys(w.waiting)); !slices.Equal(open, known) {
		t.Fatalf("tickets %v wait, the group knows of %v", open, known)
	}
	for _, who := range w.idents {
		m := w.g.byID[who.id]
		if m == nil || who.generation < 0 {
			continue
		}
		if w.g.allow(who.generation, who.id, nil, false) == nil && who.generation != w.newest {
			t.Fatalf("%+v may commit, though generation %d has begun", who, w.newest)
		}
	}
	w.checkStable(t)
}

func (w *world) checkStable(t *rapid.T) {
	if w.g.State() != Stable {
		return
	}
	for _, m := range w.g.order {
		if want := w.assigned[w.g.generation][key(m.id, m.instance)]; string(want) != string(m.assignment) {
			t.Fatalf("%s has %q, the leader said %q", m.id, m.assignment, want)
		}
	}
}

// silence: nobody does anything any more. Whoever waits is answered, and in the end there is nobody.
func (w *world) silence(t *rapid.T) {
	w.wait(t, time.Hour)
	if len(w.waiting) > 0 || w.g.State() != Empty {
		t.Fatalf("after an hour: %v, tickets %v wait", w.g.State(), w.waiting)
	}
	if at, ok := w.g.Deadline(); ok {
		t.Fatalf("an empty group waits for %v", at)
	}
}
