package group

import (
	"fmt"
	"slices"
	"time"
)

// State is where a group stands. Its String is Kafka's name.
type State uint8

const (
	// Empty: no members. Anybody may commit offsets without being one. Next: PreparingRebalance with the first member,
	// Dead when deleted.
	Empty State = iota
	// PreparingRebalance: members are called together; those who have joined wait for the others. The last generation
	// still counts for commits. Next: CompletingRebalance, or Empty when nobody is left.
	PreparingRebalance
	// CompletingRebalance: a new generation has begun, its members are known, the leader is working out the assignment.
	// Next: Stable, or PreparingRebalance when somebody comes or goes.
	CompletingRebalance
	// Stable: every member has an assignment. Next: PreparingRebalance.
	Stable
	// Dead: deleted; the object must be forgotten. Final.
	Dead
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}

func (s State) String() string { return stateNames[s] }

func (g *Group) become(now time.Time, to State, from ...State) {
	if !slices.Contains(from, g.state) {
		panic(fmt.Sprintf("group %q: %v cannot become %v", g.name, g.state, to))
	}
	g.state, g.since = to, now
	g.joinBy, g.syncBy = time.Time{}, time.Time{}
	g.first, g.grown, g.rest = false, false, 0
}

// becomePreparing calls the members together. Those who wait for an assignment learn that there will be none.
func (g *Group) becomePreparing(now time.Time) {
	first := g.state == Empty && g.o.InitialDelay > 0
	g.become(now, PreparingRebalance, Empty, CompletingRebalance, Stable)
	for _, m := range g.order {
		g.answerSync(now, m, errRebalance)
		m.synced = true
	}
	limit := g.rebalanceTimeout()
	g.first = first
	if !first {
		g.joinBy = now.Add(limit)
		return
	}
	delay := min(g.o.InitialDelay, limit)
	g.joinBy, g.rest = now.Add(delay), limit-delay
}

// becomeCompleting begins a generation of all members there are.
func (g *Group) becomeCompleting(now time.Time) {
	limit := g.rebalanceTimeout()
	g.become(now, CompletingRebalance, PreparingRebalance)
	g.generation++
	g.protocol = g.choose(g.leader)
	g.syncBy = now.Add(limit)
	for _, m := range g.order {
		m.assignment = nil
	}
	g.save()
	for _, m := range g.order {
		// A static member that did not come keeps its place and its time; it is not waited for.
		m.synced = !m.joined
		m.joined = false
		g.answerJoin(now, m)
	}
}

// becomeStable gives every member what the leader assigned to it; nothing, if the leader did not think of it.
func (g *Group) becomeStable(now time.Time, assignments map[string][]byte) {
	syncBy := g.syncBy
	g.become(now, Stable, CompletingRebalance)
	for _, m := range g.order {
		m.assignment = assignments[m.id]
	}
	g.save()
	for _, m := range g.order {
		g.answerSync(now, m, nil)
	}
	if !g.allSynced() {
		g.syncBy = syncBy
	}
}

// becomeEmpty ends the last generation, so that none of its members can commit any more.
func (g *Group) becomeEmpty(now time.Time) {
	g.become(now, Empty, PreparingRebalance)
	g.generation++
	g.protocol, g.leader = "", ""
	g.save()
}

// becomeDead is the end.
func (g *Group) becomeDead(now time.Time) {
	g.become(now, Dead, Empty)
	clear(g.pending)
	g.save()
}
