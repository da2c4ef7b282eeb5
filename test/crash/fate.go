package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"ravenswood.dev/test/proof"
)

// fate is how one life of a worker ends.
type fate struct {
	step  string        // the step of a commit at which it kills itself; empty for a random moment
	count int           // at the how many-th time
	after time.Duration // the random moment, from its start; for a step: when to give up waiting for it
	pause bool          // it is stopped and goes on instead of being killed
}

// The steps of a commit, as package engine names them.
var steps = []string{"before-flush", "after-flush", "after-offsets", "after-end"}

const (
	stepPatience = 15 * time.Second // a step that is not reached by then is made up for by a kill from outside
	zombieSleep  = 16 * time.Second // longer than a member's session
)

func (f fate) name() string {
	switch {
	case f.pause:
		return "pause"
	case f.step != "":
		return f.step
	}
	return "random"
}

// at is the worker's order.
func (f fate) at() string { return proof.Order(proof.KillAt, f.step, f.count) }

// fates hands out the ends of all workers' lives until they are used up. It is safe for concurrent use.
type fates struct {
	mu   sync.Mutex
	rand *rand.Rand
	left int
	stop []int    // at which of the ends left the worker is stopped instead of killed
	only []string // the steps to die at
	part int      // so many of ten die at a step

	commits int           // a step is reached this often at most
	longest time.Duration // that a random moment is after the start
}

// newFates draws from a seed. In the negative control most deaths are between the flush and the commit of the offsets,
// where repetitions come from.
func newFates(seed uint64, kills, pauses int, delivery string) *fates {
	f := &fates{rand: rand.New(rand.NewPCG(seed, uint64(kills))), left: kills + pauses, only: steps, part: 5,
		commits: 25, longest: 5 * time.Second}
	if delivery == atLeastOnce {
		f.only, f.part = []string{"after-flush"}, 8
	}
	for i := range pauses {
		f.stop = append(f.stop, (kills+pauses)*(i+1)/(pauses+1))
	}
	return f
}

// newNodeFates draws the ends of the lives of the one process that is everything. They are short: it is up again in a
// fraction of a second, and what a start finds is what is to be tried.
func newNodeFates(seed uint64, kills int, delivery string) *fates {
	f := newFates(seed, kills, 0, delivery)
	f.commits, f.longest = 6, 1500*time.Millisecond
	return f
}

// next draws the end of the next life; ok is false when all are used up.
func (f *fates) next() (end fate, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		return fate{}, false
	}
	f.left--
	if slices.Contains(f.stop, f.left+1) {
		return fate{pause: true, after: f.between(time.Second, 3*time.Second)}, true
	}
	switch dice := f.rand.IntN(10); {
	case dice < f.part: // at a step, soon or after some commits
		return fate{step: f.only[f.rand.IntN(len(f.only))], count: 1 + f.rand.IntN(f.commits), after: stepPatience}, true
	case dice == f.part: // some while they start
		return fate{after: f.between(0, 300*time.Millisecond)}, true
	default:
		return fate{after: f.between(200*time.Millisecond, f.longest)}, true
	}
}

func (f *fates) between(low, high time.Duration) time.Duration {
	return low + time.Duration(f.rand.Int64N(int64(high-low)))
}
