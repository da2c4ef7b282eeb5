package group

import "time"

// Deadline is when Tick has something to do, unless something else happens before. Not ok: never.
func (g *Group) Deadline() (at time.Time, ok bool) {
	first := earliest{}
	first.see(g.joinBy)
	first.see(g.syncBy)
	for _, until := range g.pending {
		first.see(until)
	}
	for _, m := range g.order {
		first.see(m.expires)
	}
	return first.at, !first.at.IsZero()
}

// earliest of the times that are set.
type earliest struct{ at time.Time }

func (e *earliest) see(t time.Time) {
	if !t.IsZero() && (e.at.IsZero() || t.Before(e.at)) {
		e.at = t
	}
}

func due(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// Tick does what is due: sessions that ended, rebalances that took too long, ids that nobody used. It may be called at any
// time.
func (g *Group) Tick(now time.Time) []Effect {
	for id, until := range g.pending {
		if due(until, now) {
			delete(g.pending, id)
		}
	}
	for _, m := range g.overdue(now) {
		g.remove(m)
	}
	g.settle(now)
	if g.state == PreparingRebalance && due(g.joinBy, now) {
		g.joinTimeUp(now)
	}
	return g.take()
}

// overdue are members whose session ended, and those that joined a generation and never asked for their part in it.
func (g *Group) overdue(now time.Time) []*member {
	late := due(g.syncBy, now)
	var out []*member
	for _, m := range g.order {
		if due(m.expires, now) || late && !m.synced {
			out = append(out, m)
		}
	}
	return out
}
