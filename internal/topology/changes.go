package topology

import "ravenswood.dev/api"

// Observed is what a cluster has now.
type Observed struct {
	Topics map[string]ObservedTopic
	Groups map[string]string // state by name
	Stores map[string]Kept   // by KeptKey, as the topic of cluster state has them
}

// ObservedTopic is a topic that exists.
type ObservedTopic struct {
	Partitions int
	Config     map[string]string // by Kafka names; a setting that is missing here is taken to be as wanted
	Records    int64             // about how many it holds; 0: not known
}

// Action is what would happen to a thing.
type Action string

// The actions.
const (
	ActionCreate    Action = "create"    // it does not exist
	ActionChange    Action = "change"    // its settings differ from those wanted
	ActionConflict  Action = "conflict"  // it exists in a way that must not be changed: nothing may run
	ActionUnchanged Action = "unchanged" // it is as wanted
	ActionUse       Action = "use"       // it exists or runs already and is not ours to change
	ActionStart     Action = "start"     // it is started
	ActionRebuild   Action = "rebuild"   // a store is read anew from its changelog
	ActionLeave     Action = "leave"     // nothing needs it any more; it is left for a person to delete
)

// Changes is what running the resources would do, in the order in which it would be done.
type Changes struct {
	Topics     []TopicChange    `json:"topics"`
	Groups     []GroupChange    `json:"groups"`
	Stores     []StoreChange    `json:"stores"`
	Services   []VersionChange  `json:"services"`
	Routes     []RouteChange    `json:"routes"`
	Topologies []TopologyChange `json:"topologies"`
}

// TopicChange is what would happen to a topic.
type TopicChange struct {
	Name       string         `json:"name"`
	Action     Action         `json:"action"`
	Partitions int            `json:"partitions"`           // it has, or will have
	Wanted     int            `json:"wantedPartitions"`     // differs from Partitions in a conflict
	Internal   bool           `json:"internal"`             // belongs to a topology
	Spec       api.TopicSpec  `json:"-"`                    // to create it with
	Config     []ConfigChange `json:"config,omitempty"`     // to change
	Topologies []string       `json:"topologies,omitempty"` // that need it
	Message    string         `json:"message,omitempty"`    // of a conflict
	Hint       string         `json:"hint,omitempty"`       // of a conflict: what to do
}

// ConfigChange is a setting that differs.
type ConfigChange struct {
	Key  string `json:"key"`
	From string `json:"from"`
	To   string `json:"to"`
}

// GroupChange is a consumer group.
type GroupChange struct {
	Name     string `json:"name"`
	Action   Action `json:"action"` // create or use
	Topology string `json:"topology"`
	Member   string `json:"member"`          // who reads: "workers", or the name of a spout or sink
	State    string `json:"state,omitempty"` // of a group that exists
}

// VersionChange is a version of a service.
type VersionChange struct {
	Service string   `json:"service"`
	Version string   `json:"version"`
	Action  Action   `json:"action"` // start a process, or use what runs
	URLs    []string `json:"urls,omitempty"`
	Command []string `json:"command,omitempty"`
}

// RouteChange is how calls to a service pick a version.
type RouteChange struct {
	Service string `json:"service"`
	Route   string `json:"route,omitempty"` // the resource's name; empty for a service with one version and no route
	Summary string `json:"summary"`
}

// TopologyChange is a topology that is started.
type TopologyChange struct {
	Name     string       `json:"name"`
	Action   Action       `json:"action"`
	Team     string       `json:"team,omitempty"`
	Delivery api.Delivery `json:"delivery"`
	Workers  int          `json:"workers"`
	Steps    []Step       `json:"steps"`

	Stages   []StageChange `json:"stages,omitempty"` // upstream first; none if nothing is kept and no topic stands between bolts
	Standbys int           `json:"standbys,omitempty"`
}

// StageChange is a stage of a topology that is started.
type StageChange struct {
	Name   string   `json:"name"`
	Tasks  int      `json:"tasks,omitempty"` // 0: it keeps no state, every partition of every input is a task
	Inputs []string `json:"inputs"`          // topics
	Bolts  []string `json:"bolts,omitempty"`
	Late   []string `json:"late,omitempty"` // those of the bolts that work in the order of the task
	Stores []string `json:"stores,omitempty"`
	Writes []string `json:"writes,omitempty"` // topics through which records go on to other stages
}

// StoreChange is what would happen to a store.
type StoreChange struct {
	Name       string `json:"name"`
	Topology   string `json:"topology"`
	Stage      string `json:"stage"`
	Action     Action `json:"action"` // create, unchanged, rebuild, conflict or leave
	Kind       string `json:"kind"`
	Memory     bool   `json:"memory,omitempty"`
	Changelog  string `json:"changelog,omitempty"`
	Source     bool   `json:"source,omitempty"`  // the changelog is the topic the table is made of
	Records    int64  `json:"records,omitempty"` // of the changelog; 0: not known
	Seconds    int64  `json:"seconds,omitempty"` // that a rebuild takes about; 0: not known
	Message    string `json:"message,omitempty"` // why
	Hint       string `json:"hint,omitempty"`    // of a conflict, or of rows that it will not have: what to do
	Partitions int    `json:"partitions"`
}

// Step is one node of a topology and what follows it.
type Step struct {
	Name string   `json:"name"`
	What string   `json:"what"`
	Next []string `json:"next,omitempty"`
}

// Foreign lists the stores that would go on with what another store left: nothing may run before that is settled.
func (c Changes) Foreign() []StoreChange {
	var foreign []StoreChange
	for _, s := range c.Stores {
		if s.Action == ActionConflict {
			foreign = append(foreign, s)
		}
	}
	return foreign
}

// Conflicts lists the topics that keep the plans from running.
func (c Changes) Conflicts() []TopicChange {
	var conflicts []TopicChange
	for _, t := range c.Topics {
		if t.Action == ActionConflict {
			conflicts = append(conflicts, t)
		}
	}
	return conflicts
}
