package balance

import (
	"cmp"
	"math"
	"slices"
)

// Input is what is known when a group shares its work.
type Input struct {
	Members  []Member
	Tasks    []Task // each once
	Standbys int    // copies of the stores of every task with state, besides the owner's
}

// Member is a member that takes part. Members of one process share their disk: what one has a copy of, all have, and
// one copy per process is enough. Without a process a member is on its own.
type Member struct {
	ID      string
	Process string
	Runs    func(stage string) bool // nil: every stage
	Owns    []Task                  // tasks of which it has partitions; nobody else may get them before it has let go
	Standby []Task                  // as it was told the last time
	WarmUp  []Task
	Lags    map[Task]int64 // by task it has a copy of; an owned task that is not here has lag 0
}

// Plan returns the duties of every member, in the order of Members.
//
//	hold   a task stays with its owner; one without goes to a member whose copy has caught up
//	place  what nobody has a copy of goes where there is least
//	level  from the most to the least laden, by stage and then in all, until nobody has two more than another; what costs
//	       least moves first
//	settle a move happens if the new owner has caught up; else the task stays and the new owner warms up
//	copies standbys, in other processes, kept where they are, levelled by the same rule
//	give   nobody gets a task that somebody else still has: that one is told to let go, and a rebalance follows
func Plan(in Input) []Duties {
	p := newPlanner(in)
	p.hold()
	p.place()
	p.level()
	p.settle()
	p.copies()
	return p.give()
}

const nobody = -1

// planner holds one plan in the making. Tasks and members are indices, in sorted order, so that equal input gives equal
// plans whatever its order.
type planner struct {
	tasks    []Task
	members  []member
	standbys int

	owners  [][]int // by task: who has partitions of it
	holder  []int   // by task: who has it, or could have it at once; nobody if it can be anybody
	ideal   []int   // by task: who should have it
	gets    []int   // by task: who is to have it as far as it can be had now
	standby [][]int // by task
	warmUp  [][]int // by task

	stageOf []int   // by task
	counts  [][]int // by stage, by member: how many of its tasks it should have
	total   []int   // by member
}

type member struct {
	Member
	index   int // in the input
	process string
	standby map[Task]bool
	warmUp  map[Task]bool
	lags    map[Task]int64 // of the process: the smallest
}

func newPlanner(in Input) *planner {
	p := &planner{tasks: slices.SortedFunc(slices.Values(in.Tasks), Task.Compare), standbys: in.Standbys}
	for i, m := range in.Members {
		p.members = append(p.members, member{Member: m, index: i, process: cmp.Or(m.Process, "\x00"+m.ID), standby: setOf(m.Standby), warmUp: setOf(m.WarmUp)})
	}
	slices.SortFunc(p.members, func(a, b member) int { return cmp.Compare(a.ID, b.ID) })
	p.shareLags()
	n := len(p.tasks)
	p.owners, p.standby, p.warmUp = make([][]int, n), make([][]int, n), make([][]int, n)
	p.holder, p.ideal, p.gets = filled(n, nobody), filled(n, nobody), filled(n, nobody)
	p.total = make([]int, len(p.members))
	for t, task := range p.tasks {
		if t == 0 || p.tasks[t-1].Stage != task.Stage {
			p.counts = append(p.counts, make([]int, len(p.members)))
		}
		p.stageOf = append(p.stageOf, len(p.counts)-1)
	}
	p.noteOwners()
	return p
}

// shareLags gives every member what its process has.
func (p *planner) shareLags() {
	processes := map[string]map[Task]int64{}
	for i := range p.members {
		m := &p.members[i]
		m.lags = processes[m.process]
		if m.lags == nil {
			m.lags = map[Task]int64{}
			processes[m.process] = m.lags
		}
		for _, t := range m.Owns {
			if _, told := m.Lags[t]; !told {
				m.lags[t] = 0
			}
		}
		for t, lag := range m.Lags {
			if have, ok := m.lags[t]; !ok || lag < have {
				m.lags[t] = lag
			}
		}
	}
}

func (p *planner) noteOwners() {
	index := make(map[Task]int, len(p.tasks))
	for t, task := range p.tasks {
		index[task] = t
	}
	for m := range p.members {
		for _, task := range p.members[m].Owns {
			if t, ok := index[task]; ok {
				p.owners[t] = append(p.owners[t], m)
			}
		}
	}
}

// hold keeps tasks where they are. A task that two have parts of has no owner: both have to let go. One whose owner is
// far behind, because it lost its disk, goes to a member that is not.
func (p *planner) hold() {
	var free []int
	for t := range p.tasks {
		if owner := p.owner(t); owner != nobody {
			p.holder[t] = owner
			p.assign(t, owner)
		} else {
			free = append(free, t)
		}
	}
	for _, t := range free {
		if m := p.best(t, func(m int) bool { return !p.tasks[t].Loose() && p.ready(t, m) }); m != nobody {
			p.holder[t] = m
			p.assign(t, m)
		}
	}
}

func (p *planner) owner(t int) int {
	if len(p.owners[t]) != 1 || !p.runs(t, p.owners[t][0]) {
		return nobody
	}
	owner := p.owners[t][0]
	if !p.tasks[t].Loose() && !p.ready(t, owner) && p.anyReady(t) {
		return nobody
	}
	return owner
}

func (p *planner) place() {
	for t := range p.tasks {
		if p.ideal[t] == nobody {
			if m := p.best(t, func(int) bool { return true }); m != nobody {
				p.assign(t, m)
			}
		}
	}
}

// best is the member with the least to do among those that may have a task.
func (p *planner) best(t int, may func(m int) bool) int {
	best := nobody
	for m := range p.members {
		if p.runs(t, m) && may(m) && (best == nobody || p.lessLaden(t, m, best)) {
			best = m
		}
	}
	return best
}

func (p *planner) lessLaden(t, a, b int) bool {
	count := p.counts[p.stageOf[t]]
	return cmp.Or(
		cmp.Compare(count[a], count[b]),
		cmp.Compare(p.total[a], p.total[b]),
		p.cost(t, a).compare(p.cost(t, b)),
	) < 0
}

// level moves tasks from the most to the least laden members until no member has two more than another, of a stage or in
// all. A move that levels the total never unlevels a stage, because it swaps who has one more.
func (p *planner) level() {
	for stage := range p.counts {
		for p.levelStage(stage) {
		}
	}
	for p.levelTotal() {
	}
}

func (p *planner) levelStage(stage int) bool {
	count := p.counts[stage]
	return p.moveBest(func(t, from, to int) (order [2]int, ok bool) {
		return [2]int{count[to] - count[from], p.total[to] - p.total[from]}, p.stageOf[t] == stage && count[from]-count[to] >= 2
	})
}

func (p *planner) levelTotal() bool {
	return p.moveBest(func(t, from, to int) (order [2]int, ok bool) {
		count := p.counts[p.stageOf[t]]
		return [2]int{p.total[to] - p.total[from]}, count[from] > count[to] && p.total[from]-p.total[to] >= 2
	})
}

// moveBest makes the best move there is: of the smallest order, then the cheapest.
func (p *planner) moveBest(rate func(t, from, to int) (order [2]int, ok bool)) bool {
	task, target, best := nobody, nobody, [2]int{}
	for t, from := range p.ideal {
		for to := range p.members {
			if from == nobody || from == to {
				continue
			}
			order, ok := rate(t, from, to)
			if !ok || !p.runs(t, to) {
				continue
			}
			if task == nobody || cmp.Or(slices.Compare(order[:], best[:]), p.cost(t, to).compare(p.cost(task, target))) < 0 {
				task, target, best = t, to, order
			}
		}
	}
	if task == nobody {
		return false
	}
	p.unassign(task)
	p.assign(task, target)
	return true
}

// settle decides which moves happen now.
func (p *planner) settle() {
	for t, m := range p.ideal {
		p.gets[t] = m
		h := p.holder[t]
		if h == nobody || h == m || p.tasks[t].Loose() || p.ready(t, m) || p.members[h].process == p.members[m].process {
			continue
		}
		p.gets[t] = h
		p.warmUp[t] = append(p.warmUp[t], m)
	}
}

// give hands out what nobody else has. A task with state that cannot be given yet stays a copy of whoever gets it.
func (p *planner) give() []Duties {
	duties := make([]Duties, len(p.members))
	for t, task := range p.tasks {
		if m := p.gets[t]; m != nobody {
			d := &duties[p.members[m].index]
			switch {
			case !slices.ContainsFunc(p.owners[t], func(o int) bool { return o != m }):
				d.Active = append(d.Active, task)
			case !task.Loose():
				d.WarmUp = append(d.WarmUp, task)
			}
		}
		for _, m := range p.standby[t] {
			d := &duties[p.members[m].index]
			d.Standby = append(d.Standby, task)
		}
		for _, m := range p.warmUp[t] {
			d := &duties[p.members[m].index]
			d.WarmUp = append(d.WarmUp, task)
		}
	}
	return duties
}

func (p *planner) assign(t, m int) {
	p.ideal[t] = m
	p.counts[p.stageOf[t]][m]++
	p.total[m]++
}

func (p *planner) unassign(t int) {
	m := p.ideal[t]
	p.ideal[t] = nobody
	p.counts[p.stageOf[t]][m]--
	p.total[m]--
}

func (p *planner) runs(t, m int) bool {
	runs := p.members[m].Runs
	return runs == nil || runs(p.tasks[t].Stage)
}

// ready says whether a member could go on with a task at once.
func (p *planner) ready(t, m int) bool { return p.lag(t, m) <= CaughtUp }

func (p *planner) anyReady(t int) bool {
	for m := range p.members {
		if p.runs(t, m) && p.ready(t, m) {
			return true
		}
	}
	return false
}

func (p *planner) lag(t, m int) int64 {
	if lag, ok := p.members[m].lags[p.tasks[t]]; ok {
		return lag
	}
	return math.MaxInt64
}

// cost is what it takes to have a member do a task: class first, then records to read.
type cost struct {
	class   int
	records int64
}

func (c cost) compare(d cost) int {
	return cmp.Or(cmp.Compare(c.class, d.class), cmp.Compare(c.records, d.records))
}

func (p *planner) cost(t, m int) cost {
	task, who := p.tasks[t], &p.members[m]
	switch lag := p.lag(t, m); {
	case task.Loose() && len(p.owners[t]) == 0:
		return cost{class: 0}
	case task.Loose():
		return cost{class: 2}
	case lag <= CaughtUp && who.warmUp[task]:
		return cost{class: 0}
	case lag <= CaughtUp && len(p.owners[t]) == 0:
		return cost{class: 1}
	case lag <= CaughtUp:
		return cost{class: 2}
	case who.warmUp[task]:
		return cost{class: 3, records: lag}
	default:
		return cost{class: 4, records: lag}
	}
}
