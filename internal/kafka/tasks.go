package kafka

import (
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
