package group

import "fmt"

// check panics when the group contradicts itself. It costs one walk over the members and guards what a mistake here would
// quietly cost: two members that both believe in their assignment.
func (g *Group) check() {
	must := func(ok bool, what string) {
		if !ok {
			panic(fmt.Sprintf("group %q (%v): %s", g.name, g.state, what))
		}
	}
	must(len(g.order) == len(g.byID), "members and their ids differ")
	must(len(g.order) == 0 || g.state != Empty && g.state != Dead, "members in a group without members")
	must(len(g.order) > 0 || g.state != Stable && g.state != CompletingRebalance, "a generation of nobody")
	must(len(g.order) == 0 || g.byID[g.leader] != nil, "the leader is not a member")
	must((g.state == PreparingRebalance) == !g.joinBy.IsZero(), "a rebalance without an end")
	for _, m := range g.order {
		must(m.waits() == m.expires.IsZero(), "a member that neither waits nor can end")
		must(m.join.ticket == 0 || g.state == PreparingRebalance, "a join waits for nothing")
		must(m.sync.ticket == 0 || g.state == CompletingRebalance, "a sync waits for nothing")
		must(!m.joined || g.state == PreparingRebalance, "joined without a rebalance")
		must(m.synced || !g.syncBy.IsZero(), "nobody waits for a sync that is missing")
	}
}
