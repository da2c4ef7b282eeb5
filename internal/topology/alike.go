package topology

import (
	"fmt"
	"maps"
	"slices"
)

// PartitionsError says that a topic has another number of partitions than one that it is worked on together with.
type PartitionsError struct {
	Topology, Stage string
	Topic           string
	Partitions      int
	Other           string // the topic it is compared with
	Others          int    // its partitions
	Hint            string // what to do, one sentence
}

func (e *PartitionsError) Error() string {
	return fmt.Sprintf("run topology %q: topic %q has %s, topic %q, with which it is worked on in stage %q, has %d",
		e.Topology, e.Topic, count(e.Partitions, "partition"), e.Other, e.Stage, e.Others)
}

// CheckPartitions says whether the topics a cluster has, by name and number of partitions, let the plan run: all inputs
// and changelogs of a stateful stage have equally many, and what is written by the number of an input's partition has at
// least as many. The error names what to do. It is nil if nothing is wrong; all topics of the plan must be there.
func CheckPartitions(p *Plan, have map[string]int) error {
	for _, t := range p.Topics {
		if have[t.Name] < 1 {
			return fmt.Errorf("run topology %q: there is no topic %q", p.Name, t.Name)
		}
	}
	known := func(topic string) int { return have[topic] }
	for n := range p.Stages {
		if wrong := p.unlike(n, known); len(wrong) > 0 {
			return wrong[0]
		}
	}
	return p.checkFollowers(known)
}

// checkFollowers compares the topics that are written by the number of an input's partition with the largest input.
func (p *Plan) checkFollowers(known func(topic string) int) error {
	for _, topic := range []string{p.DeadLetters, p.Parked, p.Replay} {
		for _, in := range p.Inputs {
			if known(topic) > 0 && known(in.Topic) > known(topic) && !(topic == p.Replay && p.Stages[in.Stage].Stateful) {
				return &PartitionsError{Topology: p.Name, Stage: p.Stages[in.Stage].Name, Topic: topic, Partitions: known(topic), Other: in.Topic, Others: known(in.Topic),
					Hint: growHint(known(in.Topic))}
			}
		}
	}
	return nil
}

func growHint(partitions int) string {
	return fmt.Sprintf("grow it to %d partitions with your cluster's tools, or run the topology under another name", partitions)
}

// member is a topic of a stateful stage.
type member struct {
	topic  string
	own    bool // made by the topology
	replay bool
}

// members lists the topics of a stage that must have equally many partitions: first those of other people, then
// changelogs, then what is on its way, so that the first whose number is known decides for the others.
func (p *Plan) members(stage int) []member {
	st := &p.Stages[stage]
	if !st.Stateful {
		return nil
	}
	var foreign, changelogs, moving []member
	for _, i := range st.Inputs {
		in := p.Inputs[i]
		m := member{topic: in.Topic, own: in.Repartition || in.Topic == st.Replay, replay: in.Topic == st.Replay}
		if m.own {
			moving = append(moving, m)
		} else {
			foreign = append(foreign, m)
		}
	}
	for _, s := range st.Stores {
		if s.Changelog != "" && !s.Source {
			changelogs = append(changelogs, member{topic: s.Changelog, own: true})
		}
	}
	return slices.Concat(foreign, changelogs, moving)
}

// unlike finds the topics of a stage that have another number of partitions than the one that decides. Known gives the
// number of a topic, 0 if it is not known.
func (p *Plan) unlike(stage int, known func(topic string) int) []*PartitionsError {
	members := p.members(stage)
	first, most := decides(members, known)
	var wrong []*PartitionsError
	for _, m := range members {
		n := known(m.topic)
		if n == 0 || n == most {
			continue
		}
		wrong = append(wrong, &PartitionsError{Topology: p.Name, Stage: p.Stages[stage].Name, Topic: m.topic, Partitions: n,
			Other: first.topic, Others: most, Hint: p.unlikeHint(stage, m, first, n, known)})
	}
	return wrong
}

// decides picks the topic whose number the others must have: the largest of other people's, else the first known.
func decides(members []member, known func(topic string) int) (first member, most int) {
	for _, m := range members {
		if n := known(m.topic); n > most && (most == 0 || !m.own) {
			first, most = m, n
		}
	}
	return first, most
}

// unlikeHint says what to do about a topic that has n partitions where first has another number.
func (p *Plan) unlikeHint(stage int, m, first member, n int, known func(topic string) int) string {
	reset, most := ResetCommand(p.Name, p.Stages[stage].Name), known(first.topic)
	switch {
	case !m.own:
		return fmt.Sprintf("put a rekey bolt between topic %q and bolt %q, or move its records to a topic with %s", m.topic, p.meeting(stage, known), count(most, "partition"))
	case m.replay:
		return growHint(most)
	case first.own:
		return fmt.Sprintf("the partitions of a topology's own topics must never be changed: `%s` makes them anew, with empty stores", reset)
	}
	return fmt.Sprintf("keys of %q are in other partitions now than what is kept of them: read a topic with %s, or begin with empty stores by `%s`",
		first.topic, count(n, "partition"), reset)
}

// ResetCommand is what a person runs to empty the stores of a table's stage and make its internal topics anew.
func ResetCommand(topology, table string) string {
	return "raven table reset " + topology + " " + table
}

// meeting is the first bolt of a stage which records reach, or whose stores' records reach, of topics with different
// numbers of partitions; the bolt the stage is called after if there is none.
func (p *Plan) meeting(stage int, number func(topic string) int) string {
	st := &p.Stages[stage]
	reach := make(map[int]map[int]bool, len(st.Bolts)) // numbers, by bolt
	for range 2 {                                      // a store may be read by a bolt before the one that keeps it
		for _, i := range st.Inputs {
			if n := number(p.Inputs[i].Topic); n > 0 {
				spread(reach, map[int]bool{n: true}, p.Inputs[i].Next)
			}
		}
		for _, i := range st.Bolts {
			for _, owner := range p.readBy(st, i) {
				spread(reach, reach[owner], []Target{{Index: i}})
			}
			if len(reach[i]) > 1 {
				return p.Bolts[i].Name
			}
			spread(reach, reach[i], slices.Concat(p.Bolts[i].Next...))
		}
	}
	return st.Name
}

// spread adds numbers to those that reach some bolts.
func spread(reach map[int]map[int]bool, numbers map[int]bool, to []Target) {
	for _, t := range to {
		if t.Sink {
			continue
		}
		if reach[t.Index] == nil {
			reach[t.Index] = map[int]bool{}
		}
		maps.Copy(reach[t.Index], numbers)
	}
}

// readBy lists the bolts of a stage whose stores a bolt reads.
func (p *Plan) readBy(st *Stage, bolt int) []int {
	b := &p.Bolts[bolt]
	if b.Component.Shape == nil {
		return nil
	}
	var owners []int
	for _, name := range b.Component.Shape(b.Config).Reads {
		for _, s := range st.Stores {
			if s.Name == name {
				owners = append(owners, slices.IndexFunc(p.Bolts, func(o Bolt) bool { return o.Name == s.Bolt }))
			}
		}
	}
	return owners
}

// widths is how many partitions the topics have that other stages write for a stage, if nothing that is there already
// decides: as many as were asked for, else as the widest topic has that the writing stages read.
func (p *Plan) widths(stage int, partitions func(topic string) int) map[string]int {
	widths := map[string]int{}
	for _, i := range p.Stages[stage].Inputs {
		in := &p.Inputs[i]
		if !in.Repartition {
			continue
		}
		widths[in.Topic] = in.asked
		for _, writer := range p.writers(in.Topic) {
			for _, j := range p.Stages[writer].Inputs {
				if in.asked == 0 && writer != stage {
					widths[in.Topic] = max(widths[in.Topic], partitions(p.Inputs[j].Topic))
				}
			}
		}
		if widths[in.Topic] == 0 {
			widths[in.Topic] = unknownPartitions
		}
	}
	return widths
}

// writers lists the stages whose records are written to a topic.
func (p *Plan) writers(topic string) []int {
	var stages []int
	add := func(targets []Target, stage int) {
		for _, t := range targets {
			if t.Sink && p.Sinks[t.Index].Topic == topic && !slices.Contains(stages, stage) {
				stages = append(stages, stage)
			}
		}
	}
	for _, in := range p.Inputs {
		add(in.Next, in.Stage)
	}
	for _, b := range p.Bolts {
		add(slices.Concat(b.Next...), b.Stage)
	}
	return stages
}

// tasks is how many partitions the topics of a stateful stage get if none of them is there or declared. What other
// stages write decides only if the stage reads nothing else.
func (p *Plan) tasks(stage int, written map[string]int) int {
	asked, most, outside := 0, 0, false
	for _, i := range p.Stages[stage].Inputs {
		in := p.Inputs[i]
		asked, most = max(asked, in.asked), max(most, written[in.Topic])
		outside = outside || !in.Repartition && in.Name != ""
	}
	switch {
	case asked > 0:
		return asked
	case outside || most == 0:
		return unknownPartitions
	}
	return most
}
