package kafka

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/kafka/balance"
)

// taskPlan is one rebalance, on the member that leads: partitions to tasks, balance.Plan, and tasks to partitions again.
type taskPlan struct {
	log      *slog.Logger
	said     int // bytes that the members said of themselves
	members  []taskMember
	stages   []Stage
	standbys int
	partsOf  map[string]int32 // by topic: how many partitions it has
}

// addStages completes the stages: those that only other members know, because they run another version, and one for each
// topic that is in none. Where two descriptions overlap the first counts, and the leader's own comes first.
func (p *taskPlan) addStages() {
	taken, topics := map[string]bool{}, map[string]bool{}
	add := func(s Stage) {
		if !slices.ContainsFunc(s.Topics, func(t string) bool { return taken[t] }) {
			p.stages = append(p.stages, s)
			for _, t := range s.Topics {
				taken[t] = true
			}
		}
	}
	own := p.stages
	p.stages = nil
	for _, s := range own {
		add(s)
	}
	for _, m := range p.members {
		for _, s := range m.Stages {
			add(s)
		}
		maps.Copy(topics, m.topics)
	}
	for _, t := range slices.Sorted(maps.Keys(topics)) {
		add(balance.LooseStage(t))
	}
}

// Balance is part of kgo.GroupMemberBalancer.
func (p *taskPlan) Balance(partitions map[string]int32) kgo.IntoSyncAssignment {
	p.partsOf = partitions
	in := balance.Input{Standbys: p.standbys, Tasks: p.tasks()}
	owns := p.owners()
	for i, m := range p.members {
		in.Members = append(in.Members, balance.Member{
			ID: m.id, Process: m.Process, Runs: p.runs(m), Owns: owns[i], Standby: m.Standby, WarmUp: m.WarmUp, Lags: m.Lags,
		})
	}
	return p.told(balance.Plan(in))
}

func (p *taskPlan) tasks() []Task {
	var tasks []Task
	for _, s := range p.stages {
		for n := range p.width(s) {
			tasks = append(tasks, Task{Stage: s.Name, Partition: n})
		}
	}
	return tasks
}

func (p *taskPlan) width(s Stage) int32 {
	var width int32
	for _, t := range s.Topics {
		width = max(width, p.partsOf[t])
	}
	return width
}

// runs: a member can do a task if it reads all topics of the stage.
func (p *taskPlan) runs(m taskMember) func(stage string) bool {
	can := map[string]bool{}
	for _, s := range p.stages {
		can[s.Name] = !slices.ContainsFunc(s.Topics, func(t string) bool { return !m.topics[t] })
	}
	return func(stage string) bool { return can[stage] }
}

// owners finds the tasks of which each member has partitions. Who claims a partition that another has claimed in a later
// generation has missed that it lost it.
func (p *taskPlan) owners() [][]Task {
	latest := map[TopicPartition]int32{}
	for _, m := range p.members {
		for tp := range m.owned {
			if g, ok := latest[tp]; !ok || m.generation > g {
				latest[tp] = m.generation
			}
		}
	}
	stageOf := map[string]string{}
	for _, s := range p.stages {
		for _, t := range s.Topics {
			stageOf[t] = s.Name
		}
	}
	owns := make([][]Task, len(p.members))
	for i, m := range p.members {
		set := map[Task]bool{}
		for tp := range m.owned {
			if m.generation >= latest[tp] {
				set[Task{Stage: stageOf[tp.Topic], Partition: tp.Partition}] = true
			}
		}
		owns[i] = slices.SortedFunc(maps.Keys(set), Task.Compare)
	}
	return owns
}

// told is what every member is told: its partitions, its duties, and everybody else's unless that is too much.
func (p *taskPlan) told(duties []Duties) syncAssignments {
	var peers []Peer
	for i, m := range p.members {
		peers = append(peers, Peer{ID: m.id, Process: m.Process, Host: m.Host, Duties: stateful(duties[i])})
	}
	slices.SortFunc(peers, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	if len(peers)*len(Assignment{Members: peers}.Append(nil)) > mapBudget {
		peers = nil
	}
	var list syncAssignments
	size := p.said
	for i, m := range p.members {
		a := kmsg.NewConsumerMemberAssignment()
		a.Topics = p.partitions(duties[i].Active)
		a.UserData = Assignment{Duties: stateful(duties[i]), Members: peers}.Append(nil)
		sync := kmsg.NewSyncGroupRequestGroupAssignment()
		sync.MemberID, sync.MemberAssignment = m.member, a.AppendTo(nil)
		list = append(list, sync)
		size += len(sync.MemberAssignment)
	}
	if size > stateMax {
		p.log.Warn("the group is too large: what its members say and are told is kept in one record, and brokers refuse one of this size unless message.max.bytes allows it; nobody can work then. Run fewer workers, or stages with fewer partitions, or keep fewer standbys",
			"members", len(p.members), "bytes", size, "limit", stateMax)
	}
	return list
}

func stateful(d Duties) Duties {
	d.Active = slices.DeleteFunc(slices.Clone(d.Active), Task.Loose)
	return d
}

func (p *taskPlan) partitions(tasks []Task) []kmsg.ConsumerMemberAssignmentTopic {
	byTopic := map[string][]int32{}
	for _, s := range p.stages {
		for _, task := range tasks {
			for _, t := range s.Topics {
				if task.Stage == s.Name && task.Partition < p.partsOf[t] {
					byTopic[t] = append(byTopic[t], task.Partition)
				}
			}
		}
	}
	var list []kmsg.ConsumerMemberAssignmentTopic
	for _, topic := range slices.Sorted(maps.Keys(byTopic)) {
		t := kmsg.NewConsumerMemberAssignmentTopic()
		t.Topic, t.Partitions = topic, byTopic[topic]
		slices.Sort(t.Partitions)
		list = append(list, t)
	}
	return list
}

// syncAssignments is a finished plan.
type syncAssignments []kmsg.SyncGroupRequestGroupAssignment

// IntoSyncAssignment is part of kgo.IntoSyncAssignment.
func (s syncAssignments) IntoSyncAssignment() []kmsg.SyncGroupRequestGroupAssignment { return s }
