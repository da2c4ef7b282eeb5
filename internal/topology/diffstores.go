package topology

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ravenswood.dev/internal/manifest"
)

// diffStores says what would happen to the stores of the plans, and to those that these topologies no longer have.
func diffStores(plans []*Plan, topics []TopicChange, observed Observed) []StoreChange {
	partitions := map[string]int{}
	for _, t := range topics {
		partitions[t.Name] = t.Partitions
	}
	changes := []StoreChange{}
	for _, p := range plans {
		wanted := p.Kept(func(topic string) int { return partitions[topic] })
		for _, key := range sortedKeys(wanted) {
			change := diffStore(wanted[key], key, observed)
			if missed := p.missed(change, observed.Stores); len(missed) > 0 {
				change = withoutRows(change, missed)
			}
			changes = append(changes, change)
		}
		for _, key := range sortedKeys(observed.Stores) {
			if was := observed.Stores[key]; was.Topology == p.Name && wanted[key].Store == "" {
				changes = append(changes, leftStore(was, observed))
			}
		}
	}
	slices.SortStableFunc(changes, func(a, b StoreChange) int {
		return cmp.Or(cmp.Compare(a.Topology, b.Topology), cmp.Compare(a.Name, b.Name))
	})
	return changes
}

func changeOf(k Kept, action Action, observed Observed) StoreChange {
	id := k.Identity
	return StoreChange{Name: k.Store, Topology: k.Topology, Stage: k.Stage, Action: action, Kind: id.Kind, Memory: k.Memory,
		Changelog: id.Changelog, Source: k.Source, Records: observed.Topics[id.Changelog].Records, Partitions: id.Partitions}
}

func diffStore(want Kept, key string, observed Observed) StoreChange {
	was, known := observed.Stores[key]
	change := changeOf(want, ActionUnchanged, observed)
	_, there := observed.Topics[change.Changelog]
	different := was.Identity.Differences(want.Identity)
	switch {
	case !known:
		_, ran := observed.Groups[groupPrefix+change.Topology]
		return begins(change, there, ran)
	case want.Source && was.Source && sameBolt(was.Identity, want.Identity) && len(different) > 0:
		return rebuilt(change, "its topic is another one than before: "+strings.Join(different, "; "))
	case len(different) > 0:
		return foreign(change, different)
	case change.Changelog == "":
		change.Message = "it has no changelog: what it holds is lost when its task moves"
	case !there && len(observed.Topics) > 0:
		change.Action, change.Message = ActionCreate, "its changelog is gone, so it begins empty"
	case want.Memory:
		return rebuilt(change, "it is kept in memory, so every start reads it")
	case was.Memory:
		return rebuilt(change, "it was kept in memory")
	case was.Stage != want.Stage:
		return rebuilt(change, fmt.Sprintf("its stage was called %q", was.Stage))
	}
	return change
}

// sameBolt says whether two tables are made of their topics in the same way, so that either topic gives all there is.
func sameBolt(a, b Identity) bool {
	return len(Identity{Kind: a.Kind, Component: a.Component, Settings: a.Settings}.Differences(
		Identity{Kind: b.Kind, Component: b.Component, Settings: b.Settings})) == 0
}

// begins is a store nobody knows of yet.
func begins(change StoreChange, there, ran bool) StoreChange {
	change.Action = ActionCreate
	switch {
	case change.Source:
		change = rebuilt(change, "it is made of its topic")
		change.Action = ActionCreate
	case there:
		change.Message = "its changelog is there already and is read"
	case ran:
		change.Message = "it begins empty: only records that are still to come count"
	default:
		change.Message = "it begins empty"
	}
	return change
}

// missed lists the tables that are kept already and whose changes come into a store that begins empty. What a table
// holds is never sent again, so a join by foreign key or an aggregate that is added later knows nothing of those rows.
func (p *Plan) missed(change StoreChange, kept map[string]Kept) (tables []string) {
	i := slices.IndexFunc(p.Bolts, func(b Bolt) bool { return b.Name == p.boltOf(change.Name) })
	if change.Action != ActionCreate || change.Source || i < 0 {
		return nil
	}
	for _, name := range p.origins[i].rows {
		if _, known := kept[KeptKey(p.Name, name)]; known {
			tables = append(tables, name)
		}
	}
	return tables
}

// boltOf is the bolt that keeps a store.
func (p *Plan) boltOf(name string) string {
	for _, st := range p.Stages {
		for _, s := range st.Stores {
			if s.Name == name {
				return s.Bolt
			}
		}
	}
	return ""
}

// withoutRows is a store that begins behind tables that have rows already.
func withoutRows(change StoreChange, tables []string) StoreChange {
	change.Message = fmt.Sprintf("it begins empty: rows that %s holds already come into it only when they change", list(tables))
	var resets []string
	for _, t := range tables {
		resets = append(resets, "`"+ResetCommand(change.Topology, t)+"`")
	}
	change.Hint = fmt.Sprintf("to have all rows in it, first run %s: the rows are read again, and so are all results of them", strings.Join(resets, " and "))
	return change
}

func list(tables []string) string {
	if len(tables) == 1 {
		return fmt.Sprintf("table %q", tables[0])
	}
	var quoted []string
	for _, t := range tables {
		quoted = append(quoted, fmt.Sprintf("%q", t))
	}
	return "any of the tables " + strings.Join(quoted, ", ")
}

// WithoutRows lists the stores of a plan that begin empty behind tables that are kept already; each says what that means.
func WithoutRows(p *Plan, kept map[string]Kept) []StoreChange {
	var all []StoreChange
	for _, k := range p.Kept(nil) {
		change := StoreChange{Name: k.Store, Topology: p.Name, Stage: k.Stage, Action: ActionCreate, Source: k.Source}
		if _, known := kept[KeptKey(p.Name, k.Store)]; known {
			continue
		}
		if missed := p.missed(change, kept); len(missed) > 0 {
			all = append(all, withoutRows(change, missed))
		}
	}
	slices.SortFunc(all, func(a, b StoreChange) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// rebuilt is a store that is read from its changelog.
func rebuilt(change StoreChange, why string) StoreChange {
	change.Action, change.Message = ActionRebuild, why
	if change.Records > 0 {
		change.Seconds = int64(restoreTime(change.Records).Seconds())
	}
	return change
}

// foreign is a store that must not go on with what is there.
func foreign(change StoreChange, different []string) StoreChange {
	change.Action = ActionConflict
	change.Message = fmt.Sprintf("plan store %q of topology %q: what is there was made in another way: %s", change.Name, change.Topology, strings.Join(different, "; "))
	change.Hint = fmt.Sprintf("rename the bolt to begin a new store beside the old one, or empty this one by `%s`", ResetCommand(change.Topology, change.Name))
	return change
}

// leftStore is a store that its topology no longer has.
func leftStore(was Kept, observed Observed) StoreChange {
	change := changeOf(was, ActionLeave, observed)
	change.Message = "no bolt keeps it any more"
	if _, there := observed.Topics[change.Changelog]; there && !was.Source {
		change.Message += fmt.Sprintf("; topic %q is left, delete it when you are sure", change.Changelog)
	}
	return change
}

// CheckStores says whether the stores of a plan may go on with what is there. The error names what to do; a
// *ForeignError is all it can be. Partitions gives what the cluster has.
func CheckStores(p *Plan, kept map[string]Kept, partitions func(topic string) int) error {
	wanted := p.Kept(partitions)
	for _, key := range sortedKeys(wanted) {
		was, known := kept[key]
		if !known {
			continue
		}
		if change := diffStore(wanted[key], key, Observed{Stores: map[string]Kept{key: was}}); change.Action == ActionConflict {
			return &ForeignError{Store: change.Name, Message: change.Message, Hint: change.Hint}
		}
	}
	return nil
}

// ForeignError says that a store would go on with what another one left.
type ForeignError struct {
	Store   string
	Message string
	Hint    string // what to do, one sentence
}

func (e *ForeignError) Error() string { return e.Message }

// AsIfRun is what a cluster would have on which nothing but these plans had run.
func AsIfRun(plans []*Plan, set *manifest.Set) Observed {
	seen := Observed{Topics: map[string]ObservedTopic{}, Groups: map[string]string{}, Stores: map[string]Kept{}}
	changes := Diff(plans, set, Observed{})
	partitions := map[string]int{}
	for _, t := range changes.Topics {
		seen.Topics[t.Name] = ObservedTopic{Partitions: t.Partitions, Config: TopicConfig(t.Spec)}
		partitions[t.Name] = t.Partitions
	}
	for _, g := range changes.Groups {
		seen.Groups[g.Name] = ""
	}
	for _, p := range plans {
		maps.Copy(seen.Stores, p.Kept(func(topic string) int { return partitions[topic] }))
	}
	return seen
}

// ownSuffixes end the names of topics that only stages have; others are seldom left behind.
var ownSuffixes = []string{".repartition", ".handover", changelogSuffix}

// leftTopics finds topics between stages, and changelogs, that these topologies no longer need.
func leftTopics(plans []*Plan, wishes map[string]*wish, observed Observed) []TopicChange {
	var changes []TopicChange
	for _, name := range sortedKeys(observed.Topics) {
		p := ownerOf(plans, name)
		if _, needed := wishes[name]; needed || p == nil {
			continue
		}
		have := observed.Topics[name]
		change := TopicChange{Name: name, Action: ActionLeave, Partitions: have.Partitions, Wanted: have.Partitions, Internal: true, Topologies: []string{p.Name}}
		change.Message = "no stage needs it any more; delete it when you are sure"
		if !strings.HasSuffix(name, changelogSuffix) {
			change.Message = "no stage reads it any more: records that are on their way in it are lost to the topology; let it drain before the change"
		}
		changes = append(changes, change)
	}
	return changes
}

// ownerOf is the plan whose stages made a topic. What stands between the topology's name and the end is the name of a
// node, which has no dots.
func ownerOf(plans []*Plan, topic string) *Plan {
	for _, p := range plans {
		rest, own := strings.CutPrefix(topic, p.Name+".")
		for _, suffix := range ownSuffixes {
			if name, ok := strings.CutSuffix(rest, suffix); own && ok && name != "" && !strings.Contains(name, ".") {
				return p
			}
		}
	}
	return nil
}

// stages lists the stages of a plan that has state or topics between bolts.
func (p *Plan) stages() []StageChange {
	var changes []StageChange
	kept := len(p.Globals) > 0
	for n, st := range p.Stages {
		kept = kept || st.Stateful
		change := StageChange{Name: st.Name, Tasks: st.Partitions}
		for _, i := range st.Inputs {
			if in := p.Inputs[i]; in.Name != "" {
				change.Inputs = append(change.Inputs, in.Topic)
			}
		}
		for _, i := range st.Bolts {
			change.Bolts = append(change.Bolts, p.Bolts[i].Name)
			if p.Bolts[i].Late {
				change.Late = append(change.Late, p.Bolts[i].Name)
			}
		}
		for _, s := range st.Stores {
			change.Stores = append(change.Stores, s.Name)
		}
		for _, s := range p.Sinks {
			if s.Repartition && slices.Contains(p.writers(s.Topic), n) {
				change.Writes, kept = append(change.Writes, s.Topic), true
			}
		}
		changes = append(changes, change)
	}
	if !kept {
		return nil
	}
	return changes
}
