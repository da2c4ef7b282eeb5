package topology

import (
	"fmt"
	"slices"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/manifest"
)

// The codes of problems that Build finds, beyond those of package manifest.
const (
	CodeDuplicateName    = "duplicate-name"     // two nodes of a topology, or two versions, with one name
	CodeUnknownSource    = "unknown-source"     // from names nothing that gives records
	CodeDuplicateSource  = "duplicate-source"   // from names the same output twice
	CodeCycle            = "cycle"              // records would go round for ever
	CodeUnfedBolt        = "unfed-bolt"         // a bolt or sink without from, in a set that was not read from files
	CodeUnusedSpout      = "unused-spout"       // nobody takes the spout's records
	CodeDroppedOutput    = "dropped-output"     // nobody takes what a bolt emits
	CodeUnknownService   = "unknown-service"    // a service that is not declared
	CodeUnknownVersion   = "unknown-version"    // a version its service does not have
	CodeRouteMissing     = "route-missing"      // a service with several versions and no route
	CodeDuplicateRoute   = "duplicate-route"    // two routes of one service
	CodeAddressInvalid   = "address-invalid"    // a version without exactly one of url, urls and exec, or a bad URL
	CodePathInvalid      = "path-invalid"       // a path of a field that cannot be read
	CodeMatchInvalid     = "match-invalid"      // a condition without exactly one subject and one operator
	CodeSplitInvalid     = "split-invalid"      // shares above 100 %
	CodeJSONInvalid      = "json-invalid"       // a fallback answer that is not JSON
	CodeTopicNameInvalid = "topic-name-invalid" // a name Kafka would refuse
	CodeTopicReadTwice   = "topic-read-twice"   // two spouts of a topology on one topic
	CodeTopicUndeclared  = "topic-undeclared"   // close to the name of a declared topic, but not it
	CodeInternalTopic    = "internal-topic"     // a topology's own topic is written, or declared in a way it cannot work with
	CodeOwnOutput        = "own-output"         // a topology reads what it writes
	CodeGroupConflict    = "group-conflict"     // two topologies would share a consumer group
	CodeMixedFormats     = "mixed-formats"      // records of several formats reach an outside sink
	CodeLimitInvalid     = "limit-invalid"      // limits that contradict each other
	CodeUnknownTable     = "unknown-table"      // a bolt reads a table or store that there is not
	CodeJoinInputs       = "join-inputs"        // a join, or a table, is fed by another number of sources than it has sides
	CodeGlobalTable      = "global-table"       // a global table that is not fed by a topic alone, or that feeds something; one that would have to be global
	CodeTableKind        = "table-kind"         // a bolt reads a table that is kept in another way than it needs: with or without a history
	CodeCoPartitioning   = "co-partitioning"    // topics that are worked on together have different numbers of partitions
	CodeTableForgets     = "table-forgets"      // a table is made of a topic that forgets its records
	CodeOrderLost        = "order-lost"         // the records of files lose their order of time before a bolt that goes by it
	CodeSinkForgets      = "sink-forgets"       // a topic would delete results for their age as soon as they are written
)

// Build checks everything that can be known without running and plans the topologies. A topology with an error has no
// plan; run nothing if any of the problems is an error.
func Build(set *manifest.Set, reg *component.Registry) ([]*Plan, []manifest.Problem) {
	c := &checker{set: set}
	for _, t := range set.Topics {
		c.topic(t)
	}
	for _, s := range set.Services {
		c.service(s)
	}
	c.routes()
	var plans []*Plan
	for _, t := range set.Topologies {
		if p := c.topology(t, reg); p != nil {
			plans = append(plans, p)
		}
	}
	return c.between(plans), manifest.Sort(c.problems)
}

// checker gathers problems.
type checker struct {
	set      *manifest.Set
	problems []manifest.Problem
	errors   int
}

// at is a place in a resource.
type at struct{ kind, name, path string }

func (a at) in(format string, args ...any) at {
	path := fmt.Sprintf(format, args...)
	if a.path != "" {
		path = a.path + "." + path
	}
	return at{a.kind, a.name, path}
}

func (c *checker) errorf(a at, code, hint, format string, args ...any) {
	c.errors++
	c.add(a, manifest.SeverityError, code, hint, fmt.Sprintf(format, args...))
}

func (c *checker) warnf(a at, code, hint, format string, args ...any) {
	c.add(a, manifest.SeverityWarning, code, hint, fmt.Sprintf(format, args...))
}

// echoes are what a resource that could not be read makes others look like. They are left out then: they would hide the
// one mistake to mend, and nothing may run anyway.
var echoes = []string{CodeUnknownService, CodeRouteMissing, CodeTopicUndeclared}

func (c *checker) add(a at, severity manifest.Severity, code, hint, message string) {
	if c.set.Incomplete && slices.Contains(echoes, code) {
		return
	}
	file, line, column := c.set.Locate(a.kind, a.name, a.path)
	c.problems = append(c.problems, manifest.Problem{File: file, Line: line, Column: column, Path: a.path,
		Code: code, Severity: severity, Message: message, Hint: hint})
}

// topology plans one topology, nil if it has an error.
func (c *checker) topology(t manifest.Topology, reg *component.Registry) *Plan {
	before := c.errors
	here := at{kind: api.KindTopology, name: t.Metadata.Name}
	c.limits(here, t.Spec)
	g := c.graph(here, t, reg)
	if t.Broken || c.errors > before {
		return nil
	}
	p := newPlan(t)
	c.cut(here, g)
	c.wire(here, p, g)
	c.topics(here, p, g)
	if c.errors > before {
		return nil
	}
	return p
}

func newPlan(t manifest.Topology) *Plan {
	name := t.Metadata.Name
	dead, replay := DeadLetterTopics(name)
	return &Plan{
		Name: name, Team: t.Metadata.Team, Dir: t.Dir,
		Delivery: t.Spec.Delivery, Workers: t.Spec.Workers,
		Commit: time.Duration(t.Spec.Commit), Drain: time.Duration(t.Spec.DrainTimeout),
		Limits: t.Spec.Limits, Retry: t.Spec.Retry,
		Group:       groupPrefix + name,
		Standbys:    t.Spec.Standbys,
		DeadLetters: dead, Parked: name + ".parked", Replay: replay,
	}
}

// limits checks numbers that the engine could not work with. A topology that is not read completely may lack them.
func (c *checker) limits(here at, s api.TopologySpec) {
	spec := here.in("spec")
	need := func(ok bool, path, want string, got any) {
		if !ok {
			c.errorf(spec.in("%s", path), CodeLimitInvalid, "", "read spec.%s \"%v\": must be %s", path, got, want)
		}
	}
	l, r := s.Limits, s.Retry
	need(s.Workers >= 1 && s.Workers <= 64, "workers", "from 1 to 64", s.Workers)
	need(s.Commit >= api.Duration(time.Millisecond) && s.Commit <= api.Duration(30*time.Second), "commitInterval", "from 1ms to 30s", s.Commit)
	need(s.Standbys >= 0 && s.Standbys <= 16, "standbys", "from 0 to 16", s.Standbys)
	need(s.DrainTimeout <= api.Duration(time.Hour), "drainTimeout", "at most 1h", s.DrainTimeout)
	need(l.Records >= 1, "limits.records", "at least 1", l.Records)
	need(l.Bytes >= 1, "limits.bytes", "at least 1", l.Bytes)
	need(l.RecordBytes >= 1, "limits.recordBytes", "at least 1", l.RecordBytes)
	need(l.RecordBytes <= l.Bytes, "limits.recordBytes", fmt.Sprintf("at most limits.bytes (%s)", l.Bytes), l.RecordBytes)
	need(l.PartitionRecords >= 1, "limits.partitionRecords", "at least 1", l.PartitionRecords)
	need(l.PartitionRecords <= l.Records, "limits.partitionRecords", fmt.Sprintf("at most limits.records (%d)", l.Records), l.PartitionRecords)
	need(l.Parked >= 1, "limits.parked", "at least 1; to park nothing set retry.park to 0s", l.Parked)
	need(r.Backoff >= api.Duration(time.Millisecond), "retry.backoff", "at least 1ms", r.Backoff)
	need(r.MaxBackoff >= r.Backoff, "retry.maxBackoff", fmt.Sprintf("at least retry.backoff (%s)", r.Backoff), r.MaxBackoff)
	need(r.Park == 0 || r.ParkEvery >= api.Duration(time.Millisecond), "retry.parkEvery", "at least 1ms", r.ParkEvery)
}

// topic checks a Topic resource.
func (c *checker) topic(t manifest.Topic) {
	here := at{kind: api.KindTopic, name: t.Metadata.Name}
	if t.Broken {
		return
	}
	if t.Spec.Partitions < 1 || t.Spec.Partitions > 10000 {
		c.errorf(here.in("spec.partitions"), CodeLimitInvalid, "", "read spec.partitions \"%d\": must be from 1 to 10000", t.Spec.Partitions)
	}
	if t.Spec.Replicas < 0 || t.Spec.Replicas > 1000 {
		c.errorf(here.in("spec.replicas"), CodeLimitInvalid, "", "read spec.replicas \"%d\": must be from 0, the cluster's default, to 1000", t.Spec.Replicas)
	}
	own := TopicConfig(api.TopicSpec{Retention: t.Spec.Retention, Cleanup: t.Spec.Cleanup})
	for _, key := range sortedKeys(t.Spec.Config) {
		if _, twice := own[key]; twice {
			c.errorf(here.in("spec.config.%s", key), manifest.CodeDuplicateKey, "use spec.retention and spec.cleanup",
				"read spec.config: %q has a key of its own in spec", key)
		}
	}
}

// between checks what topologies do to one another and returns the plans with which nothing is wrong.
func (c *checker) between(plans []*Plan) []*Plan {
	groups, internal := map[string]string{}, map[string]string{}
	var good []*Plan
	for _, p := range plans {
		before := c.errors
		c.ownGroups(p, groups)
		c.ownTopics(p, internal)
		if c.errors == before {
			good = append(good, p)
		}
	}
	return slices.DeleteFunc(good, func(p *Plan) bool {
		before := c.errors
		c.foreignTopics(p, internal)
		return c.errors > before
	})
}

// ownGroups claims a plan's consumer groups. Names with dots in them can make those of two topologies the same.
func (c *checker) ownGroups(p *Plan, taken map[string]string) {
	for _, g := range p.groups() {
		if owner, clash := taken[g]; clash && owner != p.Name {
			c.errorf(at{api.KindTopology, p.Name, "metadata.name"}, CodeGroupConflict, "rename one of the two topologies, or the spout or sink",
				"plan topology %q: consumer group %q is that of topology %q too", p.Name, g, owner)
		}
		taken[g] = p.Name
	}
}

// ownTopics claims a plan's internal topics.
func (c *checker) ownTopics(p *Plan, taken map[string]string) {
	for _, t := range p.Topics {
		if !t.Internal {
			continue
		}
		if owner, clash := taken[t.Name]; clash {
			c.errorf(at{api.KindTopology, p.Name, "metadata.name"}, CodeInternalTopic, "rename one of the two topologies",
				"plan topology %q: its topic %q is that of topology %q too", p.Name, t.Name, owner)
		}
		taken[t.Name] = p.Name
	}
}

// foreignTopics refuses sinks that write what a topology keeps for itself. Reading it is fine.
func (c *checker) foreignTopics(p *Plan, internal map[string]string) {
	for _, s := range p.Sinks {
		owner, taken := internal[s.Topic]
		if s.Internal || !taken {
			continue
		}
		place := at{kind: api.KindTopology, name: p.Name}.in("spec.sinks.%s.topic.name", s.Name)
		c.errorf(place, CodeInternalTopic, "write to a topic of your own", "plan sink %q: topic %q belongs to topology %q itself", s.Name, s.Topic, owner)
	}
}

// groups lists the consumer groups of a plan.
func (p *Plan) groups() []string {
	groups := []string{p.Group}
	for _, f := range p.Feeds {
		groups = append(groups, f.Group)
	}
	for _, d := range p.Deliveries {
		groups = append(groups, d.Group)
	}
	slices.Sort(groups)
	return groups
}
