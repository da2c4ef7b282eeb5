package kafka

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka/balance"
)

// The words of the balancer, so that its callers need not import it.
type (
	// Task is partition n of every topic of a stage.
	Task = balance.Task
	// Stage is a stage with state.
	Stage = balance.Stage
	// Assignment is what one member of the group is told.
	Assignment = balance.Assignment
	// Duties are the tasks of one member.
	Duties = balance.Duties
	// Peer is a member of the group as others see it.
	Peer = balance.Peer
)

// CaughtUp is the lag, in records, up to which a copy of a task's stores is good enough to take the task over.
const CaughtUp = balance.CaughtUp

// Tasks says how the group shares its work when it has state.
type Tasks struct {
	Stages   []Stage // stages with state; partitions of other topics are shared out one by one
	Standbys int     // copies of each task's stores, besides the owner's
	Host     string  // where the others ask this member
	Process  string  // members of one process share their disk: they need no warm-up from each other, and hold no standby for each other

	// Lags returns how many records every task that this member has stores of is behind its changelogs: 0 for active
	// ones. Tasks it has nothing of are left out. It is called at every join and once a second while a task warms up,
	// by a goroutine of the client, and must not wait.
	Lags func() map[Task]int64
	// OnTasks is told what the member has after every rebalance, when Revoked and Assigned have returned: a standby
	// that became active is still a standby during Assigned. Members that do not know tasks may be in the group for a
	// while (of a version before the topology had state); the group then shares out single partitions and OnTasks is
	// not called. A task must therefore not run before all its partitions are here.
	OnTasks func(Assignment)
}

// Rebalance has the group share its work anew, with the lags of now. It does not wait.
func (t *Transactor) Rebalance() { t.cl.ForceRebalance() }

// membership is the member's side of sharing tasks: it tells the owner, and asks for a rebalance when there is reason.
type membership struct {
	cfg      TransactorConfig
	balancer *taskBalancer
	told     bool        // OnTasks was called; this and peers are only for the goroutine that assigns
	peers    []Peer      // of the last assignment that named any
	alone    bool        // it was said that others in the group know no tasks; as told
	asked    atomic.Bool // since the last assignment
}

// balancers are what the member can agree to. With tasks it can share single partitions, too: members of a version before
// the topology had state know nothing else.
func (m *membership) balancers() []kgo.GroupBalancer {
	if m.cfg.Tasks == nil {
		return []kgo.GroupBalancer{kgo.CooperativeStickyBalancer()}
	}
	m.balancer = &taskBalancer{tasks: m.cfg.Tasks, log: m.cfg.logger().With("group", m.cfg.Group)}
	return []kgo.GroupBalancer{m.balancer, kgo.CooperativeStickyBalancer()}
}

// tell runs at the end of every rebalance. It says whether another one should follow at once.
func (m *membership) tell() (again bool) {
	if m.balancer == nil {
		return false
	}
	a, ok := m.balancer.assignment()
	if !ok {
		m.complain()
		return false
	}
	m.alone = false
	m.asked.Store(false)
	if a.Members == nil {
		m.cfg.logger().Warn("the group is too large for every member to be told who has what: tables cannot be asked", "group", m.cfg.Group)
	}
	first := !m.told
	m.told = true
	if a.Members != nil {
		m.peers = a.Members
	}
	if m.cfg.Tasks.OnTasks != nil {
		m.cfg.Tasks.OnTasks(a)
	}
	return first && m.stale(a)
}

// complain says, once, why tasks may stand still that look assigned.
func (m *membership) complain() {
	if m.alone {
		return
	}
	m.alone = true
	m.cfg.logger().Warn("the group shares out single partitions, because a member of it knows no tasks with state (it runs a version from before the topology had any); tasks whose partitions are not together stand still until it has left", "group", m.cfg.Group)
}

// stale says whether the group does not know what there is to know. A member that restarts under its old id is given what
// it had without a rebalance, by what was known then: it may have moved, or have lost a disk that others have a copy of.
func (m *membership) stale(a Assignment) bool {
	i := slices.IndexFunc(a.Members, func(p Peer) bool { return p.ID == m.cfg.ID })
	if i >= 0 && (a.Members[i].Host != m.cfg.Tasks.Host || a.Members[i].Process != m.cfg.Tasks.Process) {
		return true
	}
	lags := m.balancer.lags()
	return slices.ContainsFunc(a.Active, func(task Task) bool {
		return lags[task] > CaughtUp && slices.ContainsFunc(a.Members, func(p Peer) bool { return slices.Contains(p.Standby, task) })
	})
}

// due says whether a task that warms up here has caught up, once for every assignment.
func (m *membership) due() bool {
	a, ok := m.balancer.assignment()
	if !ok || len(a.WarmUp) == 0 || m.asked.Load() {
		return false
	}
	lags := m.balancer.lags()
	caughtUp := func(task Task) bool { lag, ok := lags[task]; return ok && lag <= CaughtUp }
	return slices.ContainsFunc(a.WarmUp, caughtUp) && !m.asked.Swap(true)
}

// watch asks for the rebalance that hands a task over when its copy has caught up, until Close.
func (t *Transactor) watch() {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-t.life.Done():
			return
		case <-tick.C:
			if t.membership.due() {
				t.Rebalance()
			}
		}
	}
}

const watchInterval = time.Second
