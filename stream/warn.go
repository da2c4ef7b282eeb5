package stream

import (
	"slices"
	"strconv"

	"ravenswood.dev/internal/topology"
)

// Warnings are what is likely not meant, though the topology can run; Run logs them. A topology that is wrong has problems
// instead: see Check.
func (t *Topology) Warnings() []Problem {
	b, err := t.build()
	if err != nil {
		return nil
	}
	return slices.Clone(b.warnings)
}

// orderLost warns where records come behind an internal topic to a bolt that takes none that is behind. The tasks before the
// topic do not keep in step while they read what has gathered, so that much of it would come late. Whoever has said how many
// partitions the source has, or has given a grace, has been asked.
func (t *Topology) orderLost(p *topology.Plan) (all []Problem) {
	hasty := map[string]*node{}
	for _, n := range t.nodes {
		if n.hasty {
			hasty[n.name] = n
		}
	}
	for _, in := range p.Inputs {
		d := t.topics[in.Topic]
		if in.Repartition || d == nil || d.partitions > 0 {
			continue
		}
		for _, name := range behindTopics(p, in) {
			n := hasty[name]
			if n == nil {
				continue
			}
			all = append(all, Problem{
				Code: topology.CodeOrderLost, Node: n.name,
				Message: "plan " + n.label() + ": records of topic " + strconv.Quote(in.Topic) + " come to it through an internal topic, where those of several partitions are in no common order of time while a backlog is read, and it has no grace: many may come late",
				Hint:    "give it a Grace, or declare the topic with Partitions(1) to keep the order, or with as many as you want",
			})
		}
	}
	return all
}

// behindTopics names the bolts that records of an input come to through an internal topic, sorted.
func behindTopics(p *topology.Plan, from topology.Input) (names []string) {
	type place struct {
		topology.Target
		hopped bool
	}
	seen := map[place]bool{}
	var visit func(targets []topology.Target, hopped bool)
	visit = func(targets []topology.Target, hopped bool) {
		for _, to := range targets {
			at := place{to, hopped}
			switch {
			case seen[at]:
			case to.Sink:
				seen[at] = true
				sink := p.Sinks[to.Index]
				for _, in := range p.Inputs {
					if sink.Repartition && in.Topic == sink.Topic {
						visit(in.Next, true)
					}
				}
			default:
				seen[at] = true
				bolt := p.Bolts[to.Index]
				if hopped {
					names = append(names, bolt.Name)
				}
				for _, next := range bolt.Next {
					visit(next, hopped)
				}
			}
		}
	}
	visit(from.Next, false)
	slices.Sort(names)
	return slices.Compact(names)
}
