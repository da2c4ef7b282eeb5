package engine

import (
	"maps"
	"time"
)

// partial is a unit that has some of its inputs and not all: it reads nothing. The group gives a task whole or not at
// all, unless it has members of another version, to whom other partitions belong together or none at all. Then two can
// have parts of one task for as long as both are there, and nobody works on it.
type partial struct {
	since time.Time
	said  time.Time
}

const (
	partialPatience = 10 * time.Second // a rebalance gives partitions in two rounds
	partialEvery    = time.Minute
)

// notePartial says which tasks stand still because their partitions are not together. The status shows them as waiting.
func (s *session) notePartial(now time.Time) {
	maps.DeleteFunc(s.partial, func(id unitID, _ *partial) bool {
		u := s.units[id]
		return u == nil || u.phase != created
	})
	for id, u := range s.units {
		if u.phase != created {
			continue
		}
		p := s.partial[id]
		if p == nil {
			p = &partial{since: now}
			s.partial[id] = p
		}
		if now.Sub(p.since) >= partialPatience && now.Sub(p.said) >= partialEvery {
			p.said = now
			s.w.log.Warn("a task stands still: others in the group have partitions of it, which a member of another version can bring about; it goes on when all are of one version",
				"stage", u.stage.Name, "partition", id.n, "missing", s.missing(u), "for", now.Sub(p.since).Round(time.Second))
		}
	}
}

// missing are the topics whose partition a unit does not have.
func (s *session) missing(u *unit) (topics []string) {
	for i, t := range u.inputs {
		if t == nil {
			topics = append(topics, s.plan.Inputs[u.stage.Inputs[i]].Topic)
		}
	}
	return topics
}
