package server

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/group"
)

// groups is the shell around package group: it holds the locks, keeps time, writes entries and delivers answers.
type groups struct {
	s *Server

	mu     sync.Mutex
	byName map[string]*oneGroup // GUARDED_BY(mu)

	offsetsMu sync.Mutex
	offsets   *group.Offsets // GUARDED_BY(offsetsMu)

	ticket  atomic.Uint64
	waiting sync.Map      // group.Ticket -> *waiter
	wake    chan struct{} // a deadline came nearer
	next    atomic.Int64  // Unix nanoseconds when run looks again
}

// oneGroup is a group with its lock. A dead one is not in the map any more.
type oneGroup struct {
	mu   sync.Mutex
	g    *group.Group
	dead bool
}

// waiter is a request that a group answers later.
type waiter struct {
	answer chan kmsg.Response
	refuse func(*kerr.Error) kmsg.Response
}

func newGroups(s *Server) *groups {
	return &groups{
		s: s, byName: map[string]*oneGroup{}, wake: make(chan struct{}, 1),
		offsets: group.NewOffsets(s.settings.broker().OffsetMetadataBytesMax),
	}
}

func (gs *groups) options() group.Options {
	b := gs.s.settings.broker()
	delay := b.GroupInitialDelay
	if delay == 0 {
		delay = -1
	}
	return group.Options{
		MinSession: b.GroupSessionMin, MaxSession: b.GroupSessionMax, InitialDelay: delay,
		MaxMembers: b.GroupMembersMax, NewID: rand.Text,
	}
}

// named returns a group, made if there is none.
func (gs *groups) named(name string) *oneGroup {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := gs.byName[name]
	if g == nil {
		g = &oneGroup{g: group.New(name, gs.options())}
		gs.byName[name] = g
	}
	return g
}

// locked returns a group with its lock held.
func (gs *groups) locked(name string) *oneGroup {
	for {
		g := gs.named(name)
		g.mu.Lock()
		if !g.dead {
			return g
		}
		g.mu.Unlock()
	}
}

// done gives the lock back and forgets a group that is nothing any more.
func (gs *groups) done(name string, g *oneGroup) {
	if !g.g.Known() || g.g.State() == group.Dead {
		gs.mu.Lock()
		if gs.byName[name] == g {
			delete(gs.byName, name)
		}
		gs.mu.Unlock()
		g.dead = true
	}
	g.mu.Unlock()
}

// step lets something happen to a group and carries out the effects: entries first, then the answers behind them.
func (gs *groups) step(ctx context.Context, name string, do func(*group.Group, time.Time) []group.Effect) {
	gs.s.gate.RLock()
	g := gs.locked(name)
	now := time.Now()
	answers, saved := gs.carryOut(g.g, now, do(g.g, now))
	gs.planFor(g.g)
	gs.done(name, g)
	gs.s.gate.RUnlock()
	var failed *kerr.Error
	if saved && gs.s.lasting(ctx) != nil {
		failed = kerr.CoordinatorNotAvailable
	}
	for _, a := range answers {
		gs.deliver(a, failed)
	}
}

// carryOut writes the entries and collects the answers. The caller holds gate and the group.
func (gs *groups) carryOut(g *group.Group, now time.Time, effects []group.Effect) (answers []group.Answer, saved bool) {
	for i := 0; i < len(effects); i++ {
		switch e := effects[i].(type) {
		case group.Answer:
			answers = append(answers, e)
		case group.Save:
			if gs.s.note(entryGroup, e.Entry) == nil {
				saved = true
				continue
			}
			for _, behind := range effects[i+1:] {
				if a, ok := behind.(group.Answer); ok {
					gs.deliver(a, kerr.CoordinatorNotAvailable)
				}
			}
			effects = append(effects[:i:i], g.Unsaved(now)...)
			i--
		}
	}
	return answers, saved
}

// deliver hands an answer to the request that waits for it, or tells it that it failed.
func (gs *groups) deliver(a group.Answer, failed *kerr.Error) {
	got, ok := gs.waiting.LoadAndDelete(a.Ticket)
	if !ok {
		return // gone
	}
	w := got.(*waiter)
	if failed != nil {
		a.Response = w.refuse(failed)
	}
	w.answer <- a.Response
}

// ask gives out a ticket and returns the answer that waits for it.
func (gs *groups) ask(name string, refuse func(*kerr.Error) kmsg.Response, do func(group.Ticket)) answer {
	t := group.Ticket(gs.ticket.Add(1))
	w := &waiter{answer: make(chan kmsg.Response, 1), refuse: refuse}
	gs.waiting.Store(t, w)
	do(t)
	return func(ctx context.Context) kmsg.Response {
		select {
		case response := <-w.answer:
			return response
		case <-ctx.Done():
			gs.gone(name, t)
			return nil
		}
	}
}

// gone says that nobody reads the answer of a ticket.
func (gs *groups) gone(name string, t group.Ticket) {
	if _, waits := gs.waiting.LoadAndDelete(t); !waits {
		return
	}
	ctx := context.WithoutCancel(gs.s.ctx)
	gs.step(ctx, name, func(g *group.Group, now time.Time) []group.Effect { return g.Gone(now, t) })
}

// planFor wakes run if a group has something to do before it looks anyway.
func (gs *groups) planFor(g *group.Group) {
	at, ok := g.Deadline()
	if !ok || at.UnixNano() >= gs.next.Load() {
		return
	}
	select {
	case gs.wake <- struct{}{}:
	default:
	}
}

// maxNap bounds how long run sleeps: a clock that is set back must not keep a session alive for hours.
const maxNap = 10 * time.Second

// run does what is due in groups, until ctx ends.
func (gs *groups) run(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	lastExpiry := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-gs.wake:
		case <-t.C:
		}
		next := gs.tick(ctx)
		gs.next.Store(next.UnixNano())
		t.Reset(time.Until(next))
		if time.Since(lastExpiry) > 10*time.Minute {
			lastExpiry = time.Now()
			gs.expire(ctx)
		}
	}
}

// tick does what is due and tells when to look again.
func (gs *groups) tick(ctx context.Context) time.Time {
	next := time.Now().Add(maxNap)
	gs.next.Store(next.UnixNano())
	for _, name := range gs.names() {
		if at, ok := gs.deadline(name); ok && !at.After(time.Now()) {
			gs.step(ctx, name, func(g *group.Group, now time.Time) []group.Effect { return g.Tick(now) })
		}
		if at, ok := gs.deadline(name); ok && at.Before(next) {
			next = at
		}
	}
	return next
}

func (gs *groups) names() []string {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return slices.Sorted(maps.Keys(gs.byName))
}

func (gs *groups) deadline(name string) (time.Time, bool) {
	gs.mu.Lock()
	g := gs.byName[name]
	gs.mu.Unlock()
	if g == nil {
		return time.Time{}, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.g.Deadline()
}

// expire forgets offsets that nobody came back for.
func (gs *groups) expire(ctx context.Context) {
	gs.offsetsMu.Lock()
	entries := gs.offsets.Expire(time.Now(), gs.s.settings.broker().OffsetsRetention, gs.emptySince)
	gs.offsetsMu.Unlock()
	for _, e := range entries {
		_ = gs.s.noteAndApply(entryOffsets, e, func() { gs.restore(e) }) // again next time
	}
	if len(entries) > 0 {
		_ = gs.s.lasting(ctx)
	}
}

// emptySince is called with offsetsMu held; groups are never locked after it elsewhere.
func (gs *groups) emptySince(name string) (time.Time, bool) {
	gs.mu.Lock()
	g := gs.byName[name]
	gs.mu.Unlock()
	if g == nil {
		return time.Time{}, true
	}
	if !g.mu.TryLock() {
		return time.Time{}, false // in use this moment
	}
	defer g.mu.Unlock()
	return g.g.EmptySince()
}

func (gs *groups) restore(e group.OffsetsEntry) {
	gs.offsetsMu.Lock()
	defer gs.offsetsMu.Unlock()
	if err := gs.offsets.Restore(e); err != nil {
		gs.s.log.Error("offsets not applied", "group", e.Group, "err", err)
	}
}

// has reports whether a group has committed anything.
func (gs *groups) has(name string) bool {
	gs.offsetsMu.Lock()
	defer gs.offsetsMu.Unlock()
	return gs.offsets.Has(name)
}

// end applies or drops the offsets of a transaction.
func (gs *groups) end(producer int64, committed bool) {
	gs.offsetsMu.Lock()
	defer gs.offsetsMu.Unlock()
	gs.offsets.End(producer, committed)
}

// forget drops the offsets of a topic that is gone.
func (gs *groups) forget(t *topic) {
	gs.offsetsMu.Lock()
	defer gs.offsetsMu.Unlock()
	gs.offsets.DropTopic(t.id)
}

// resolve finds topics for one request: whoever may not do op learns nothing about them.
func (gs *groups) resolve(r *request, op kmsg.ACLOperation) group.Resolve {
	return func(name string, id [16]byte) (group.Topic, int32, *kerr.Error) {
		var t *topic
		if name == "" && id != [16]byte{} {
			t = gs.s.topics.withID(id)
			if t == nil {
				return group.Topic{}, 0, kerr.UnknownTopicID
			}
			name = t.name
		}
		if !gs.s.allowed(r, acl.Topic(name), op) {
			return group.Topic{}, 0, kerr.TopicAuthorizationFailed
		}
		if t == nil {
			t = gs.s.topics.named(name)
		}
		if t == nil {
			return group.Topic{}, 0, kerr.UnknownTopicOrPartition
		}
		return group.Topic{Name: t.name, ID: t.id}, int32(len(t.all())), nil
	}
}

// mayUse says why a client may not work with a group, nil if it may.
func (s *Server) mayUse(r *request, name string, op kmsg.ACLOperation) *kerr.Error {
	if name == "" && membership(kmsg.Key(r.key)) {
		return kerr.InvalidGroupID
	}
	if !s.allowed(r, acl.Group(name), op) {
		return kerr.GroupAuthorizationFailed
	}
	return nil
}

// membership says whether a request is about being a member. Offsets may be kept by a group without a name.
func membership(k kmsg.Key) bool {
	return k == kmsg.JoinGroup || k == kmsg.SyncGroup || k == kmsg.Heartbeat || k == kmsg.LeaveGroup
}
