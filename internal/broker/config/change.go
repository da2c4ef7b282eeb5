package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A World is what there is to be described and changed. The caller holds whatever lock keeps it still.
type World struct {
	Node    int32 // number of this node
	Sources Sources
	// Topic returns the settings of a topic, false if there is none of this name. A topic without settings of its own has an
	// empty map or nil.
	Topic func(name string) (map[string]string, bool)
}

// A Target says whose settings a Change replaces.
type Target int

// The targets of changes.
const (
	Nothing       Target = iota // there is nothing to do
	TopicSettings               // Change.Topic
	NodeSettings                // Sources.Node
	AllSettings                 // Sources.Cluster
)

// A Change is what an accepted request asks for: the settings that take the place of all those the target has.
type Change struct {
	Target Target
	Topic  string
	Set    map[string]string
}

// FromCreate reads and checks the settings of a topic that is to be made.
func FromCreate(asked []kmsg.CreateTopicsRequestTopicConfig) (map[string]string, error) {
	set := make(map[string]string, len(asked))
	for _, c := range asked {
		if err := put(set, c.Name, c.Value); err != nil {
			return nil, err
		}
	}
	return set, CheckTopic(set)
}

func put(set map[string]string, name string, value *string) error {
	if value == nil {
		return refuse(kerr.InvalidConfig, "set %q: null is not a value", short(name))
	}
	if _, twice := set[name]; twice {
		return refuse(kerr.InvalidRequest, "set %q: it is given twice", short(name))
	}
	set[name] = strings.TrimSpace(*value)
	return nil
}

// Alter is what AlterConfigs asks of one resource: the settings given are all that remain.
func (w World) Alter(r kmsg.AlterConfigsRequestResource) (Change, error) {
	before, change, err := w.target(r.ResourceType, r.ResourceName)
	if err != nil {
		return Change{}, err
	}
	change.Set = make(map[string]string, len(r.Configs))
	for _, c := range r.Configs {
		if err := put(change.Set, c.Name, c.Value); err != nil {
			return Change{}, err
		}
	}
	return w.checked(change, before)
}

// Incremental is what IncrementalAlterConfigs asks of one resource: each setting is set, put back to its default, or, when it is
// a list, has words added or taken away.
func (w World) Incremental(r kmsg.IncrementalAlterConfigsRequestResource) (Change, error) {
	before, change, err := w.target(r.ResourceType, r.ResourceName)
	if err != nil {
		return Change{}, err
	}
	change.Set = maps.Clone(before)
	if change.Set == nil {
		change.Set = map[string]string{}
	}
	seen := map[string]bool{}
	for _, c := range r.Configs {
		if seen[c.Name] {
			return Change{}, refuse(kerr.InvalidRequest, "change %q: it is given twice", short(c.Name))
		}
		seen[c.Name] = true
		if err := w.step(change, c); err != nil {
			return Change{}, err
		}
	}
	return w.checked(change, before)
}

func (w World) step(change Change, c kmsg.IncrementalAlterConfigsRequestResourceConfig) error {
	if c.Op != kmsg.IncrementalAlterConfigOpDelete && c.Value == nil {
		return refuse(kerr.InvalidConfig, "set %q: null is not a value", short(c.Name))
	}
	switch c.Op {
	case kmsg.IncrementalAlterConfigOpSet:
		change.Set[c.Name] = strings.TrimSpace(*c.Value)
	case kmsg.IncrementalAlterConfigOpDelete:
		if _, ok := w.definitions(change)[c.Name]; !ok {
			return &InvalidError{Problems: []Problem{unknown(c.Name, w.definitions(change))}}
		}
		delete(change.Set, c.Name)
	case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
		return w.changeList(change, c)
	default:
		return refuse(kerr.InvalidRequest, "change %q: there is no operation %d", short(c.Name), c.Op)
	}
	return nil
}

func (w World) changeList(change Change, c kmsg.IncrementalAlterConfigsRequestResourceConfig) error {
	d, ok := w.definitions(change)[c.Name]
	if !ok {
		return &InvalidError{Problems: []Problem{unknown(c.Name, w.definitions(change))}}
	}
	if d.Type != kmsg.ConfigTypeList {
		return refuse(kerr.InvalidConfig, "change %q: it is not a list, so words can be neither added nor taken away", c.Name)
	}
	words, given := list(w.now(change, d)), list(*c.Value)
	words = slices.DeleteFunc(words, func(have string) bool { return slices.Contains(given, have) })
	if c.Op == kmsg.IncrementalAlterConfigOpAppend {
		words = append(words, given...)
	}
	change.Set[c.Name] = strings.Join(words, ",")
	return nil
}

// now is the value that counts, with what the change has done to it so far.
func (w World) now(change Change, d Definition) string {
	if value, ok := change.Set[d.Name]; ok {
		return value
	}
	if change.Target == TopicSettings {
		return w.Sources.find(d, map[string]string{}, topicDefinitions())[0].value
	}
	return w.Sources.find(d, nil, brokerDefinitions())[0].value
}

func (w World) definitions(c Change) map[string]Definition {
	if c.Target == TopicSettings {
		return topicDefinitions()
	}
	return brokerDefinitions()
}

// target finds what a resource has now.
func (w World) target(kind kmsg.ConfigResourceType, name string) (map[string]string, Change, error) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		set, ok := w.Topic(name)
		if !ok {
			return nil, Change{}, refuse(kerr.UnknownTopicOrPartition, "find topic %q: there is none", short(name))
		}
		return set, Change{Target: TopicSettings, Topic: name}, nil
	case kmsg.ConfigResourceTypeBroker:
		if name == "" {
			return w.Sources.Cluster, Change{Target: AllSettings}, nil
		}
		if err := w.thisNode(name); err != nil {
			return nil, Change{}, err
		}
		return w.Sources.Node, Change{Target: NodeSettings}, nil
	case kmsg.ConfigResourceTypeBrokerLogger:
		return nil, Change{}, refuse(kerr.InvalidRequest, "change loggers of broker %q: this broker has none that a request can change", short(name))
	case kmsg.ConfigResourceTypeClientMetrics:
		return nil, Change{}, refuse(kerr.InvalidRequest, "change client metrics %q: this broker collects none from clients", short(name))
	case kmsg.ConfigResourceTypeGroupConfig:
		return nil, Change{}, refuse(kerr.InvalidRequest, "change group %q: groups have no settings of their own here", short(name))
	default:
		return nil, Change{}, refuse(kerr.InvalidRequest, "change settings: there is no kind of resource %d", kind)
	}
}

func (w World) thisNode(name string) error {
	if n, err := strconv.ParseInt(name, 10, 32); err != nil || int32(n) != w.Node {
		return refuse(kerr.InvalidRequest, "find broker %q: the only one is %d", short(name), w.Node)
	}
	return nil
}

// checked is the change if it may be.
func (w World) checked(c Change, before map[string]string) (Change, error) {
	if c.Target == TopicSettings {
		return c, CheckTopic(c.Set)
	}
	if err := CheckBroker(c.Set); err != nil {
		return Change{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		if brokerDefinitions()[name].ReadOnly && before[name] != c.Set[name] {
			return Change{}, refuse(kerr.InvalidRequest, "set %q: it can be changed only where the broker is started", name)
		}
	}
	return c, nil
}
