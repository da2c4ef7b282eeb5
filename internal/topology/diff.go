package topology

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/manifest"
)

// Diff says what running the plans and resources would do to what is there now.
func Diff(plans []*Plan, set *manifest.Set, observed Observed) Changes {
	topics := diffTopics(plans, set, observed)
	return Changes{
		Topics:     topics,
		Groups:     diffGroups(plans, observed),
		Stores:     diffStores(plans, topics, observed),
		Services:   versions(set),
		Routes:     routes(set),
		Topologies: topologies(plans),
	}
}

// TopicConfig is a topic's settings by their Kafka names.
func TopicConfig(s api.TopicSpec) map[string]string {
	config := map[string]string{"cleanup.policy": s.Cleanup, "retention.ms": "-1"}
	if s.Retention > 0 {
		config["retention.ms"] = strconv.FormatInt(time.Duration(s.Retention).Milliseconds(), 10)
	}
	maps.Copy(config, s.Config)
	return config
}

// wish is a topic as the plans need it.
type wish struct {
	Topic
	least int // partitions, below which a topology cannot work
	wrong *PartitionsError
	users []string
}

func diffTopics(plans []*Plan, set *manifest.Set, observed Observed) []TopicChange {
	wishes := map[string]*wish{}
	for _, t := range set.Topics {
		wishes[t.Metadata.Name] = &wish{Topic: Topic{Name: t.Metadata.Name, Spec: t.Spec, Declared: true, Open: t.Open}}
	}
	for _, p := range plans {
		p.wish(wishes)
	}
	for range plans { // a topology may read the topics of another that read those of a third
		for _, p := range plans {
			p.grow(wishes, observed)
		}
	}
	changes := []TopicChange{}
	for _, name := range sortedKeys(wishes) {
		have, exists := observed.Topics[name]
		changes = append(changes, diffTopic(*wishes[name], have, exists))
	}
	return append(changes, leftTopics(plans, wishes, observed)...)
}

// wish adds the topics of a plan. What is internal to one topology may be read by another, which knows less of it.
func (p *Plan) wish(wishes map[string]*wish) {
	for _, t := range p.Topics {
		w, known := wishes[t.Name]
		switch {
		case !known:
			w = &wish{Topic: t}
			wishes[t.Name] = w
		case t.Internal && !w.Internal, w.Open != (manifest.TopicOpen{}): // the plan knows what it needs
			w.Topic = t
		}
		w.users = append(w.users, p.Name)
	}
}

// grow gives the topology's own topics as many partitions as what is there asks for: an input that is not declared may
// turn out to have more than the plan could know.
func (p *Plan) grow(wishes map[string]*wish, observed Observed) {
	for n := range p.Stages {
		p.align(n, wishes, observed)
	}
	inputs := 0
	for _, in := range p.Inputs {
		if !p.follows(in.Topic) {
			inputs = max(inputs, wishes[in.Topic].partitions(observed))
		}
	}
	for _, t := range p.Topics {
		w := wishes[t.Name]
		if p.follows(t.Name) {
			w.least = max(w.least, inputs)
		}
		if w.Internal && !w.Declared {
			w.Spec.Partitions = max(w.Spec.Partitions, w.least)
		}
	}
}

// partitions is how many a topic has, or will have.
func (w *wish) partitions(observed Observed) int {
	if have, exists := observed.Topics[w.Name]; exists && !w.saysPartitions() {
		return have.Partitions
	}
	return w.Spec.Partitions
}

// fixed is how many partitions a topic must have because it is declared or there, 0 if that is open.
func (w *wish) fixed(observed Observed) int {
	if _, exists := observed.Topics[w.Name]; exists || w.saysPartitions() {
		return w.partitions(observed)
	}
	return 0
}

// align gives the topics of a stage that are to be made the number of partitions that the stage needs, and finds those
// that are there with another one.
func (p *Plan) align(stage int, wishes map[string]*wish, observed Observed) {
	known := func(topic string) int { return wishes[topic].fixed(observed) }
	written := p.widths(stage, func(topic string) int { return wishes[topic].partitions(observed) })
	for topic, n := range written {
		if known(topic) == 0 {
			wishes[topic].Spec.Partitions = n
		}
	}
	members := p.members(stage)
	_, tasks := decides(members, known)
	if tasks == 0 {
		tasks = p.tasks(stage, written)
	}
	for _, m := range members {
		if known(m.topic) == 0 {
			wishes[m.topic].Spec.Partitions = tasks
		}
	}
	for _, wrong := range p.unlike(stage, known) {
		wishes[wrong.Topic].wrong = wrong
	}
}

// follows says whether records are written to a topic by the number of the partition they were read from.
func (p *Plan) follows(topic string) bool {
	return topic == p.DeadLetters || topic == p.Parked || topic == p.Replay
}

func diffTopic(w wish, have ObservedTopic, exists bool) TopicChange {
	change := TopicChange{Name: w.Name, Action: ActionUnchanged, Partitions: have.Partitions, Wanted: w.Spec.Partitions,
		Internal: w.Internal, Spec: w.Spec, Topologies: w.users}
	switch {
	case !exists:
		change.Action, change.Partitions = ActionCreate, w.Spec.Partitions
	case !w.Declared && !w.Internal && w.wrong == nil:
		change.Action, change.Wanted = ActionUse, have.Partitions // somebody else's: it is taken as it is
		return change
	case !w.saysPartitions() && have.Partitions >= w.least:
		change.Wanted = have.Partitions // our own from an earlier start, and large enough
	}
	switch {
	case w.wrong != nil:
		return unlikeConflict(change, w.wrong)
	case change.Partitions < w.least:
		return tooSmall(change, w.least)
	case change.Partitions != change.Wanted:
		return conflict(change)
	case exists:
		return configured(change, have, w.Open)
	}
	return change
}

// configured compares the settings of a topic that exists with those wanted.
func configured(change TopicChange, have ObservedTopic, open manifest.TopicOpen) TopicChange {
	for key, value := range TopicConfig(change.Spec) {
		if _, further := change.Spec.Config[key]; open.Retention && !further {
			continue
		}
		if now, known := have.Config[key]; known && now != value {
			change.Config = append(change.Config, ConfigChange{Key: key, From: now, To: value})
		}
	}
	if len(change.Config) > 0 {
		slices.SortFunc(change.Config, func(a, b ConfigChange) int { return strings.Compare(a.Key, b.Key) })
		change.Action = ActionChange
	}
	return change
}

// conflict is final: with another partition count keys would move to other partitions and lose their order.
func conflict(change TopicChange) TopicChange {
	change.Action = ActionConflict
	change.Message = fmt.Sprintf("plan topic %q: it has %s, %d are declared", change.Name, count(change.Partitions, "partition"), change.Wanted)
	change.Hint = fmt.Sprintf("declare partitions: %d, or make a topic of another name and move the records there", change.Partitions)
	return change
}

// unlikeConflict is a topic with another number of partitions than those it is worked on together with.
func unlikeConflict(change TopicChange, wrong *PartitionsError) TopicChange {
	change.Action, change.Wanted = ActionConflict, wrong.Others
	change.Message = fmt.Sprintf("plan topic %q: it has %s, topic %q, with which topology %q works on it in stage %q, has %d",
		change.Name, count(wrong.Partitions, "partition"), wrong.Other, wrong.Topology, wrong.Stage, wrong.Others)
	change.Hint = wrong.Hint
	return change
}

// tooSmall is a topology's own topic with fewer partitions than the topics it reads.
func tooSmall(change TopicChange, least int) TopicChange {
	change.Action, change.Wanted = ActionConflict, max(change.Wanted, least)
	change.Message = fmt.Sprintf("plan topic %q: it has %s, its topology reads a topic with %d", change.Name, count(change.Partitions, "partition"), least)
	change.Hint = fmt.Sprintf("it holds records of its topology: grow it to %d partitions with your cluster's tools, or run the topology under another name", least)
	return change
}

func diffGroups(plans []*Plan, observed Observed) []GroupChange {
	changes := []GroupChange{}
	add := func(name, topology, member string) {
		change := GroupChange{Name: name, Action: ActionCreate, Topology: topology, Member: member}
		if state, exists := observed.Groups[name]; exists {
			change.Action, change.State = ActionUse, state
		}
		changes = append(changes, change)
	}
	for _, p := range plans {
		add(p.Group, p.Name, "workers")
		for _, f := range p.Feeds {
			add(f.Group, p.Name, f.Name)
		}
		for _, d := range p.Deliveries {
			add(d.Group, p.Name, d.Name)
		}
	}
	return changes
}

func versions(set *manifest.Set) []VersionChange {
	changes := []VersionChange{}
	for _, s := range set.Services {
		for _, v := range s.Spec.Versions {
			change := VersionChange{Service: s.Metadata.Name, Version: v.Name, Action: ActionUse}
			if len(v.Exec) > 0 {
				change.Action, change.Command = ActionStart, v.Exec
			}
			for _, address := range append(slices.Clone(v.URLs), v.URL) {
				if u, err := url.Parse(address); err == nil && address != "" {
					change.URLs = append(change.URLs, u.Redacted())
				}
			}
			changes = append(changes, change)
		}
	}
	return changes
}

func routes(set *manifest.Set) []RouteChange {
	changes := []RouteChange{}
	for _, s := range set.Services {
		change := RouteChange{Service: s.Metadata.Name}
		if r, ok := set.Route(s.Metadata.Name); ok {
			change.Route, change.Summary = r.Metadata.Name, DescribeRoute(r.Spec)
		} else if len(s.Spec.Versions) == 1 {
			change.Summary = "always " + s.Spec.Versions[0].Name
		}
		changes = append(changes, change)
	}
	return changes
}

// DescribeRoute says in one line how a route decides, in the order in which it does.
func DescribeRoute(r api.RouteSpec) string {
	if r.Switch != "" {
		return "switched to " + r.Switch + " for every call"
	}
	var parts []string
	for i, rule := range r.Rules {
		name := rule.Name
		if name == "" {
			name = strconv.Itoa(i + 1)
		}
		parts = append(parts, "rule "+name+" to "+rule.Version)
	}
	if r.Split != nil {
		parts = append(parts, describeSplit(*r.Split))
	}
	last := "else " + r.Default
	if len(parts) == 0 {
		last = "always " + r.Default
	}
	parts = append(parts, last)
	if r.Mirror != nil {
		parts = append(parts, "mirror "+r.Mirror.Percent.String()+" to "+r.Mirror.Version)
	}
	return strings.Join(parts, ", ")
}

func describeSplit(s api.Split) string {
	var shares []string
	for _, v := range s.Versions {
		shares = append(shares, v.Percent.String()+" to "+v.Version)
	}
	by := "the record's key"
	if s.Key != "" {
		by = s.Key
	}
	return strings.Join(shares, ", ") + " by " + by
}

func topologies(plans []*Plan) []TopologyChange {
	changes := []TopologyChange{}
	for _, p := range plans {
		changes = append(changes, TopologyChange{Name: p.Name, Action: ActionStart, Team: p.Team, Delivery: p.Delivery, Workers: p.Workers, Steps: p.steps(), Stages: p.stages(), Standbys: p.Standbys})
	}
	return changes
}

// steps lists the nodes of a plan from spouts to sinks.
func (p *Plan) steps() []Step {
	var steps []Step
	for _, in := range p.Inputs {
		if in.Name == "" {
			continue
		}
		what := "topic " + in.Topic
		for _, f := range p.Feeds {
			if f.Name == in.Name {
				what = f.Component.Spec.Name
			}
		}
		steps = append(steps, Step{Name: in.Name, What: what, Next: p.names(in.Next)})
	}
	for _, g := range p.Globals {
		steps = append(steps, Step{Name: g.Name, What: "global table of topic " + g.Topic})
	}
	for _, b := range p.Bolts {
		steps = append(steps, Step{Name: b.Name, What: b.Component.Spec.Name, Next: p.names(slices.Concat(b.Next...))})
	}
	for _, s := range p.Sinks {
		if s.Repartition {
			continue // shown where it is read
		}
		what := "topic " + s.Topic
		for _, d := range p.Deliveries {
			if d.Name == s.Name {
				what = d.Component.Spec.Name
			}
		}
		steps = append(steps, Step{Name: s.Name, What: what})
	}
	return steps
}

func (p *Plan) names(targets []Target) []string {
	var names []string
	for _, t := range targets {
		name := p.target(t)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (p *Plan) target(t Target) string {
	if t.Sink {
		return p.Sinks[t.Index].Name
	}
	return p.Bolts[t.Index].Name
}
